-- title: what a socket told is a notification of the wallet that listened
-- severity: error
-- source: sockets and privacy; nobody is told what did not happen, or what happened to somebody else
-- why: A notification that was told and is not stored announced money that never came.
-- hint: A notification told before its commit, or a socket opened for a wallet that is not its owner's.
-- parameter: run_id text = null
select
    received.run_id,
    received.client,
    received.stream as wallet_id,
    received.sequence,
    received.event_id as notification_id,
    notifications.wallet_id as stored_wallet_id,
    notifications.sequence as stored_sequence,
    cast(calls.arguments ->> 'wallet_id' as bigint) as listener_wallet_id,
    cast(received.operation_id as text) as operation_id
from integrity.safebox_received as received
join integrity.safebox_calls as calls on calls.run_id = received.run_id and calls.operation_id = received.operation_id
left join safebox.notifications on notifications.id = received.event_id
where
    (:run_id is null or received.run_id = :run_id)
    and (
        notifications.wallet_id is distinct from received.stream
        or notifications.sequence is distinct from received.sequence
        or cast(calls.arguments ->> 'wallet_id' as bigint) is distinct from received.stream
    )
order by received.run_id, received.client, received.stream, received.sequence, received.event_id

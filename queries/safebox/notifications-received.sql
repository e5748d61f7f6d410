-- title: the notifications of a run, each for every client who listened to its wallet, and when a socket told it
-- why: Nobody misses what a socket passes over; only the rows know that it was there.
-- parameter: run_id text
-- sample: run_id = select run_id from integrity.runs where system = 'safebox' order by started_at desc limit 1
select
    notifications.wallet_id,
    notifications.sequence,
    listeners.client,
    notifications.notified_at as began_at,
    min(told.received_at) as reached_at
from safebox.notifications
join (
    -- until a socket was not opened: after an unknown outcome it is another client who comes back
    select
        calls.client,
        cast(calls.arguments ->> 'wallet_id' as bigint) as wallet_id,
        min(
            coalesce(
                cast(calls.arguments ->> 'last_sequence' as bigint),
                cast(calls.reply ->> 'last_sequence' as bigint)
            )
        ) as first_sequence,
        min(case when calls.outcome <> 'ok' then calls.invoked_at end) as ended_at
    from integrity.safebox_calls as calls
    where calls.run_id = :run_id and calls.operation = 'open_notifications'
    group by calls.client, cast(calls.arguments ->> 'wallet_id' as bigint)
) as listeners
    on
        listeners.wallet_id = notifications.wallet_id
        and listeners.first_sequence < notifications.sequence
        and (listeners.ended_at is null or notifications.notified_at < listeners.ended_at)
-- of this run: later ones notify the same wallets
join integrity.runs
    on runs.run_id = :run_id and (runs.ended_at is null or notifications.notified_at <= runs.ended_at)
left join (
    select
        streams.client,
        received.stream,
        received.sequence,
        received.received_at
    from integrity.safebox_received as received
    join integrity.safebox_calls as streams
        on streams.run_id = received.run_id and streams.operation_id = received.operation_id
    where received.run_id = :run_id
) as told
    on
        told.client = listeners.client
        and told.stream = notifications.wallet_id
        and told.sequence = notifications.sequence
group by notifications.wallet_id, notifications.sequence, listeners.client, notifications.notified_at
order by notifications.wallet_id, notifications.sequence, listeners.client

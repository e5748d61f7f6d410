-- title: a socket tells its wallet's notifications one after the other, each once, also when it comes back
-- severity: error
-- source: sockets of the till and the status; a client that comes back says what it saw last
-- why: An owner who is not told of a payment asks for the money again; a till that is not told keeps its customer waiting.
-- hint: Notifications that became visible out of their order, or a socket that goes on from the newest, not the last seen.
-- parameter: run_id text = null
select
    told.run_id,
    told.client,
    told.wallet_id,
    told.sequence,
    told.previous_sequence,
    told.received_at,
    told.operation_id
from (
    select
        received.run_id,
        received.client,
        received.stream as wallet_id,
        received.sequence,
        lag(received.sequence) over receipts_in_order as previous_sequence,
        received.received_at,
        cast(received.operation_id as text) as operation_id
    from integrity.safebox_received as received
    where (:run_id is null or received.run_id = :run_id)
    window receipts_in_order as (partition by received.run_id, received.client, received.stream order by received.number)
) as told
where told.sequence <> told.previous_sequence + 1
order by told.run_id, told.client, told.received_at, told.sequence

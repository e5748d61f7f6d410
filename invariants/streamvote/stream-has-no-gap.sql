-- title: a subscriber receives the updates of an event one after the other, each once
-- severity: error
-- source: the load test plan: dropped updates; a client that comes back says what it saw last
-- why: A viewer whose count is behind, or ahead, sees another result than the one that was announced.
-- hint: Updates that became visible out of their order, or a stream that goes on from the newest instead of the last seen.
-- parameter: run_id text = null
select
    ordered.live_event_id,
    ordered.run_id,
    ordered.client,
    ordered.sequence,
    ordered.previous_sequence,
    ordered.received_at,
    ordered.operation_id
from (
    select
        received.run_id,
        received.client,
        received.stream as live_event_id,
        received.sequence,
        lag(received.sequence) over receipts_in_order as previous_sequence,
        received.received_at,
        cast(received.operation_id as text) as operation_id
    from integrity.streamvote_received as received
    where (:run_id is null or received.run_id = :run_id)
    window receipts_in_order as (partition by received.run_id, received.client, received.stream order by received.number)
) as ordered
where ordered.sequence <> ordered.previous_sequence + 1
order by ordered.run_id, ordered.client, ordered.received_at, ordered.sequence

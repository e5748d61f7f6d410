-- title: a dashboard is told a business's messages one after the other, each once, also when it comes back
-- severity: error
-- source: messaging plan, realtime: updates are delivered, none is dropped
-- why: Nobody answers a customer whose message no dashboard has shown.
-- hint: Messages that became visible out of their order, or a dashboard that goes on from the newest, not the last one seen.
-- parameter: run_id text = null
select
    told.run_id,
    told.client,
    told.business_id,
    told.sequence,
    told.previous_sequence,
    told.received_at,
    told.operation_id
from (
    select
        received.run_id,
        received.client,
        received.stream as business_id,
        received.sequence,
        lag(received.sequence) over receipts_in_order as previous_sequence,
        received.received_at,
        cast(received.operation_id as text) as operation_id
    from integrity.inbox_received as received
    where (:run_id is null or received.run_id = :run_id)
    window receipts_in_order as (partition by received.run_id, received.client, received.stream order by received.number)
) as told
where told.sequence <> told.previous_sequence + 1
order by told.run_id, told.client, told.received_at, told.sequence

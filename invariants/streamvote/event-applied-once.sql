-- title: a provider's event is applied once
-- severity: error
-- source: webhooks are delivered at least once, and replayed; applying them once is the receiver's part
-- why: Every further application of an event repeats what it did: usually a payment.
-- hint: The event was looked up, then inserted, without a unique constraint: two deliveries both found nothing.
select
    webhook_events.event_id,
    min(webhook_events.invoice_id) as invoice_id,
    count(*) as applied_count,
    string_agg(cast(webhook_events.operation_id as text), ' ') as operation_ids
from streamvote.webhook_events
group by webhook_events.event_id
having count(*) > 1
order by min(webhook_events.id)

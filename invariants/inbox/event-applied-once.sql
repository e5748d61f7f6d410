-- title: a provider's event is applied once
-- severity: error
-- source: webhooks are delivered at least once; applying them once is the receiver's part
-- why: Every further application counts a delivery again, and whatever is billed by deliveries.
-- hint: The event was looked up, then inserted, without a unique constraint: two deliveries both found nothing.
select
    provider_events.event_id,
    min(provider_events.message_id) as message_id,
    count(*) as applied_count,
    string_agg(cast(provider_events.operation_id as text), ' ') as operation_ids
from inbox.provider_events
group by provider_events.event_id
having count(*) > 1
order by min(provider_events.id)

-- title: a processor's event is applied once
-- severity: error
-- source: webhooks are delivered at least once; applying them once is the receiver's part
-- why: Every further application of an event repeats what it did: usually a credit.
-- hint: The event was looked up, then inserted, without a unique constraint: two deliveries both found nothing.
select
    webhook_events.event_id,
    min(webhook_events.funding_id) as funding_id,
    min(fundings.wallet_id) as wallet_id,
    count(*) as applied_count,
    string_agg(cast(webhook_events.operation_id as text), ' ') as operation_ids
from ghostpass.webhook_events
left join ghostpass.fundings on fundings.id = webhook_events.funding_id
group by webhook_events.event_id
having count(*) > 1
order by min(webhook_events.id)

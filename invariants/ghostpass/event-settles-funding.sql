-- title: an applied event has settled its funding as it says
-- severity: error
-- source: payments; the processor's word and our books agree
-- why: The event counts as applied, so the processor's retries are declined, and the guest's money never arrives.
-- hint: The event was marked applied in one transaction and the funding settled in another, and something died between.
select
    webhook_events.event_id,
    webhook_events.kind,
    webhook_events.funding_id,
    fundings.wallet_id,
    fundings.status,
    webhook_events.applied_at,
    cast(webhook_events.operation_id as text) as operation_id
from ghostpass.webhook_events
left join ghostpass.fundings on fundings.id = webhook_events.funding_id
where
    fundings.status is distinct from
    case when webhook_events.kind = 'payment_succeeded' then 'confirmed' else 'failed' end
order by webhook_events.id

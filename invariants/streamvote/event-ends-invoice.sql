-- title: an applied event has ended its invoice as it says
-- severity: error
-- source: payments; the provider's word and our books agree
-- why: The event counts as applied, so the provider's retries are declined, and the viewer's stars never arrive.
-- hint: The event was marked applied in one transaction and the invoice paid in another, and something died between.
select
    webhook_events.event_id,
    webhook_events.kind,
    webhook_events.invoice_id,
    invoices.wallet_id,
    invoices.status,
    webhook_events.applied_at,
    cast(webhook_events.operation_id as text) as operation_id
from streamvote.webhook_events
left join streamvote.invoices on invoices.id = webhook_events.invoice_id
where
    webhook_events.kind = 'paid' and coalesce(invoices.status, '') not in ('paid', 'credited')
    or webhook_events.kind = 'failed' and invoices.status is distinct from 'expired'
order by webhook_events.id

-- title: a paid invoice has the event that says so
-- severity: error
-- source: payments; an invoice is paid because the provider said so
-- why: An invoice that is paid without the provider's word is stars that nobody may ever pay for.
-- hint: A status set by hand, or an event deleted or rolled back while the invoice stayed paid.
select
    invoices.id as invoice_id,
    invoices.wallet_id,
    invoices.stars,
    invoices.status,
    invoices.paid_at,
    cast(invoices.operation_id as text) as operation_id
from streamvote.invoices
left join streamvote.webhook_events on webhook_events.invoice_id = invoices.id and webhook_events.kind = 'paid'
where invoices.status in ('paid', 'credited') and webhook_events.invoice_id is null
order by invoices.id

-- title: the invoices that wait for the provider or for their credit, oldest first
select
    invoices.id as invoice_id,
    invoices.wallet_id,
    invoices.stars,
    invoices.status,
    invoices.created_at,
    invoices.paid_at,
    cast(invoices.operation_id as text) as operation_id
from streamvote.invoices
where invoices.status in ('open', 'paid')
order by invoices.created_at, invoices.id

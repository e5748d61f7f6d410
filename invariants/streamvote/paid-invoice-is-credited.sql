-- title: no invoice stays paid for longer than a minute without its credit
-- severity: error
-- source: payments; who has paid has the stars at once
-- why: The viewer has paid, the provider was answered, and nobody will try again.
-- hint: A job that was lost, or declined before what it is about was committed; the sweeper (credit_invoice) mends it.
-- parameter: paid_before timestamptz = now - 1 minute
select
    invoices.id as invoice_id,
    invoices.wallet_id,
    invoices.stars,
    invoices.paid_at,
    cast(invoices.operation_id as text) as operation_id
from streamvote.invoices
where invoices.status = 'paid' and invoices.paid_at < :paid_before
order by invoices.id

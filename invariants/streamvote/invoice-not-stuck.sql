-- title: no invoice stays open for longer than 15 minutes
-- severity: error
-- source: the app's promise to its viewers; a payment takes seconds, and a sweeper asks about the rest
-- why: The viewer may have paid, and the wallet shows nothing.
-- hint: Webhooks that were dropped or answered with an error, or a sweeper (check_invoice) that does not run.
-- parameter: stuck_before timestamptz = now - 15 minutes
select
    invoices.id as invoice_id,
    invoices.wallet_id,
    invoices.stars,
    invoices.created_at,
    cast(invoices.operation_id as text) as operation_id
from streamvote.invoices
where invoices.status = 'open' and invoices.created_at < :stuck_before
order by invoices.id

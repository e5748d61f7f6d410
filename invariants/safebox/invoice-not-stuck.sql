-- title: no invoice stays paid without its credit, or open after its time, for longer than 15 minutes
-- severity: error
-- source: the wallet's promise to its owner; every paid invoice is credited
-- why: The payer has paid, and the owner sees nothing; or a customer stands before a code that nobody can pay any more.
-- hint: The mint did not issue the proofs, and nobody asked it again: is somebody polling or sweeping this wallet?
-- parameter: stuck_before timestamptz = now - 15 minutes
select
    invoices.id as invoice_id,
    invoices.wallet_id,
    invoices.amount_minor,
    invoices.status,
    coalesce(invoices.paid_at, invoices.expires_at) as stuck_since,
    cast(coalesce(invoices.confirmed_by, invoices.operation_id) as text) as operation_id
from safebox.invoices
where
    (invoices.status = 'paid' and invoices.paid_at < :stuck_before)
    or (invoices.status = 'unpaid' and invoices.expires_at < :stuck_before)
order by invoices.id

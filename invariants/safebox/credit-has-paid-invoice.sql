-- title: no wallet is credited for an invoice that was not paid
-- severity: error
-- source: payments; money in the wallet was paid by somebody
-- why: A credit for an invoice that nobody paid is money given away.
-- hint: Credit and status written in different transactions, or a status that was set back.
select
    entries.id as entry_id,
    entries.wallet_id,
    entries.reference as invoice_id,
    entries.amount_minor,
    invoices.status,
    cast(entries.operation_id as text) as operation_id
from safebox.entries
left join safebox.invoices on invoices.id = entries.reference
where
    entries.kind = 'receipt'
    and entries.account = 'wallet'
    and invoices.status is distinct from 'credited'
order by entries.id

-- title: no wallet is credited without a paid invoice
-- severity: error
-- source: payments; stars in a wallet were paid for by somebody
-- why: A credit for a payment that failed, or was never made, is stars given away.
-- hint: A credit and the invoice's status written in different transactions, or the kind of the event not looked at.
select
    entries.id as entry_id,
    entries.wallet_id,
    entries.reference as invoice_id,
    entries.amount_stars,
    invoices.status,
    cast(entries.operation_id as text) as operation_id
from streamvote.entries
left join streamvote.invoices on invoices.id = entries.reference
where
    entries.kind = 'purchase'
    and entries.account = 'wallet'
    and invoices.status is distinct from 'credited'
order by entries.id

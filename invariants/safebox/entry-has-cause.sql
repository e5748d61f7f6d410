-- title: every entry of a wallet names an invoice or a payment of that wallet
-- severity: error
-- source: double-entry bookkeeping; no posting without a voucher
-- why: Whoever was charged for somebody else's payment will ask for it back.
-- hint: A payment or invoice that was rolled back or deleted while its entry stayed, or a reference to the wrong row.
select
    entries.id as entry_id,
    entries.wallet_id,
    entries.kind,
    entries.reference,
    entries.amount_minor,
    coalesce(invoices.wallet_id, payments.wallet_id) as cause_wallet_id,
    cast(entries.operation_id as text) as operation_id
from safebox.entries
left join safebox.invoices on invoices.id = entries.reference and entries.kind = 'receipt'
left join safebox.payments on payments.id = entries.reference and entries.kind <> 'receipt'
where
    entries.account = 'wallet'
    and coalesce(invoices.wallet_id, payments.wallet_id) is distinct from entries.wallet_id
    -- the payee of ecash has an entry of its own in the settlement
    and (entries.kind <> 'settlement' or payments.payee_wallet_id is distinct from entries.wallet_id)
order by entries.id

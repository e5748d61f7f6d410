-- title: every sale, refund and fee entry names a sale or scan of the same wallet
-- severity: error
-- source: double-entry bookkeeping; no posting without a voucher
-- why: A guest who was charged for nothing, or for what somebody else bought, will ask for it back.
-- hint: A sale or scan that was rolled back or deleted while its entry stayed, or a reference to the wrong row.
select
    entries.id as entry_id,
    entries.wallet_id,
    entries.kind,
    entries.reference,
    entries.amount_minor,
    coalesce(sales.wallet_id, scans.wallet_id) as cause_wallet_id,
    cast(entries.operation_id as text) as operation_id
from ghostpass.entries
left join ghostpass.sales on sales.id = entries.reference and entries.kind in ('sale', 'refund')
left join ghostpass.scans on scans.id = entries.reference and entries.kind = 'reentry_fee'
where
    entries.account = 'wallet'
    and entries.kind in ('sale', 'refund', 'reentry_fee')
    and coalesce(sales.wallet_id, scans.wallet_id) is distinct from entries.wallet_id
order by entries.id

-- title: a credited invoice is credited exactly once and in full, with proofs of its amount
-- severity: error
-- source: payments; one credit a receipt
-- why: An invoice credited twice is money given away; one not credited is money taken from its owner.
-- hint: A webhook and a poll that both credited it: is it changed from paid to credited in the transaction that credits?
select
    invoices.id as invoice_id,
    invoices.wallet_id,
    invoices.amount_minor,
    coalesce(posted.credit_count, 0) as credit_count,
    coalesce(posted.credited_minor, 0) as credited_minor,
    coalesce(sum(proofs.amount_minor), 0) as issued_minor,
    cast(invoices.confirmed_by as text) as operation_id
from safebox.invoices
left join (
    select
        entries.reference as invoice_id,
        entries.wallet_id,
        count(*) as credit_count,
        sum(entries.amount_minor) as credited_minor
    from safebox.entries
    where entries.kind = 'receipt' and entries.account = 'wallet'
    group by entries.reference, entries.wallet_id
) as posted on posted.invoice_id = invoices.id and posted.wallet_id = invoices.wallet_id
left join safebox.proofs
    on proofs.operation_id = invoices.confirmed_by and proofs.wallet_id = invoices.wallet_id
where invoices.status = 'credited'
group by invoices.id, posted.credit_count, posted.credited_minor
having
    coalesce(posted.credit_count, 0) <> 1
    or coalesce(posted.credited_minor, 0) <> invoices.amount_minor
    or coalesce(sum(proofs.amount_minor), 0) <> invoices.amount_minor
order by invoices.id

-- title: a credited invoice is credited to its wallet exactly once, in full
-- severity: error
-- source: payments; the balance rises exactly once an invoice
-- why: An invoice credited twice is stars given away; one not credited is money taken from a viewer.
-- hint: The invoice's status was checked in the application, not in the update that changes it: two jobs both saw it paid.
select
    invoices.id as invoice_id,
    invoices.wallet_id,
    invoices.stars,
    count(entries.id) as credit_count,
    coalesce(sum(entries.amount_stars) filter (where entries.wallet_id = invoices.wallet_id), 0) as credited_stars,
    string_agg(cast(entries.operation_id as text), ' ') as operation_ids
from streamvote.invoices
left join streamvote.entries
    on entries.reference = invoices.id and entries.kind = 'purchase' and entries.account = 'wallet'
where invoices.status = 'credited'
group by invoices.id
having
    count(entries.id) <> 1
    or coalesce(sum(entries.amount_stars) filter (where entries.wallet_id = invoices.wallet_id), 0) <> invoices.stars
order by invoices.id

-- title: a sale is refunded at most once, and what was refunded was credited
-- severity: error
-- source: payments; a refund gives back what was paid, once
-- why: A sale refunded twice is money given away; one marked refunded without a credit is a guest robbed.
-- hint: refunded_minor checked in one statement and set in another, or a retry that credited again.
select
    sales.id as sale_id,
    sales.wallet_id,
    sales.amount_minor,
    sales.refunded_minor,
    count(entries.id) as refund_count,
    coalesce(sum(entries.amount_minor) filter (where entries.wallet_id = sales.wallet_id), 0) as credited_minor,
    string_agg(cast(entries.operation_id as text), ' ') as operation_ids
from ghostpass.sales
left join ghostpass.entries
    on entries.reference = sales.id and entries.kind = 'refund' and entries.account = 'wallet'
group by sales.id
having
    count(entries.id) <> case when sales.refunded_minor = 0 then 0 else 1 end
    or sales.refunded_minor > sales.amount_minor
    or coalesce(sum(entries.amount_minor) filter (where entries.wallet_id = sales.wallet_id), 0) <> sales.refunded_minor
order by sales.id

-- title: a sale is debited from its wallet exactly once, in full
-- severity: error
-- source: double-entry bookkeeping; a sale is one entry
-- why: A sale without its debit is goods given away; one debited twice is a guest robbed.
-- hint: Sale and debit in different transactions, or a retry that debited again.
select
    sales.id as sale_id,
    sales.wallet_id,
    sales.amount_minor,
    count(entries.id) as debit_count,
    coalesce(sum(entries.amount_minor) filter (where entries.wallet_id = sales.wallet_id), 0) as debited_minor,
    cast(sales.operation_id as text) as operation_id
from ghostpass.sales
left join ghostpass.entries
    on entries.reference = sales.id and entries.kind = 'sale' and entries.account = 'wallet'
group by sales.id
having
    count(entries.id) <> 1
    or coalesce(sum(entries.amount_minor) filter (where entries.wallet_id = sales.wallet_id), 0) <> -sales.amount_minor
order by sales.id

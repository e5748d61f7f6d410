-- title: a sale's amount equals the sum of its splits
-- severity: error
-- source: revenue sharing; what the guest paid is what platform, venue and vendor get
-- why: The difference is paid out by nobody, or by the platform.
-- hint: Shares that were each rounded by themselves: round all but one, and give the last one the rest.
select
    sales.id as sale_id,
    sales.wallet_id,
    sales.amount_minor,
    coalesce(sum(splits.amount_minor), 0) as splits_total_minor,
    count(splits.id) as split_count,
    cast(sales.operation_id as text) as operation_id
from ghostpass.sales
left join ghostpass.splits on splits.sale_id = sales.id
group by sales.id
having sales.amount_minor <> coalesce(sum(splits.amount_minor), 0)
order by sales.id

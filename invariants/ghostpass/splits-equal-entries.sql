-- title: each split of a sale is posted to its party's account
-- severity: error
-- source: revenue sharing; splits repeat the house side of a sale's entries
-- why: Parties are shown their splits and paid by their entries; the two must be the same money.
-- hint: Splits and entries computed apart from each other, or one of them corrected by hand.
select
    splits.id as split_id,
    splits.sale_id,
    sales.wallet_id,
    splits.party,
    splits.amount_minor,
    coalesce(entries.amount_minor, 0) as posted_minor,
    cast(sales.operation_id as text) as operation_id
from ghostpass.splits
-- a share of nothing has no entry
left join ghostpass.entries
    on entries.reference = splits.sale_id and entries.account = splits.party and entries.kind = 'sale'
left join ghostpass.sales on sales.id = splits.sale_id
where splits.amount_minor <> coalesce(entries.amount_minor, 0)
order by splits.id, entries.id

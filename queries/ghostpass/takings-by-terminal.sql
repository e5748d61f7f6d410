-- title: what each terminal took, refunded and owes to platform, venue and vendor
-- parameter: since timestamptz = now - 1 day
select
    terminals.id as terminal_id,
    terminals.name,
    count(sales.id) as sale_count,
    coalesce(sum(sales.amount_minor), 0) as sold_minor,
    coalesce(sum(sales.refunded_minor), 0) as refunded_minor,
    coalesce(sum(shared.platform_minor), 0) as platform_minor,
    coalesce(sum(shared.venue_minor), 0) as venue_minor,
    coalesce(sum(shared.vendor_minor), 0) as vendor_minor
from ghostpass.terminals
left join ghostpass.sales on sales.terminal_id = terminals.id and sales.sold_at >= :since
left join (
    -- a refunded sale owes nothing any more
    select
        splits.sale_id,
        sum(splits.amount_minor) filter (where splits.party = 'platform') as platform_minor,
        sum(splits.amount_minor) filter (where splits.party = 'venue') as venue_minor,
        sum(splits.amount_minor) filter (where splits.party = 'vendor') as vendor_minor
    from ghostpass.splits
    group by splits.sale_id
) as shared on shared.sale_id = sales.id and sales.refunded_minor = 0
group by terminals.id, terminals.name
order by terminals.id

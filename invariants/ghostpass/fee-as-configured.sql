-- title: a sale's platform fee and venue share are what its terminal says, rounded down
-- severity: error
-- source: the contract; terminals.platform_fee_bps and venue_share_bps, the vendor gets what is left
-- why: A minor unit too much on every sale is taken from the vendor, and is found at the first settlement.
-- hint: A share rounded up or to the nearest; or the terminal's shares were changed since, which is no violation.
select
    sales.id as sale_id,
    sales.wallet_id,
    sales.terminal_id,
    sales.amount_minor,
    sales.platform_fee_minor,
    platform.amount_minor as platform_split_minor,
    sales.amount_minor * terminals.platform_fee_bps / 10000 as platform_due_minor,
    venue.amount_minor as venue_split_minor,
    sales.amount_minor * terminals.venue_share_bps / 10000 as venue_due_minor,
    cast(sales.operation_id as text) as operation_id
from ghostpass.sales
left join ghostpass.terminals on terminals.id = sales.terminal_id
left join ghostpass.splits as platform on platform.sale_id = sales.id and platform.party = 'platform'
left join ghostpass.splits as venue on venue.sale_id = sales.id and venue.party = 'venue'
where
    sales.platform_fee_minor is distinct from sales.amount_minor * terminals.platform_fee_bps / 10000
    or platform.amount_minor is distinct from sales.platform_fee_minor
    or venue.amount_minor is distinct from sales.amount_minor * terminals.venue_share_bps / 10000
order by sales.id

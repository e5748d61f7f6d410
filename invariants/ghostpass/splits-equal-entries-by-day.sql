-- title: on each day the splits of a terminal's sales come to what was posted to each party, and paid by the guests
-- severity: error
-- source: revenue sharing; parties are paid by the day, and splits sum to the total by sale and by period
-- why: A day whose splits and entries differ is paid out wrong, although each sale is right by itself.
-- hint: Sales and entries dated by different clocks or time zones, splits rounded apart, or a day that was corrected by hand.
select
    booked.terminal_id,
    booked.day,
    booked.account,
    sum(booked.split_minor) as splits_total_minor,
    sum(booked.posted_minor) as posted_total_minor
from (
    select
        sales.terminal_id,
        substr(cast(sales.sold_at as text), 1, 10) as day,
        splits.party as account,
        splits.amount_minor as split_minor,
        0 as posted_minor
    from ghostpass.sales
    join ghostpass.splits on splits.sale_id = sales.id
    union all
    -- what the parties share is what the guests paid
    select
        sales.terminal_id,
        substr(cast(sales.sold_at as text), 1, 10) as day,
        'wallet' as account,
        -splits.amount_minor as split_minor,
        0 as posted_minor
    from ghostpass.sales
    join ghostpass.splits on splits.sale_id = sales.id
    union all
    select
        sales.terminal_id,
        substr(cast(entries.created_at as text), 1, 10) as day,
        entries.account,
        0 as split_minor,
        entries.amount_minor as posted_minor
    from ghostpass.sales
    join ghostpass.entries on entries.reference = sales.id and entries.kind = 'sale'
) as booked
group by booked.terminal_id, booked.day, booked.account
having sum(booked.split_minor) <> sum(booked.posted_minor)
order by booked.terminal_id, booked.day, booked.account

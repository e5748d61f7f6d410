-- title: what a show has sold is what its orders are of, but for those that were returned
-- severity: error
-- source: sold_count is a cache of the orders
-- why: People buy seats that others sit on, or seats stay empty that could have been sold.
-- hint: A count that is read, and written back with one's own.
select
    shows.id                                       as show_id,
    shows.sold_count,
    coalesce(sum(orders.ticket_count), 0)          as ordered_count
from tickets.shows
left join tickets.orders on orders.show_id = shows.id and orders.status = 'paid'
group by shows.id, shows.sold_count
having shows.sold_count is distinct from coalesce(sum(orders.ticket_count), 0)
order by shows.id

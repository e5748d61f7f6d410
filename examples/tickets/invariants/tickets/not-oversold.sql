-- title: a show has not sold more tickets than it has seats
-- severity: error
-- source: somebody would stand
select shows.id as show_id, shows.seat_count, shows.sold_count
from tickets.shows
where shows.sold_count > shows.seat_count
order by shows.id

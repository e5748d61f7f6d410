-- title: no more tickets are sold than an event has places
-- severity: error
-- source: the fire brigade
select "Event"."id" as "eventId", "Event"."capacity", count(*) as sold
from "Event"
join "Ticket" on "Ticket"."eventId" = "Event"."id"
group by "Event"."id", "Event"."capacity"
having count(*) > "Event"."capacity"
order by "Event"."id"

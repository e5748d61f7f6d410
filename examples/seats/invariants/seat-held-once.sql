-- title: a seat is held once, and says so
-- severity: error
-- source: two people on one seat
select "Seat"."eventId", "Seat"."number", "Seat"."state", count("Hold"."id") as holds
from "Seat"
left join "Hold" on "Hold"."eventId" = "Seat"."eventId" and "Hold"."number" = "Seat"."number"
group by "Seat"."eventId", "Seat"."number", "Seat"."state"
having count("Hold"."id") <> case "Seat"."state" when 'held' then 1 else 0 end
order by "Seat"."eventId", "Seat"."number"

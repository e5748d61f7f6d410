-- title: a vet has no two bookings at a time
select one.id, other.id as other_id, one."userId" as vet
from "Booking" as one
join "Booking" as other on one."userId" = other."userId" and one.id < other.id
where
    one.status = 'ACCEPTED' and other.status = 'ACCEPTED'
    and tsrange(one."startTime", one."endTime") && tsrange(other."startTime", other."endTime")
order by one.id, other.id

-- title: look whether the vet is free, and book
-- parameter vet: key of "Vet"
-- parameter uid: text
begin;
select id from "Booking"
where "userId" = :'vet' and status = 'ACCEPTED' and "startTime" < '2026-09-14 10:30' and "endTime" > '2026-09-14 10:00';
-- decline taken if row
insert into "Booking" (uid, "userId", "startTime", "endTime")
values (concat(:'uid', :'operation_id'), :'vet', '2026-09-14 10:00', '2026-09-14 10:30');
commit;

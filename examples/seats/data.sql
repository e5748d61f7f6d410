insert into "Event" ("title", "capacity") select 'Evening ' || n, 200 from generate_series(1, 5) as n;
insert into "Seat" ("eventId", "number") select "id", n from "Event", generate_series(1, 40) as n;

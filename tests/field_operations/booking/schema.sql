create type "BookingStatus" as enum ('ACCEPTED', 'CANCELLED', 'PENDING');
create table "Vet" ("userId" text primary key, "displayName" text);
create table "Booking" (
    id serial primary key,
    uid text not null unique,
    "userId" text references "Vet" ("userId"),
    "startTime" timestamp(3) not null,
    "endTime" timestamp(3) not null,
    status "BookingStatus" not null default 'ACCEPTED',
    metadata jsonb
);
create index "Booking_userId_idx" on "Booking" ("userId", "startTime");

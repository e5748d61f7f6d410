-- As an object-relational mapper writes it: mixed case in quotes, an enum, keys of several columns, no model of it here.
create type "SeatState" as enum ('free', 'held');

create table "Event" (
    "id" uuid not null default gen_random_uuid(),
    "title" text not null,
    "capacity" integer not null,
    "createdAt" timestamptz not null default now(),
    constraint "Event_pkey" primary key ("id"),
    constraint "Event_capacity_check" check ("capacity" > 0)
);

create table "Seat" (
    "eventId" uuid not null,
    "number" integer not null,
    "state" "SeatState" not null default 'free',
    constraint "Seat_pkey" primary key ("eventId", "number"),
    constraint "Seat_eventId_fkey" foreign key ("eventId") references "Event" ("id")
);

create table "Hold" (
    "id" bigint generated always as identity,
    "eventId" uuid not null,
    "number" integer not null,
    "buyer" text not null,
    constraint "Hold_pkey" primary key ("id"),
    constraint "Hold_seat_fkey" foreign key ("eventId", "number") references "Seat" ("eventId", "number")
);

create table "Ticket" (
    "id" bigint generated always as identity,
    "eventId" uuid not null,
    "buyer" text not null,
    constraint "Ticket_pkey" primary key ("id"),
    constraint "Ticket_eventId_fkey" foreign key ("eventId") references "Event" ("id")
);

create index "Hold_seat_idx" on "Hold" ("eventId", "number");
create index "Ticket_eventId_idx" on "Ticket" ("eventId");

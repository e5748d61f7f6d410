create table bookings (id bigint generated always as identity primary key, seat text not null);
create table bookings_once (id bigint generated always as identity primary key, seat text not null unique);

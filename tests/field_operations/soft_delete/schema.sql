create table "Users" (
    id serial primary key, email text not null, "deletedAt" timestamptz, constraint uq_users unique (email, "deletedAt")
);
create table "LiveUsers" (
    id serial primary key,
    email text not null,
    "deletedAt" timestamptz,
    constraint uq_live_users unique nulls not distinct (email, "deletedAt")
);

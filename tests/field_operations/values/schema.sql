create type mood as enum ('sad', 'ok');
create table guests (id uuid primary key default gen_random_uuid(), name text not null);
create table notes (
    id bigint generated always as identity primary key,
    guest uuid not null references guests,
    call text not null,
    key varchar(60),
    at timestamp not null,
    day date not null,
    seen timestamptz,
    price numeric(8, 2),
    count int,
    small smallint,
    is_open boolean,
    mood mood,
    tags text [] default '{}',
    doc jsonb
);

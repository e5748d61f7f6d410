create table inv (
    id serial primary key,
    issuer smallint not null,
    kind integer not null,
    issued date not null,
    number integer not null,
    full_number varchar(50) not null
);
create index on inv (issuer, kind, issued);
create table last_number (issuer smallint primary key, last integer not null);

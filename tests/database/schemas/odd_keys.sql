-- Keys, checks and circles that each broke a seeding once.
create table nodes (org int not null, id int not null, parent int, primary key (org, id), foreign key (org, parent) references nodes, check (parent <> id));
create table people (id bigserial primary key, main_address bigint unique);
create table homes (id bigserial primary key, person_id bigint not null references people, unique (person_id, id));
alter table people add foreign key (id, main_address) references homes (person_id, id);
create table flags (id serial primary key, rank int not null);
create unique index one_first on flags ((true)) where rank < 0;
create table rings (id bigserial primary key, next bigint not null unique references rings deferrable initially deferred);
create table staff (id int primary key, boss int not null references staff, check (boss <> id));
create table baskets (id serial primary key, price numeric(8, 2) not null check (price > 0), quantity int not null check (quantity > 0),
    total numeric generated always as (price * quantity) stored, "Label" text generated always as (quantity || ' pieces') stored,
    check (total < 5000), check ("Label" <> '7 pieces'));
create table empty_parents (tenant int, id int, primary key (tenant, id));
create table lodgers (id serial primary key, tenant int not null, parent int unique, foreign key (tenant, parent) references empty_parents);

create table doctors (name text primary key, is_on_duty boolean not null);
insert into doctors values ('alice', true), ('bob', true);

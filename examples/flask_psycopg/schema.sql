create table items (id int primary key, left_over int not null check (left_over >= 0));
create table orders (id bigint generated always as identity primary key, item_id int not null references items);
insert into items values (1, 1);

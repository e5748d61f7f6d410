-- title: write down a value of each kind, in columns of other types, too
-- parameter guest: key of guests
-- parameter key: uuid
-- parameter name: text
-- parameter at: timestamp now - 1 day..now + 1 day
-- parameter price: numeric 0.01..99.99
-- parameter count: integer 1..9
-- parameter is_open: boolean
-- parameter mood: choice sad, ok
-- stores: notes.call = :operation_id at seen
-- reply: id, price
begin;
insert into notes (guest, call, key, at, day, seen, price, count, small, is_open, mood, doc)
values (:'guest', :'operation_id', :'key', :'at', :'at', now(), :price, :count, :count + 1, :is_open, :'mood',
    jsonb_build_object('name', :'name', 'at', :'at', 'key', :'key', 'n', :count)) returning id, price, tags, doc, at as noted_at \gset
select id from notes where key = :'key' and at = :'noted_at' and mood = :'mood' and is_open = :is_open and doc ->> 'name' = :'name';
-- decline gone unless row
update notes set count = :count * 2, price = :price + 1, small = greatest(:count, 3) where id = :id and price = :price;
commit;

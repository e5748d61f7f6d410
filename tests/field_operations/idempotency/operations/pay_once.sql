-- title: take the key and charge, all or nothing
-- parameter key: text
begin;
insert into charge_request (merchant_id, idem_key, state) values (7, :'key', 'done')
on conflict do nothing returning idem_key;
-- decline replayed unless row
insert into charge (merchant_id, idem_key, amount_cents, currency) values (7, :'key', 500, 'EUR');
commit;

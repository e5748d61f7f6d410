-- title: look for the key, charge, and write the key down
-- parameter key: text
-- stores: charge.idem_key = :key at created_at
select state from charge_request where merchant_id = 7 and idem_key = :'key';
-- decline replayed if row
insert into charge (merchant_id, idem_key, amount_cents, currency) values (7, :'key', 500, 'EUR');
insert into charge_request (merchant_id, idem_key, state) values (7, :'key', 'done') on conflict do nothing;

-- title: take the key, charge, and say that it is done; who comes in between is told so
-- parameter key: text
-- may: decline in_progress
insert into charge_request (merchant_id, idem_key, state) values (7, :'key', 'in_progress')
on conflict do nothing returning state \gset
\if :{?state}
begin;
insert into charge (merchant_id, idem_key, amount_cents, currency) values (7, :'key', 500, 'EUR');
update charge_request set state = 'done' where merchant_id = 7 and idem_key = :'key';
commit;
\else
select state from charge_request where merchant_id = 7 and idem_key = :'key';
-- decline in_progress if state = 'in_progress'
-- decline replayed if row
\endif

-- title: create if there is none, then get
-- parameter code: text
begin;
insert into guild (code) values (:'code') on conflict do nothing;
select id from guild where code = :'code' \gset
insert into member values (:id, :'operation_id');
commit;

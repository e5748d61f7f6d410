-- title: get or create, then read once more in the transaction that the refusal has ended
-- parameter code: text
begin;
select id from guild where code = :'code' \gset
\if :{?id}
\else
insert into guild (code) values (:'code') returning id \gset
-- on 23505: continue
select id from guild where code = :'code' \gset
\endif
insert into member values (:id, :'operation_id');
commit;

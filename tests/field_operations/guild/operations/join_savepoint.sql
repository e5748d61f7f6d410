-- title: get or create, with a savepoint in front of the insert
-- parameter code: text
begin;
select id from guild where code = :'code' \gset
\if :{?id}
\else
savepoint s;
insert into guild (code) values (:'code') returning id \gset
-- on 23505: rollback to s
select id from guild where code = :'code' \gset
\endif
insert into member values (:id, :'operation_id');
commit;

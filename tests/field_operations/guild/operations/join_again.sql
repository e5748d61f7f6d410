-- title: get or create, and all of it again where somebody was first
-- parameter code: text
-- on 23505: retry
begin;
select id from guild where code = :'code' \gset
\if :{?id}
\else
insert into guild (code) values (:'code') returning id \gset
\endif
insert into member values (:id, :'operation_id');
commit;

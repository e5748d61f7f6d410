-- title: link what the insert returned, which is nothing where the tag is there
-- parameter name: text
\set id null
begin;
insert into tag (prefix, name) values ('topic', :'name') on conflict do nothing returning id \gset
insert into doc_tag values (:'operation_id', 1, :id);
commit;

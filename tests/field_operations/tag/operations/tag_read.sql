-- title: link the tag that is there, whoever made it
-- parameter name: text
begin;
insert into tag (prefix, name) values ('topic', :'name') on conflict do nothing;
select id from tag where prefix = 'topic' and name = :'name' \gset
insert into doc_tag values (:'operation_id', 1, :id);
commit;

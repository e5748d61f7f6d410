create table tag (id bigserial primary key, prefix text not null, name text not null, unique (prefix, name));
create table doc_tag (doc uuid not null, position integer not null, tag_id bigint references tag);

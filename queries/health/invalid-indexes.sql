-- title: indexes that the server keeps up to date and does not use, left by a build that failed
select
    namespaces.nspname || '.' || classes.relname as index_name,
    namespaces.nspname || '.' || tables.relname  as table_name
from pg_index as indexes
join pg_class as classes on classes.oid = indexes.indexrelid
join pg_class as tables on tables.oid = indexes.indrelid
join pg_namespace as namespaces on namespaces.oid = tables.relnamespace
where not (indexes.indisvalid and indexes.indisready)
  and namespaces.nspname not like 'pg\_%'
order by index_name

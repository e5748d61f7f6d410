-- title: foreign keys that no index begins with: each delete or change of a parent reads the whole table
select
    namespaces.nspname || '.' || tables.relname    as table_name,
    keys.conname                                   as constraint_name,
    cast(greatest(tables.reltuples, 0) as bigint)  as rows_estimate
from pg_constraint as keys
join pg_class as tables on tables.oid = keys.conrelid
join pg_namespace as namespaces on namespaces.oid = tables.relnamespace
where keys.contype = 'f'
  and namespaces.nspname <> 'information_schema'
  and namespaces.nspname not like 'pg\_%'
  and not exists (
      select 1
      from pg_index as indexes
      where indexes.indrelid = keys.conrelid
        and indexes.indisvalid
        and indexes.indpred is null
        -- the first columns of the index are those of the key, in whatever order
        and (cast(string_to_array(cast(indexes.indkey as text), ' ') as smallint[]))[1:cardinality(keys.conkey)] @> keys.conkey
  )
order by tables.reltuples desc, table_name, constraint_name

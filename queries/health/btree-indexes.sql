-- title: the btree indexes of tables that stay, the smallest first: whose structure amcheck can look at
select
    indexes.indexrelid::bigint                                as index_id,
    format('%I.%I', namespaces.nspname, classes.relname)      as index_name
from pg_index as indexes
join pg_class as classes on classes.oid = indexes.indexrelid
join pg_am as methods on methods.oid = classes.relam
join pg_namespace as namespaces on namespaces.oid = classes.relnamespace
where methods.amname = 'btree'
  and classes.relkind = 'i'
  and indexes.indisvalid
  and indexes.indisready
  and (classes.relpersistence = 'p' or (classes.relpersistence = 'u' and not pg_is_in_recovery()))
  and namespaces.nspname <> 'information_schema'
  and namespaces.nspname not like 'pg\_%'
order by classes.relpages, index_name

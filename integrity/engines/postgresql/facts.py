"""What PostgreSQL's catalogue says about tables."""

import json
from collections.abc import Iterable

from integrity.engines.facts import Column, Facts, Table, TableName, UniqueIndex
from integrity.engines.snapshot import Reader

_CATALOGUE = """
select
    asked.schema,
    asked.name,
    case when class.reltuples >= 0 and class.relpages > 0 then class.reltuples::bigint end as rows_estimate,
    class.relpages::bigint * current_setting('block_size')::bigint as bytes,
    (class.relkind in ('r', 'm') and not class.relhassubclass or class.relkind = 'p' and not exists (
        select 1 from pg_partition_tree(class.oid) as part join pg_class as leaf on leaf.oid = part.relid
        where leaf.relkind = 'f'))
    and not exists (
        select 1 from pg_attribute as calculated
        where calculated.attrelid = class.oid and calculated.attgenerated = 'v') as is_stored,
    (
        select json_agg(json_build_object('name', attribute.attname, 'is_not_null', attribute.attnotnull and not exists (
                select 1 from pg_constraint  -- PostgreSQL 18 knows NOT NULL that is not validated
                where conrelid = class.oid and contype = 'n' and conkey[1] = attribute.attnum and not convalidated)
                and (class.relkind = 'r' and not class.relhassubclass or class.relkind = 'p' and not exists (
                    select 1 from pg_partition_tree(class.oid) as part join pg_class as leaf on leaf.oid = part.relid
                    where leaf.relkind = 'f')),
            'type', case when base.typnamespace <> 'pg_catalog'::regnamespace then base.typnamespace::regnamespace || '.'
                else '' end || base.typname,
            'collation', attribute.attcollation::bigint))
        from pg_attribute as attribute
        join pg_type as type on type.oid = attribute.atttypid
        join pg_type as base on base.oid = case type.typtype when 'd' then type.typbasetype else type.oid end
        where attribute.attrelid = class.oid and attribute.attnum > 0 and not attribute.attisdropped
    ) as columns,
    (
        select json_agg(json_build_object(
            'name', index_class.relname,
            'columns', (
                select json_agg(attribute.attname order by key.number)
                from unnest(index.indkey::smallint[], index.indcollation::oid[])
                    with ordinality as key (attnum, colloid, number)
                join pg_attribute as attribute on attribute.attrelid = class.oid and attribute.attnum = key.attnum
                where key.number <= index.indnkeyatts and key.colloid = attribute.attcollation
            ),
            'column_count', index.indnkeyatts,
            'predicate', coalesce(pg_get_expr(index.indpred, index.indrelid), ''),
            'is_nulls_distinct', not coalesce((to_jsonb(index) ->> 'indnullsnotdistinct')::boolean, false)
        ) order by index_class.relname)
        from pg_index as index
        join pg_class as index_class on index_class.oid = index.indexrelid
        where
            index.indrelid = class.oid
            and index.indisunique and index.indisvalid and index.indislive
            and index.indexprs is null
            and not exists (
                select 1 from unnest(index.indclass::oid[]) as own (oid) join pg_opclass as kind on kind.oid = own.oid
                where not kind.opcdefault)
            and (class.relkind = 'p' or (class.relkind = 'r' and not class.relhassubclass))
            and not exists (  -- printing a predicate waits for a table that is being altered; its indexes prove nothing
                select 1 from pg_locks as lock
                where lock.relation = class.oid and lock.mode = 'AccessExclusiveLock' and lock.granted
                    and lock.database in (0, (select oid from pg_database where datname = current_database()))
            )
    ) as unique_indexes
from json_to_recordset($1::json) as asked (schema text, name text)
join pg_class as class on class.relname = asked.name and class.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
join pg_namespace as namespace
    on namespace.oid = class.relnamespace
    and case asked.schema when '' then pg_table_is_visible(class.oid) else namespace.nspname = asked.schema end
"""


def read_facts(session: Reader, names: Iterable[TableName]) -> Facts:
    asked = [{"schema": name.schema, "name": name.name} for name in sorted(set(names))]
    facts = {}
    for row in session.read(_CATALOGUE, [json.dumps(asked)], is_own=True):
        facts[TableName(row["schema"], row["name"])] = Table(
            rows_estimate=row["rows_estimate"],
            bytes=row["bytes"],
            columns={
                column["name"]: Column(column["type"], column["is_not_null"], column["collation"])
                for column in row["columns"] or ()
            },
            unique_indexes=tuple(
                UniqueIndex(index["name"], tuple(index["columns"]), index["predicate"], index["is_nulls_distinct"])
                for index in row["unique_indexes"] or ()
                if len(index["columns"] or ()) == index["column_count"]
            ),
            is_stored=row["is_stored"],
        )
    return facts

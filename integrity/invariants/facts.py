"""Facts about tables, read from the catalogue within the snapshot: what a plan may rely on.

A unique index counts only where it proves something: valid, checked at every commit, over plain columns with the columns'
own collation and the types' own equality, and on a table whose rows it covers all. NOT NULL counts where the server checks
it at every write: not on a foreign table, nor on one that others inherit from, which may have dropped it. Whether a
constraint was *validated* is no such fact for foreign keys: a restore or a replica writes past their triggers
(session_replication_role, disable trigger) and leaves them marked valid. So references are always asked; unique indexes
cannot be bypassed.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from integrity.engines.snapshot import QueryFailed, Session


@dataclass(frozen=True, slots=True, order=True)
class TableName:
    """A table as a query names it; without a schema it is looked for in the search path."""

    schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}" if self.schema else self.name


@dataclass(frozen=True, slots=True)
class Column:
    """A column.

    Args:
        type: PostgreSQL's internal name (int8, text, uuid, ...), of a domain that of its base type; one of another's making
            with its schema.
        is_not_null: every row has a value in it.
        collation: its oid; 0 for a type without.
    """

    type: str
    is_not_null: bool
    collation: int = 0


@dataclass(frozen=True, slots=True)
class UniqueIndex:
    """An index that proves that no two rows share its columns' values.

    Args:
        columns: its key columns.
        predicate: of a partial index, as the server prints it; empty: it covers all rows.
        is_nulls_distinct: two rows with a null are not the same to it (the default).
    """

    name: str
    columns: tuple[str, ...]
    predicate: str
    is_nulls_distinct: bool


@dataclass(frozen=True, slots=True)
class Table:
    """What is known about a table or view.

    Args:
        rows_estimate: of the last analyze; None when there was none.
        bytes: of its main file at the last vacuum or analyze; asking for more would wait for a locked table.
        is_stored: it is a table that holds its columns' values, so that to read one cannot fail: no view, no foreign table,
            nothing that is calculated when it is read.
    """

    rows_estimate: int | None = None
    bytes: int = 0
    columns: Mapping[str, Column] = field(default_factory=dict)
    unique_indexes: tuple[UniqueIndex, ...] = ()
    is_stored: bool = False


Facts = Mapping[TableName, Table]


def is_own(type_name: str) -> bool:
    """Whether a column's type is of another's making, and so what is done with it."""
    return "." in type_name


_POSTGRESQL = """
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


# A view has no page of its own, nor has a virtual table; a generated column is hidden as 2 or 3.
_SQLITE = """
select
    name,
    rootpage > 0 and not exists (
        select 1 from pragma_table_xinfo(tables.name, ?1) as calculated where calculated.hidden in (2, 3)
    ) as is_stored
from {schema}.sqlite_master as tables
where type in ('table', 'view')
"""


def read_facts(session: Session, tables: Iterable[TableName], *, is_sqlite: bool) -> Facts:
    """Return the facts of the tables that exist.

    Raises:
        QueryFailed: the catalogue could not be read.
    """
    names = sorted(set(tables))
    return _read_sqlite(session, names) if is_sqlite else _read_postgresql(session, names)


def _read_postgresql(session: Session, names: list[TableName]) -> Facts:
    asked = [{"schema": name.schema, "name": name.name} for name in names]
    facts = {}
    for row in session.read(_POSTGRESQL, [json.dumps(asked)], is_own=True):
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


def _read_sqlite(session: Session, names: list[TableName]) -> Facts:
    found: dict[tuple[str, str], bool] = {}
    for row in session.read("select name as schema from pragma_database_list"):
        quoted = row["schema"].replace('"', '""')
        tables = session.read(_SQLITE.format(schema=f'"{quoted}"'), [row["schema"]])
        for table in tables:
            key = table["name"].lower()
            found[row["schema"], key] = bool(table["is_stored"])
            found["", key] = found.get(("", key), True) and bool(table["is_stored"])  # of whichever is meant
    return {
        name: Table(is_stored=found[name.schema, name.name.lower()])
        for name in names
        if (name.schema, name.name.lower()) in found
    }


class Emptiness:
    """Which tables have no row: asked where a query returned none, of each table once, within the snapshot."""

    def __init__(self) -> None:
        self._known: dict[TableName, bool] = {}

    def are_all_empty(self, session: Session, tables: Sequence[TableName]) -> bool:
        """Whether there are tables, and none of them has a row.

        Raises:
            QueryFailed: the snapshot was lost.
        """
        return bool(tables) and all(self._is_empty(session, table) for table in tables)

    def _is_empty(self, session: Session, table: TableName) -> bool:
        """Whether the table has no row; one that cannot be read is not known to be empty."""
        if table not in self._known:
            quoted = ".".join('"' + part.replace('"', '""') + '"' for part in (table.schema, table.name) if part)
            try:
                self._known[table] = not session.read(f"select 1 as one from {quoted} limit 1")
            except QueryFailed as failed:
                if failed.is_snapshot_lost:
                    raise
                self._known[table] = False
        return self._known[table]

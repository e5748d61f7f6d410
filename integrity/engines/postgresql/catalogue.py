"""PostgreSQL's catalogue; see engines/catalogue.py."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Table, false, func, select, text

from integrity.engines.inventory import Identity
from integrity.engines.places import TableName, schema_of
from integrity.engines.postgresql.inventory import MADE_WITH_THEIR_NOTE
from integrity.sql.name import quoted

INDEX_MEMORY_KB = 262_144
INDEX_HELPERS = 2


def lock(connection: Connection, tables: Sequence[TableName], *, shuts_out_readers: bool) -> None:
    if tables:
        names = ", ".join(f"{quoted(schema)}.{quoted(table)}" for schema, table in tables)
        mode = "access exclusive" if shuts_out_readers else "share row exclusive"
        connection.exec_driver_sql(f"lock table {names} in {mode} mode")


@contextmanager
def names_of_its_own(connection: Connection) -> Iterator[None]:
    connection.exec_driver_sql("set local search_path to default")
    yield
    connection.exec_driver_sql("set local search_path to pg_catalog")


def find_constraints(connection: Connection, tables: Collection[Table]) -> set[tuple[TableName, str]]:
    schemas = sorted({schema_of(table) for table in tables})
    return {((schema, table), name) for schema, table, name in connection.execute(_NAMES, {"schemas": schemas})}


def find_orphan(_connection: Connection, _table: Table) -> None:
    return None


def find_identities(connection: Connection, schema: str, *, is_of_views: bool) -> dict[str, Identity]:
    kinds = ["v"] if is_of_views else ["r", "p"]
    return {str(name): int(oid) for name, oid in connection.execute(_OIDS, {"schema": schema, "kinds": kinds})}


def find_schema(connection: Connection, schema: str) -> int | None:
    oid: Any = connection.execute(_SCHEMA_OID, {"schema": schema}).scalar_one_or_none()
    return oid if oid is None else int(oid)


def find_made_with_their_note(connection: Connection) -> Sequence[Sequence[Any]]:
    return connection.exec_driver_sql(MADE_WITH_THEIR_NOTE).all()


def last_numbers(_connection: Connection, _tables: Sequence[Table]) -> dict[TableName, int]:
    return {}


def rows_after(place: TableName, number: int) -> str:
    raise AssertionError(f"rows of {place} keep their transaction, and have no number {number}")


def prepare_load(connection: Connection) -> None:
    """Sort the keys of an index in memory, with helpers, where the server would give less or none."""
    for name, least in (("maintenance_work_mem", INDEX_MEMORY_KB), ("max_parallel_maintenance_workers", INDEX_HELPERS)):
        larger = "select set_config(name, greatest(setting::int8, %s)::text, true) from pg_settings where name = %s"
        connection.exec_driver_sql(larger, (least, name))


def finish_load(connection: Connection, tables: Sequence[Table], *, numbered: Sequence[Table]) -> None:
    for table in numbered:
        next_id = select(func.coalesce(func.max(table.c.id), 0) + 1).scalar_subquery()
        connection.execute(select(func.setval(func.pg_get_serial_sequence(_located(table), "id"), next_id, false())))
    for table in tables:
        connection.exec_driver_sql(f"analyze {_located(table)}")


def _located(table: Table) -> str:
    return f"{quoted(schema_of(table))}.{quoted(table.name)}"


_NAMES = text(
    """
    select namespaces.nspname, tables.relname, pg_constraint.conname
    from pg_constraint
    join pg_class as tables on tables.oid = pg_constraint.conrelid
    join pg_namespace as namespaces on namespaces.oid = tables.relnamespace
    where namespaces.nspname = any (:schemas)
    union
    select schemaname, tablename, indexname
    from pg_indexes
    where schemaname = any (:schemas)
    """
)

_SCHEMA_OID = text("select oid::int8 from pg_catalog.pg_namespace where nspname = :schema")

_OIDS = text(
    """
    select tables.relname, tables.oid::int8
    from pg_catalog.pg_class as tables
    join pg_catalog.pg_namespace as namespaces on namespaces.oid = tables.relnamespace
    where namespaces.nspname = :schema and tables.relkind = any (:kinds)
    """
)

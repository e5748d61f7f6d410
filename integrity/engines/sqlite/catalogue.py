"""SQLite's catalogue; see engines/catalogue.py. Its schemas are files, and who writes to one has it to himself."""

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from sqlalchemy import Connection, Table, inspect

from integrity.engines.inventory import Identity
from integrity.engines.places import DEFAULT_SCHEMA, MAIN, TableName, schema_of
from integrity.engines.sqlite.inventory import checksum
from integrity.sql.name import quoted


def lock(_connection: Connection, _tables: Sequence[TableName], *, shuts_out_readers: bool) -> None:
    """Do nothing: a transaction of ours begins with the lock."""


def names_of_its_own(_connection: Connection) -> AbstractContextManager[None]:
    return nullcontext()


def find_constraints(connection: Connection, tables: Collection[Table]) -> set[tuple[TableName, str]]:
    inspector = inspect(connection)
    found: set[tuple[TableName, str]] = set()
    for table in tables:
        place = table.name, _file(schema_of(table))
        named = [
            *inspector.get_unique_constraints(*place),
            *inspector.get_check_constraints(*place),
            *inspector.get_foreign_keys(*place),
            *inspector.get_indexes(*place),
            {"name": f"{table.name}_pkey"},
        ]
        found |= {((schema_of(table), table.name), str(item["name"])) for item in named}
    return found


def find_orphan(connection: Connection, table: Table) -> tuple[str, str] | None:
    schema = quoted(_file(schema_of(table)))
    row = connection.exec_driver_sql(f"pragma {schema}.foreign_key_check({quoted(table.name)})").first()
    return None if row is None else (str(row[1]), str(row[2]))


def find_identities(connection: Connection, schema: str, *, is_of_views: bool) -> dict[str, Identity]:
    kind = "view" if is_of_views else "table"
    catalogue = f"{quoted(_file(schema))}.sqlite_master"
    rows = connection.exec_driver_sql(f"select name, sql from {catalogue} where type = ?", (kind,))
    return {str(name): checksum(statement) for name, statement in rows}


def find_schema(_connection: Connection, _schema: str) -> None:
    return None


def find_made_with_their_note(_connection: Connection) -> Sequence[Sequence[Any]]:
    return ()


def last_numbers(connection: Connection, tables: Sequence[Table]) -> dict[TableName, int]:
    found: dict[TableName, int] = {}
    for table in tables:
        file, name = quoted(_file(schema_of(table))), quoted(table.name)
        if _is_numbered(connection, file, table.name):
            last = connection.exec_driver_sql(f"select coalesce(max(rowid), 0) from {file}.{name}").scalar_one()
            found[schema_of(table), table.name] = int(last)
    return found


def rows_after(place: TableName, number: int) -> str:
    schema, name = place
    return f"from {quoted(_file(schema))}.{quoted(name)} where rowid > {number}"


def _is_numbered(connection: Connection, file: str, name: str) -> bool:
    """Whether a table has numbers of its rows: one `without rowid` has none."""
    said = connection.exec_driver_sql(f"select sql from {file}.sqlite_master where type = 'table' and name = ?", (name,))
    statement = said.scalar_one_or_none()
    return statement is not None and "without rowid" not in " ".join(statement.lower().split())


def prepare_load(_connection: Connection) -> None:
    """Its pages are cached as they are."""


def finish_load(connection: Connection, tables: Sequence[Table], *, numbered: Sequence[Table]) -> None:
    for schema in dict.fromkeys(schema_of(table) for table in tables):
        connection.exec_driver_sql(f"analyze {quoted(_file(schema))}")


def _file(schema: str) -> str:
    return MAIN if schema == DEFAULT_SCHEMA else schema

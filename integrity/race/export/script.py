"""The script of an exported test: the tables, and the rows that the calls meet on."""

from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import JSON, Column, DateTime, MetaData

from integrity.database.names import full_name, located, schemas_of
from integrity.engines.places import DEFAULT_SCHEMA
from integrity.engines.values import sql_of
from integrity.operation import Value
from integrity.race.export.case import Case
from integrity.race.export.exported_driver import driver_of
from integrity.race.play.ddl import create_statements
from integrity.sql.name import quoted
from integrity.systems.reflect import Reflected

if TYPE_CHECKING:
    from typing import TypeGuard


def staging_queries(metadata: MetaData) -> dict[str, str]:
    """Return what `record` must ask so that the rows can be written down.

    A time that the database sets by itself is left to it: rows that were new when this was found must not grow old.
    """
    return {
        table.fullname: "select {} from {} order by {}".format(
            ", ".join(quoted(column.name) for column in table.columns if not _is_made(column)),
            full_name(table),
            ", ".join(quoted(column.name) for column in table.primary_key.columns) or "1",
        )
        for table in (metadata.raced_tables if isinstance(metadata, Reflected) else metadata.sorted_tables)
    }


def render_sql(case: Case, *, metadata: MetaData, dropped: frozenset[str]) -> str:
    """Return the statements that make the tables and the rows."""
    lines = [f"-- {case.title}: the tables, and the rows that the calls meet on.", ""]
    driver = driver_of(case.dialect)
    before, behind = create_statements(metadata, dropped=dropped, dialect=case.dialect)
    is_reflected = isinstance(metadata, Reflected)
    if is_reflected and driver.makes_schemas:
        lines += ["set check_function_bodies = off;", ""]  # what they name may be made behind them
    for schema in made_schemas(metadata) if driver.makes_schemas and not is_reflected else ():
        lines += [f"create schema {quoted(schema)};", ""]
    lines += [line for statement in before for line in (f"{statement};", "")]
    times = [
        value for rows in case.recording.staged.values() for row in rows for value in row.values() if _is_instant(value)
    ]
    for table in metadata.sorted_tables:
        rows = case.recording.staged.get(table.fullname, ())
        if rows:
            newest = max(times, default=None)
            columns = [table.columns[name] for name in rows[0]]
            values = [
                ", ".join(
                    driver.staged_literal(row[column.name], newest, is_json=isinstance(column.type, JSON))
                    for column in columns
                )
                for row in rows
            ]
            name = located(table, case.dialect) if table.schema else full_name(table)
            overriding = " overriding system value" if any(_is_given_always(column) for column in columns) else ""
            lines += [
                f"insert into {name} ({', '.join(quoted(column.name) for column in columns)}){overriding} values",
                *(f"    ({value})," for value in values[:-1]),
                f"    ({values[-1]});",
            ]
            lines += [
                f"select setval(pg_get_serial_sequence({sql_of(name)}, {sql_of(column.name)}), {rows[-1][column.name]});"
                for column in table.columns
                if _is_numbered(column) and driver.sets_sequences
            ]
            lines += [""]
    lines += [line for statement in behind for line in (f"{statement};", "")]
    return "\n".join(lines).rstrip() + "\n"


def made_schemas(metadata: MetaData) -> tuple[str, ...]:
    """Return the schemas that are made for the tables: all but the default one."""
    return tuple(schema for schema in schemas_of(metadata) if schema != DEFAULT_SCHEMA)


def _is_instant(value: Value) -> "TypeGuard[datetime]":
    """Return whether a value is a time on the world's clock; one without a zone is what somebody's calendar says."""
    return isinstance(value, datetime) and value.tzinfo is not None


def _is_made(column: "Column[object]") -> bool:
    """Whether the database makes the value, by its clock or of the row's other columns."""
    return column.computed is not None or (isinstance(column.type, DateTime) and column.server_default is not None)


def _is_given_always(column: "Column[object]") -> bool:
    return column.identity is not None and column.identity.always is True


def _is_numbered(column: "Column[object]") -> bool:
    default = getattr(column.server_default, "arg", "")
    return column.identity is not None or str(default).startswith("nextval(")

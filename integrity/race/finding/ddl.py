"""Definitions: the `create` statements of a schema's tables, for a file that must stand alone and for telling changes."""

import re

from sqlalchemy import MetaData
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateIndex, CreateTable, ExecutableDDLElement

from integrity.database.names import name_of
from integrity.engines.places import DEFAULT_SCHEMA, schema_in

# SQLAlchemy leaves these untyped.
_DIALECTS = {"postgresql": postgresql.dialect(), "sqlite": sqlite.dialect()}  # type: ignore[no-untyped-call]
_CONSTRAINT = "CONSTRAINT "
_BETWEEN = re.compile(r",\s*\n    (?=\S)")  # what goes on in a constraint of several lines is indented deeper


def create_statements_by_table(
    metadata: MetaData, *, dropped: frozenset[str] = frozenset(), dialect: str = "postgresql"
) -> dict[str, list[str]]:
    """Return for each table what creates it and its indexes; the tables in an order in which they can be created.

    Args:
        dropped: constraints and indexes to leave out, as "table.name".
        dialect: as Target.dialect names it.
    """
    copy = MetaData(schema=metadata.schema)
    for table in metadata.sorted_tables:
        table.to_metadata(copy)
    statements: dict[str, list[str]] = {}
    for table in copy.sorted_tables:
        for constraint in list(table.constraints):
            if f"{name_of(table)}.{constraint.name}" in dropped:
                table.constraints.discard(constraint)
        # A set in SQLAlchemy: their order is that of nothing in particular.
        indexes = sorted(table.indexes, key=lambda index: str(index.name))
        kept = [index for index in indexes if f"{name_of(table)}.{index.name}" not in dropped]
        statements[name_of(table)] = [
            _compile(CreateTable(table), dialect),
            *(_compile(CreateIndex(index), dialect) for index in kept),
        ]
    return statements


def _compile(statement: ExecutableDDLElement, dialect: str) -> str:
    places = {DEFAULT_SCHEMA: schema_in(dialect, DEFAULT_SCHEMA)}
    compiled = statement.compile(dialect=_DIALECTS[dialect], schema_translate_map=places, render_schema_translate=True)
    text = str(compiled).strip().replace("\t", "    ")
    return "\n".join(line.rstrip() for line in _sort_constraints(text).splitlines())


def _sort_constraints(text: str) -> str:
    """Return a `create table` with its constraints, of one line or more, by their names: copying shuffles them."""
    before, separator, after = text.partition(f"\n    {_CONSTRAINT}")
    if not separator:
        return text
    constraints = _BETWEEN.split(f"{_CONSTRAINT}{after}".removesuffix("\n)").rstrip())
    return f"{before}\n    " + ",\n    ".join(sorted(constraints)) + "\n)"

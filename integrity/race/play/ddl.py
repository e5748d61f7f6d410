"""Definitions: the `create` statements of a schema's tables, for a file that must stand alone and for telling changes."""

import re
from collections.abc import Iterator

from sqlalchemy import Index, MetaData
from sqlalchemy.schema import AddConstraint, CreateIndex, CreateTable, ExecutableDDLElement

from integrity.database.names import name_of
from integrity.engines.definitions import Definition
from integrity.engines.known import USUAL, find_engine
from integrity.engines.places import DEFAULT_SCHEMA, schema_of
from integrity.engines.schemas import schema_in
from integrity.race.play.definitions import kept_definitions, whole_statement
from integrity.systems.reflect import Reflected

_CONSTRAINT = "CONSTRAINT "
_BETWEEN = re.compile(r",\s*\n    (?=\S)")  # what goes on in a constraint of several lines is indented deeper


def create_statements_by_table(
    metadata: MetaData, *, dropped: frozenset[str] = frozenset(), dialect: str = USUAL
) -> dict[str, list[str]]:
    """Return for each table what creates it and its indexes; the tables in an order in which they can be created.

    Args:
        dropped: constraints and indexes to leave out, as "table.name".
        dialect: as Target.dialect names it.
    """
    if isinstance(metadata, Reflected):
        return _of_definitions(metadata, dropped)
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


def create_statements(
    metadata: MetaData, *, dropped: frozenset[str] = frozenset(), dialect: str = USUAL
) -> tuple[list[str], list[str]]:
    """Return what makes the tables, in an order in which it can be carried out; and what is made when their rows are there.

    Args:
        dropped, dialect: as above.
    """
    if not isinstance(metadata, Reflected):
        by_table = create_statements_by_table(metadata, dropped=dropped, dialect=dialect)
        return [each for statements in by_table.values() for each in statements], []
    before: list[str] = []
    behind: list[str] = []
    for each, statements in _definitions(metadata, dropped):
        (behind if each.kind in _OF_ROWS else before).extend(statements)
    return before, behind


def index_statement(index: Index, *, dialect: str) -> str:
    """Return the statement that makes an index."""
    return _compile(CreateIndex(index), dialect)


def defining_statement(metadata: MetaData, name: str, *, dialect: str = USUAL) -> str:
    """Return the statement that makes a constraint or an index of a table that is there; empty: it is not known.

    Args:
        name: "table.name".
    """
    if isinstance(metadata, Reflected):
        called = {(schema_of(table), table.name): name_of(table) for table in metadata.tables.values()}
        for each, statements in _definitions(metadata, frozenset()):
            if f"{called.get((each.schema, each.table))}.{each.name}" == name and each.kind in ("constraint", "index"):
                return "; ".join(" ".join(line.split()) for line in statements)
        return ""
    for table in metadata.sorted_tables:
        made: dict[str, ExecutableDDLElement] = {str(index.name): CreateIndex(index) for index in table.indexes}
        made |= {str(each.name): AddConstraint(each, isolate_from_table=False) for each in table.constraints}
        for item, statement in made.items():
            if f"{name_of(table)}.{item}" == name:
                return " ".join(_compile(statement, dialect).split())
    return ""


_OF_TABLES = ("table", "constraint", "index", "trigger", "rule", "policy", "owner")
_OF_ROWS = ("trigger", "rule")
"""What would do its work again with rows that it has seen."""


def _of_definitions(tables: Reflected, dropped: frozenset[str]) -> dict[str, list[str]]:
    """Return what the database has of each table, and of what belongs to none."""
    called = {(schema_of(table), table.name): name_of(table) for table in tables.tables.values()}
    statements: dict[str, list[str]] = {}
    for each, own in _definitions(tables, dropped):
        name = called.get((each.schema, each.table)) if each.kind in _OF_TABLES else None
        statements.setdefault(name or str(each), []).extend(own)
    return statements


def _definitions(tables: Reflected, dropped: frozenset[str]) -> Iterator[tuple[Definition, list[str]]]:
    """Yield the definitions in the order in which a scratch database was made of them, with their statements."""
    known = {(schema_of(table), table.name): table for table in tables.tables.values()}
    kept = [each for each in kept_definitions(tables, dropped) if each.kind != "setting" and each.statements]
    order = {each: place for place, each in enumerate(tables.made)}
    for each in sorted(kept, key=lambda each: order.get(each, len(order))):
        table = known.get((each.schema, each.name)) if each.kind == "table" else None
        statements = each.statements
        if each.is_whole and table is not None:
            statements = (whole_statement(each, table, dropped),)
        yield each, ["\n".join(line.rstrip() for line in text.strip().rstrip(";").splitlines()) for text in statements]


def _compile(statement: ExecutableDDLElement, dialect: str) -> str:
    places = {DEFAULT_SCHEMA: schema_in(dialect, DEFAULT_SCHEMA)}
    spelled = find_engine(dialect).sqlalchemy_dialect
    compiled = statement.compile(dialect=spelled, schema_translate_map=places, render_schema_translate=True)
    text = str(compiled).strip().replace("\t", "    ")
    return "\n".join(line.rstrip() for line in _sort_constraints(text).splitlines())


def _sort_constraints(text: str) -> str:
    """Return a `create table` with its constraints, of one line or more, by their names: copying shuffles them."""
    before, separator, after = text.partition(f"\n    {_CONSTRAINT}")
    if not separator:
        return text
    constraints = _BETWEEN.split(f"{_CONSTRAINT}{after}".removesuffix("\n)").rstrip())
    return f"{before}\n    " + ",\n    ".join(sorted(constraints)) + "\n)"

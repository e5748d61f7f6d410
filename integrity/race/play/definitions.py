"""What of a database's definitions a scratch database is made of."""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from sqlalchemy import Table
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateTable

from integrity.database.names import name_of
from integrity.engines.definitions import Definition
from integrity.engines.places import schema_of
from integrity.errors import UsageError
from integrity.systems.reflect import Catalogue, Reflected


def kept_definitions(tables: Reflected, dropped: Iterable[str]) -> list[Definition]:
    """Return the definitions without some constraints and indexes, and without the foreign keys that rest on them.

    Args:
        dropped: as "table.name", the table with its schema where another has its name.

    Raises:
        UsageError: there is no constraint or index of such a name.
    """
    assert tables.catalogue is not None
    left_out = set(dropped)
    called = {(schema_of(table), table.name): name_of(table) for table in tables.tables.values()}
    kept: list[Definition] = []
    gone: set[str] = set()
    found: set[str] = set()
    for each in tables.catalogue.definitions:
        name = f"{called.get((each.schema, each.table), f'{each.schema}.{each.table}')}.{each.name}"
        if each.kind in ("constraint", "index") and name in left_out:
            gone.add(each.place)
            found.add(name)
        elif each.rests_on not in gone or not each.rests_on:
            kept.append(each)
    found |= {name for name in left_out if _is_in_its_table(tables, name)}
    if unknown := sorted(left_out - found):
        raise UsageError(f"the database has no constraint or index {', '.join(unknown)}")
    return kept


def whole_statement(each: Definition, table: Table, dropped: AbstractSet[str]) -> str:
    """Return what makes a table with its constraints, without those that are left out."""
    left_out = {item.name for item in table.constraints if f"{name_of(table)}.{item.name}" in dropped}
    if not left_out:
        return each.statements[0]
    copies = Reflected(catalogue=Catalogue())
    for other in table.metadata.tables.values():
        other.to_metadata(copies)
    new = copies.tables[table.key]
    for item in list(new.constraints):
        if item.name in left_out:
            new.constraints.discard(item)
    new.schema = None  # the file is the schema
    return str(CreateTable(new).compile(dialect=sqlite.dialect())).strip()


def guards_of(tables: Reflected) -> list[Definition]:
    """Return the triggers and rules that may keep rows from being deleted."""
    assert tables.catalogue is not None
    return [
        each
        for each in tables.catalogue.definitions
        if each.kind in ("trigger", "rule") and "delete" in "".join(each.statements).lower()
    ]


def _is_in_its_table(tables: Reflected, name: str) -> bool:
    """Whether it is a constraint that SQLite keeps within the statement of its table."""
    return any(
        f"{name_of(table)}.{constraint.name}" == name
        for table in tables.tables.values()
        for constraint in table.constraints
    )

"""Constraints and indexes of a schema: left out to plant a bug or to load quickly, and made again as it declares them.

What is missing is read from the database and compared by name with the metadata, so it does not matter who left it out.
PostgreSQL alters a table in place. SQLite keeps a table's constraints in its `create table`, so the table is made anew
under another name, filled, and put in the old one's place (sqlite.org/lang_altertable.html, "Making Other Kinds Of Table
Schema Changes").
"""

from collections.abc import Set as AbstractSet

from sqlalchemy import (
    CheckConstraint,
    Connection,
    ForeignKeyConstraint,
    Index,
    MetaData,
    Table,
    UniqueConstraint,
    insert,
    select,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.schema import AddConstraint, ColumnCollectionConstraint, CreateIndex, CreateTable, DropIndex, DropTable

from integrity.database.application import Application
from integrity.database.bookkeeping import find_note, put_note
from integrity.database.declared import Item, columns_of, declared_items, item_name, own_name
from integrity.database.made import OURS
from integrity.database.names import located, name_of, schemas_of
from integrity.database.ownership import note_rebuilt
from integrity.engines.known import find_engine
from integrity.engines.places import schema_of
from integrity.engines.purpose import Purpose
from integrity.engines.target import Target
from integrity.engines.transaction import transaction
from integrity.errors import SeedError, UsageError
from integrity.sql.name import quoted
from integrity.typed import typed


def name_constraints(metadata: MetaData) -> None:
    """Give the constraints that have no name the one that PostgreSQL would give them."""
    for table in metadata.sorted_tables:
        taken = {str(item.name) for item in table.constraints if item.name}
        for item in sorted(table.constraints, key=lambda item: (type(item).__name__, list(columns_of(item)))):
            kind = _KINDS.get(type(item))
            if item.name is None and kind:
                columns = list(columns_of(item)) if len(list(columns_of(item))) == 1 or kind != "check" else []
                name = "_".join((table.name, *columns, kind))
                item.name = next(each for each in (name, *(f"{name}{n}" for n in range(1, 1000))) if each not in taken)
                taken.add(str(item.name))


def plant(target: Target, system: Application, dropped: tuple[str, ...], *, bug: str) -> None:
    """Leave out what a bug forgets, make again what another bug had left out, and note the bug.

    Args:
        dropped: constraints and indexes of the system, as "table.name"; foreign keys that rest on one go with it.

    Raises:
        UsageError: the metadata declares none of that name.
        SeedError: data that an earlier bug broke does not allow what that one had left out.
    """
    unknown = sorted(set(dropped) - {item_name(table, item) for table, item in declared_items(system.metadata)})
    if unknown:
        raise UsageError(f"system {system.name} has no constraint or index {', '.join(unknown)}")
    resting = _resting_on(system.metadata, frozenset(dropped))
    with transaction(target, (*system.schemas, OURS), checks_foreign_keys=False) as connection:
        _match(connection, system, without=frozenset(dropped) | resting)
        put_note(connection, f"bug:{system.name}", bug)


def restore(target: Target, system: Application) -> None:
    """Make every constraint and index again that the system declares and the database lacks.

    Raises:
        SeedError: the data does not allow one, since a bug has broken it.
    """
    with transaction(target, (*system.schemas, OURS), checks_foreign_keys=False) as connection:
        _match(connection, system, without=frozenset())


def is_matched(target: Target, system: Application, dropped: tuple[str, ...] = ()) -> bool:
    """Return whether plant, or restore where nothing is dropped, would alter no table; only reads."""
    declared = {item_name(table, item) for table, item in declared_items(system.metadata, target.dialect)}
    without = frozenset(dropped) | _resting_on(system.metadata, frozenset(dropped))
    return set(find_missing(target, system.metadata)) == declared & without


def find_missing(target: Target, metadata: MetaData) -> list[str]:
    """Return the constraints and indexes that the metadata declares and the database lacks, as "table.name"; only reads."""
    engine = target.sqlalchemy_engine(schemas_of(metadata), purpose=Purpose.OWN)
    try:
        with engine.connect() as connection:
            present = _present(connection, metadata)
    finally:
        engine.dispose()
    return sorted({item_name(table, item) for table, item in declared_items(metadata, target.dialect)} - present)


def strip(connection: Connection, metadata: MetaData) -> None:
    """Leave out what slows loading down: keys, unique and foreign ones, and indexes; on SQLite the indexes only.

    Measured on PostgreSQL 18: loading a million rows and indexing them afterwards takes half the time.
    """
    alters_constraints = find_engine(connection.dialect.name).alters_constraints
    for table, item in reversed(declared_items(metadata)):
        if isinstance(item, Index) or (alters_constraints and not isinstance(item, CheckConstraint)):
            _drop(connection, table, item)


def complete(connection: Connection, system: Application) -> None:
    """Make what strip left out."""
    _match(connection, system, without=frozenset())


def _match(connection: Connection, system: Application, *, without: AbstractSet[str]) -> None:
    """Give every table exactly what the system declares, without some."""
    bug = find_note(connection, f"bug:{system.name}")  # before a failure, after which PostgreSQL answers nothing
    try:
        if find_engine(connection.dialect.name).alters_constraints:
            _match_by_altering(connection, system.metadata, without)
        else:
            rebuilt = _match_by_rebuilding(connection, system.metadata, without)
            note_rebuilt(connection, system.name, [(schema_of(table), table.name) for table in rebuilt])
    except IntegrityError as error:
        reason = " ".join(str(error.orig).split())
        broken = f"bug {bug!r} has broken the data of {system.name}" if bug else f"{system.name} holds bad data"
        raise SeedError(
            f"{broken}: a constraint that was left out cannot be made again: {reason}",
            hint=f"Make the data anew: {typed(f'seed --system {system.name} --replace')}",
        ) from None


def _match_by_altering(connection: Connection, metadata: MetaData, without: AbstractSet[str]) -> None:
    present = _present(connection, metadata)
    for table, item in reversed(declared_items(metadata)):
        if item_name(table, item) in present & without:
            _drop(connection, table, item)
    for table, item in declared_items(_copy(metadata)):
        if item_name(table, item) not in present | without:
            connection.execute(CreateIndex(item) if isinstance(item, Index) else AddConstraint(item))


def _match_by_rebuilding(connection: Connection, metadata: MetaData, without: AbstractSet[str]) -> set[Table]:
    """Return the tables that were made anew for it."""
    present, declared = _present(connection, metadata), declared_items(metadata, connection.dialect.name)
    wanted = {item_name(table, item) for table, item in declared} - without
    rebuilt = {
        table
        for table, item in declared
        if not isinstance(item, Index) and (item_name(table, item) in present) != (item_name(table, item) in wanted)
    }
    for table in rebuilt:
        _rebuild(connection, table, without)
    for table in rebuilt:  # when all that they refer to is there
        _check_references(connection, table)
    for table, item in declared:
        if isinstance(item, Index):
            name, is_present = item_name(table, item), item_name(table, item) in present and table not in rebuilt
            if name in wanted and not is_present:
                connection.execute(CreateIndex(item))
            elif is_present and name not in wanted:
                connection.execute(DropIndex(item))
    return rebuilt


def _rebuild(connection: Connection, table: Table, without: AbstractSet[str]) -> None:
    """Make a table anew, without some of its constraints, and without indexes."""
    scratch = _copy(table.metadata)
    new = table.to_metadata(scratch, name=f"rebuilt_{table.name}")
    for item in list(new.constraints):
        if f"{name_of(table)}.{item.name}" in without:
            new.constraints.discard(item)
    connection.execute(CreateTable(new))
    names = [column.name for column in table.columns]
    connection.execute(insert(new).from_select(names, select(table)))
    connection.execute(DropTable(table))
    connection.exec_driver_sql(f"alter table {located(new, connection.dialect.name)} rename to {quoted(table.name)}")


def _check_references(connection: Connection, table: Table) -> None:
    if orphan := find_engine(connection.dialect.name).catalogue.find_orphan(connection, table):
        raise IntegrityError(None, None, ValueError(f"row {orphan[0]} of {table.name} refers to no row of {orphan[1]}"))


def _drop(connection: Connection, table: Table, item: Item) -> None:
    if isinstance(item, Index):
        connection.execute(DropIndex(item))
    else:  # not DropConstraint: it would take the constraint out of the metadata for good
        place = located(table, connection.dialect.name)
        connection.exec_driver_sql(f"alter table {place} drop constraint {quoted(own_name(table, item))}")


def _resting_on(metadata: MetaData, names: AbstractSet[str]) -> frozenset[str]:
    """Return the foreign keys that refer to what one of these makes unique, and could not be without it."""
    declared = declared_items(metadata)
    keys = {
        (table, frozenset(item.columns))
        for table, item in declared
        if isinstance(item, ColumnCollectionConstraint | Index) and item_name(table, item) in names
    }
    return frozenset(
        item_name(table, item)
        for table, item in declared
        if isinstance(item, ForeignKeyConstraint)
        and (item.referred_table, frozenset(element.column for element in item.elements)) in keys
    )


def _present(connection: Connection, metadata: MetaData) -> set[str]:
    """Return the names of the constraints and indexes that the database has, of the metadata's tables."""
    tables = metadata.sorted_tables
    called = {(schema_of(table), table.name): name_of(table) for table in tables}
    found = find_engine(connection.dialect.name).catalogue.find_constraints(connection, tables)
    return {f"{called[table]}.{name}" for table, name in found if table in called}


_KINDS: dict[type, str] = {UniqueConstraint: "key", CheckConstraint: "check", ForeignKeyConstraint: "fkey"}


def _copy(metadata: MetaData) -> MetaData:
    """Return a copy: making or dropping a constraint by itself takes it out of its table's `create table` for good."""
    copy = MetaData(schema=metadata.schema)
    for table in metadata.sorted_tables:
        table.to_metadata(copy)
    return copy

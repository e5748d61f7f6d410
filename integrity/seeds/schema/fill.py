"""Filling tables that are there: all of them in one transaction, or none.

    listen(fill(target, ["public"], wishes, seed=1))

The catalogue is read, sizes follow from what is wished, each table is planned and its first rows are shown to the server:
what cannot be is named. Then rows are made table by table, parents first, and sent by binary COPY. Foreign keys and
plain indexes are put back at the end, when the server checks every row.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psycopg

from integrity.database.bookkeeping import has_bookkeeping
from integrity.database.filled import Filled, FilledTable, current_transaction, note_filled
from integrity.database.made import OURS
from integrity.database.namespace import create_bookkeeping
from integrity.database.removal import remove_rows
from integrity.engines.columns import ColumnValues
from integrity.engines.occupancy import occupy
from integrity.engines.postgresql.bulk import load
from integrity.engines.target import Target
from integrity.engines.transaction import transaction
from integrity.errors import SeedError, UsageError
from integrity.events import Job, Noted
from integrity.numbers import counted
from integrity.seeds.load import SeedAdvanced, SeedingPhase, ahead
from integrity.seeds.schema.catalogue import read_others, read_tables
from integrity.seeds.schema.fitting import check_fit
from integrity.seeds.schema.loosen import loosen, put_back
from integrity.seeds.schema.making import make_all, read_all_held
from integrity.seeds.schema.order import order_plans
from integrity.seeds.schema.plan import Ground, Plan
from integrity.seeds.schema.planner import Planner
from integrity.seeds.schema.rehearsal import rehearse, telling_refusals
from integrity.seeds.schema.sizes import check_memory, derive_sizes
from integrity.seeds.schema.tables import SchemaTable
from integrity.seeds.schema.wishes import ON_THE_LINE, Place, Wishes
from integrity.sql.name import literal
from integrity.typed import typed

if TYPE_CHECKING:
    from sqlalchemy import Connection

UNIT = "rows"


@dataclass(frozen=True, slots=True)
class SchemaSeeded:
    """What was filled.

    Args:
        name: the schemas.
        row_counts: full name of a table -> rows that were added; parents first.
        rows_s, indexes_s: seconds of the phases.
        violated: name of an invariant of the project -> its rows that are wrong now.
        unjudged: those that could not be asked in a short time.
        removed: full name of a table -> rows that are gone, of an earlier one and of runs.
    """

    name: str
    seed: int
    row_counts: Mapping[str, int]
    rows_s: float
    indexes_s: float
    violated: Mapping[str, int] = field(default_factory=dict)
    unjudged: Sequence[str] = ()
    removed: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def row_count(self) -> int:
        return sum(self.row_counts.values())


def check_wishes(target: Target, wishes: Wishes, *, schemas: Sequence[str], place: Place) -> None:
    """Refuse wishes of tables and columns that there are not; nothing is changed.

    Raises:
        UsageError: names it, and what was meant perhaps; or there is no such schema, or the target is not PostgreSQL.
        DatabaseError: the server refused to be read.
    """
    _check_engine(target)
    with transaction(target) as connection:
        driver = connection.connection.driver_connection
        assert isinstance(driver, psycopg.Connection)
        driver.execute("set local search_path to pg_catalog")
        check_fit(wishes, read_tables(driver, schemas), others=read_others(driver, schemas), place=place)


def _check_engine(target: Target) -> None:
    if not target.engine.speaks_postgresql:
        raise UsageError(
            f"{target}: tables are filled on PostgreSQL only", hint="The reference systems are seeded on SQLite, too."
        )


def fill(
    target: Target,
    wishes: Wishes,
    *,
    schemas: Sequence[str],
    seed: int,
    place: Place = ON_THE_LINE,
    earlier: Sequence[Filled] = (),
) -> Job[SchemaSeeded]:
    """Fill the tables of some schemas; the same seed, wishes and tables make the same rows.

    Args:
        place: where the wishes were made, for messages.
        earlier: what was filled before, and is taken out first.

    Yields:
        SeedAdvanced as it goes, Noted of what people should know.

    Raises:
        UsageError: what is wished cannot be: says what, and what to write instead. Nothing was changed.
        SeedError: a table that is to be filled holds rows.
        DatabaseError: the server refused something; nothing was changed.
    """
    _check_engine(target)
    name = ",".join(schemas)
    with (
        occupy(target, f"seed --schema {name}", is_exclusive=bool(earlier)),
        transaction(target, (OURS,)) as connection,
    ):
        removed = remove_rows(connection, earlier) if earlier else {}
        driver = connection.connection.driver_connection
        assert isinstance(driver, psycopg.Connection)
        started = time.perf_counter()
        driver.execute("set local search_path to pg_catalog")
        tables = read_tables(driver, schemas)
        check_fit(wishes, tables, others=read_others(driver, schemas), place=place)
        sizes = derive_sizes(tables, wishes)
        _check_tables(tables, sizes)
        # Functions in checks and defaults are the application's, and may look for others where it does.
        driver.execute("set local search_path to default")
        ground = Ground(driver, tables, sizes, wishes, seed)
        plans = {table: Planner(ground, tables[table]).plan() for table in sizes if sizes[table]}
        ordered = order_plans(plans)
        held = read_all_held(ground, ordered)
        total = sum(plan.count for plan in ordered)
        yield SeedAdvanced(name, SeedingPhase.ROWS, UNIT, 0, total)
        made = rehearse(ground, ordered, held)
        driver.execute("set local search_path to pg_catalog")
        loosened = loosen(driver, [plan.table for plan in ordered], [plan.count for plan in ordered])
        driver.execute("set local search_path to default")
        for table in tables.values():
            if table.is_closed:
                yield Noted(f"{table.full_name} has no partition, and stays empty.")
        if loosened.triggers:
            yield Noted(
                f"{counted(loosened.triggers, 'trigger does', 'triggers do')} not fire while the tables are filled."
            )
        counts: dict[str, int] = {}
        for plan, columns in ahead(make_all(ground, ordered, held, made)):
            with telling_refusals(plan.table):
                counts[plan.table.full_name] = count = _send(driver, plan, columns)
            if count < plan.count:
                few = f"{plan.table.full_name}: {counted(count, 'row')} of the {plan.count:,} that its parents would have"
                yield Noted(f"{few}: no more differ in what must be unique.")
            yield SeedAdvanced(name, SeedingPhase.ROWS, UNIT, min(total, sum(counts.values())), total)
        loaded = time.perf_counter()
        yield SeedAdvanced(name, SeedingPhase.INDEXES, UNIT, total, total)
        with telling_refusals():
            put_back(driver, loosened)
        _go_on_after(driver, ordered)
        _note(connection, name, seed, ordered, counts)
    return SchemaSeeded(name, seed, counts, loaded - started, time.perf_counter() - loaded, removed=removed)


def _check_tables(tables: Mapping[str, SchemaTable], sizes: Mapping[str, int]) -> None:
    for name, size in sizes.items():
        table = tables[name]
        check_memory(table, size)
        if size and table.is_filled:
            raise SeedError(
                f"{name} holds rows already",
                hint=f"Rows that seed made go with `{typed('rollback')}`. A table that is not named is left as it is, and "
                "its rows are referred to.",
            )
        if size and table.is_closed:
            raise UsageError(f"{name} has no partition that takes rows", hint="Make one first, or leave it empty.")
        if size and not table.is_owned:
            raise UsageError(
                f"{name} belongs to another role, and its foreign keys cannot be taken off while it is filled",
                hint=f"Connect as its owner, or leave it empty: --rows {table.name}=0",
            )


def _send(connection: "psycopg.Connection[Any]", plan: Plan, columns: Sequence[ColumnValues]) -> int:
    """Send the rows of a table; return how many."""
    if columns:
        return load(connection, plan.table.schema, plan.table.name, columns, is_new=False)
    # Rows of a table that gives none of its columns a value have no form in COPY.
    connection.execute(f"insert into {plan.table.located} select from generate_series(1, {plan.count})".encode())
    return plan.count


def _go_on_after(connection: "psycopg.Connection[Any]", plans: Sequence[Plan]) -> None:
    """Let sequences go on after the numbers that were given, and let the planner know the tables."""
    for plan in plans:
        for name, numbering in plan.numbered.items():
            column = plan.table.columns[name]
            if column.sequence:
                following = int(numbering.tell(plan.count))
                connection.execute(f"select pg_catalog.setval({literal(column.sequence)}, {following}, false)".encode())
        connection.execute(f"analyze {plan.table.located}".encode())


def _note(connection: "Connection", name: str, seed: int, plans: Sequence[Plan], counts: Mapping[str, int]) -> None:
    if not has_bookkeeping(connection):
        create_bookkeeping(connection)
    tables = [
        FilledTable(plan.table.schema, plan.table.name, plan.table.oid, counts[plan.table.full_name], _key_of(plan, counts))
        for plan in plans
    ]
    note_filled(connection, Filled(name, seed, current_transaction(connection), tables))


def _key_of(plan: Plan, counts: Mapping[str, int]) -> tuple[str, int, int] | None:
    """Return the whole number that a table's rows are known by, with the first and the last."""
    for unique in plan.table.uniques:
        if unique.is_primary and len(unique.columns) == 1 and unique.columns[0] in plan.numbered:
            numbering = plan.numbered[unique.columns[0]]
            if numbering.is_ordered and plan.table.columns[unique.columns[0]].type.base in ("int2", "int4", "int8"):
                count = counts[plan.table.full_name]
                return unique.columns[0], int(numbering.tell(0)), int(numbering.tell(max(0, count - 1)))
    return None

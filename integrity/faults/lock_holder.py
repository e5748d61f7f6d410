"""Somebody holds a lock: a forgotten transaction, a migration, a report."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import Table

from integrity.database.names import name_of
from integrity.engines.places import schema_of
from integrity.engines.transaction import refusal
from integrity.errors import UsageError
from integrity.faults.fault import KEPT, MONEY, ChoiceArgument, Fault, Given, Name, Need, Number, number, word
from integrity.faults.scene import Scene

LOCK_TIMEOUT_S = 5


@asynccontextmanager
async def inject(scene: Scene, given: Given) -> AsyncIterator[None]:
    """Hold the lock in a transaction that does nothing else."""
    table = find_table(scene, given)
    patience_s = number(given, "patience_s")
    with scene.conduct.changed(patience_s=patience_s or None):
        holder, count = await asyncio.to_thread(_lock, scene, table, word(given, "of"), int(number(given, "rows")))
        scene.counts[f"{word(given, 'of')} of {table.name} locked"] += count
        try:
            yield
        finally:
            await asyncio.to_thread(holder.close)  # and so rolled back


def find_table(scene: Scene, given: Given) -> Table:
    """Return the table that is named; without a name the one that most others refer to.

    Raises:
        UsageError: the system has no such table.
    """
    tables = {name_of(table): table for table in scene.system.metadata.sorted_tables}
    name = word(given, "table")
    if not name:
        return max(tables.values(), key=lambda table: sum(_refers(other, table) for other in tables.values()))
    if name not in tables:
        raise UsageError(
            f"fault lock_holder: table={name}: {scene.system.name} has no such table", hint=f"It has {', '.join(tables)}."
        )
    return tables[name]


def _refers(table: Table, other: Table) -> bool:
    return any(key.column.table is other for key in table.foreign_keys)


def _lock(scene: Scene, table: Table, of: str, row_count: int) -> tuple["psycopg.Connection[Any]", int]:
    """Return the connection that holds the lock, and how many it is."""
    name = sql.Identifier(schema_of(table), table.name)
    holder = scene.target.connect(application_name="integrity-fault")
    try:
        holder.execute(f"begin; set local lock_timeout = '{LOCK_TIMEOUT_S}s'".encode())
        if of == "table":
            holder.execute(sql.SQL("lock table {} in access exclusive mode").format(name))
            return holder, 1
        # The newest rows are the hot ones. What is locked by somebody else is passed over: whoever waits may deadlock.
        keys = sql.SQL(", ").join(sql.SQL("{} desc").format(sql.Identifier(key.name)) for key in table.primary_key)
        query = sql.SQL("select 1 from {} order by {} limit {} for update skip locked")
        return holder, len(holder.execute(query.format(name, keys, sql.Literal(row_count))).fetchall())
    except psycopg.Error as error:
        holder.close()
        raise refusal(scene.target, error) from None


def check(scene: Scene, given: Given) -> None:
    """Raise UsageError where there is no such table."""
    find_table(scene, given)


FAULT = Fault(
    name="lock_holder",
    title="a transaction of somebody else holds rows or a whole table",
    question="Is what waited, or gave up waiting, done once and whole?",
    invariants=(*KEPT, *MONEY),
    inject=inject,
    needs=frozenset({Need.POSTGRESQL}),
    arguments={
        "of": ChoiceArgument("what is locked", ("rows", "table")),
        "table": Name("which table; none: the one that most others refer to", ""),
        "rows": Number("how many, the newest", 100.0, 1.0, 1_000_000.0),
        "patience_s": Number("seconds after which a client gives up and hangs up; 0: it waits", 0.0, 0.0, 3600.0),
    },
    check=check,
)

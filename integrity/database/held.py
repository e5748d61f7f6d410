"""Which rows of others' tables are ours: those that seed put there, and those that calls of runs have written.

A row is a call's that holds what the call's operation marks its rows with (marks.py). All others are somebody else's, also
where a call's id stands in one: whether the call inserted that row or wrote its id into one that was there, nobody can tell
who was not told.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import text

from integrity.database.filled import Filled
from integrity.database.marks import Marks
from integrity.engines.places import TableName
from integrity.sql.name import literal, quoted

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True, slots=True)
class _Known:
    """How rows of calls are known.

    Args:
        column: of the row, called t.
        value: of a call, that it is equal to.
        where: which calls are asked.
    """

    column: str
    value: str
    where: str = "true"

    @property
    def values(self) -> str:
        """The query of system and value."""
        return (
            f"select runs.system, {self.value} as value from integrity.calls as calls "
            f"join integrity.runs as runs on runs.run_id = calls.run_id where {self.where} and {self.value} is not null"
        )

    @property
    def condition(self) -> str:
        return f"{self.column} in (select value from ({self.values}) as known)"


@dataclass(frozen=True, slots=True)
class Held:
    """A table that may hold rows that go.

    Args:
        by_seed: the condition under which a row, called t, was made by seed.
        known: how rows of calls are.
        is_filled: seed filled it.
    """

    schema: str
    table: str
    by_seed: str
    known: Sequence[_Known]
    is_filled: bool

    @property
    def name(self) -> str:
        return f"{self.schema}.{self.table}"

    @property
    def located(self) -> str:
        return f"{quoted(self.schema)}.{quoted(self.table)}"

    @property
    def goes(self) -> str:
        """The condition under which a row goes; never null, where a column is."""
        return f"coalesce({' or '.join([self.by_seed, *(each.condition for each in self.known)])}, false)"


def find_held(connection: "Connection", found: Sequence[Filled], marks: Sequence[Marks]) -> dict[int, Held]:
    """Return by their oids the tables that seed filled or calls marked, and those that refer to them, however far."""
    filled = _find_filled(connection, found)
    marked = _find_marked(connection, marks)
    oids = list(dict.fromkeys([*filled, *marked]))
    referring = connection.execute(_REFERRING, {"oids": oids}).all() if oids else []
    known: dict[int, list[_Known]] = {oid: list(marked.get(oid, ())) for oid, _, _ in referring}
    return {
        oid: Held(schema, name, f"({' or '.join(filled.get(oid, ['false']))})", known[oid], oid in filled)
        for oid, schema, name in sorted(referring, key=lambda row: oids.index(row[0]) if row[0] in oids else len(oids))
    }


def find_oids(connection: "Connection", places: Sequence[TableName]) -> dict[TableName, int]:
    """Return the oids of those of these tables that are there."""
    rows = connection.execute(_OIDS, {"schemas": sorted({schema for schema, _ in places})})
    return {(schema, name): oid for schema, name, oid in rows if (schema, name) in places}


def _find_filled(connection: "Connection", found: Sequence[Filled]) -> dict[int, list[str]]:
    """Return by table the conditions of what seed made there; another table of its name is left out."""
    there = find_oids(connection, [(table.schema, table.name) for filled in found for table in filled.tables])
    conditions: dict[int, list[str]] = {}
    for filled in found:
        for table in filled.tables:
            if there.get((table.schema, table.name)) == table.oid:
                conditions.setdefault(table.oid, []).append(table.is_ours("t", filled.transaction))
    return conditions


def _find_marked(connection: "Connection", marks: Sequence[Marks]) -> dict[int, list[_Known]]:
    """Return how rows of calls are known, of tables and columns that are there."""
    there = find_oids(connection, [(row.schema, row.table) for each in marks for row in each.rows])
    columns = set(map(tuple, connection.execute(_COLUMNS, {"oids": list(there.values())}))) if there else set()
    found: dict[int, list[_Known]] = {}
    for each in marks:
        for row in each.rows:
            oid = there.get((row.schema, row.table), 0)
            if (oid, row.column) in columns:
                asked = f"runs.system = {literal(each.system)} and calls.operation = {literal(row.operation)}"
                found.setdefault(oid, []).append(_Known(f"t.{quoted(row.column)}::text", row.value, asked))
    return found


def find_systems(connection: "Connection", held: Mapping[int, Held]) -> list[str]:
    """Return the systems whose runs wrote rows that go."""
    found = set[str]()
    for each in held.values():
        for known in each.known:
            query = f"""
                select distinct known.system from ({known.values}) as known
                where known.value in (select {known.column} from {each.located} as t)
            """
            found.update(connection.exec_driver_sql(query).scalars())
    return sorted(found)


_OIDS = text(
    """
    select nspname::text, relname::text, pg_class.oid::int8
    from pg_catalog.pg_class
    join pg_catalog.pg_namespace on pg_namespace.oid = relnamespace
    where nspname = any (:schemas) and relkind in ('r', 'p')
    """
)

_COLUMNS = text(
    """
    select attrelid::int8, attname::text from pg_catalog.pg_attribute
    where attrelid = any (:oids) and attnum > 0 and not attisdropped
    """
)

_REFERRING = text(
    """
    with recursive referring (oid) as (
        select unnest(cast(:oids as int8[]))
        union
        select conrelid::int8 from pg_catalog.pg_constraint
        join referring on confrelid = referring.oid
        where contype = 'f' and conparentid = 0
    )
    select pg_class.oid::int8, nspname::text, relname::text
    from referring
    join pg_catalog.pg_class on pg_class.oid = referring.oid
    join pg_catalog.pg_namespace on pg_namespace.oid = relnamespace
    order by 1
    """
)
"""The tables themselves, and those that refer to them, however far."""

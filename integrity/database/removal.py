"""Taking out of others' tables what seed put there, and what calls of runs have written beside it; nothing else.

Which rows those are is said in held.py. Rows of others that refer to rows that would go are counted before anything goes:
neither are they removed, nor does a foreign key set a column of theirs to null.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import text

from integrity.database.bookkeeping import drop_runs_of, read_notes
from integrity.database.filled import KEY, XIDS, Filled
from integrity.database.held import Held, find_held, find_oids, find_systems
from integrity.database.marks import KEY as MARKS
from integrity.database.marks import Marks, find_marks
from integrity.engines.known import find_engine
from integrity.engines.places import TableName
from integrity.errors import DatabaseError
from integrity.numbers import counted
from integrity.sql.name import literal, quoted

if TYPE_CHECKING:
    from sqlalchemy import Connection

SHOWN_MOST = 5


@dataclass(frozen=True, slots=True)
class Staying:
    """Rows that runs may have made, and that stay: nothing tells them from others'.

    A row keeps which transaction wrote it last, and not whether that inserted or changed it: one that was there before
    every run is among them once a call has changed it. So nothing here says how to delete them.

    Args:
        table: with its schema.
        count: those that were inserted or changed since the first run began.
        statement: that shows them.
        may_be_changed: those that calls have only changed are among them; else all were inserted.
    """

    table: str
    count: int
    statement: str
    may_be_changed: bool = True


@dataclass(frozen=True, slots=True)
class Emptied:
    """What a removal takes out of tables of others, and what it leaves.

    Args:
        going: table with its schema -> its rows that go: those that seed made, and those that calls of runs wrote.
        staying: beside them.
    """

    going: Mapping[str, tuple[int, int]]
    staying: Sequence[Staying] = ()


def holds_rows(notes: Mapping[str, str]) -> bool:
    """Whether tables of others may hold rows of ours, as the notes say."""
    return any(key.startswith((KEY, MARKS)) for key in notes)


def remove_rows(connection: "Connection", found: Sequence[Filled]) -> Mapping[str, tuple[int, int]]:
    """Take out of the tables the rows that we put in, and those that calls of runs wrote there, or have marked as theirs.

    Runs whose rows go are forgotten. Returned is what went, as in Emptied.

    Raises:
        DatabaseError: rows of others rest on ours; nothing was changed.
    """
    marks = find_marks(read_notes(connection))
    held = find_held(connection, found, marks)
    going: Mapping[str, tuple[int, int]] = {}
    if held:
        located = ", ".join(each.located for each in held.values())
        connection.exec_driver_sql(f"lock table {located} in access exclusive mode")
        triggers = connection.execute(_TRIGGERS, {"oids": list(held)}).all()
        for off, _ in triggers:
            connection.exec_driver_sql(off)
        going = _count_going(connection, held)
        _remove_held(connection, held)
        for _, on in triggers:
            connection.exec_driver_sql(on)
    for filled in found:
        connection.execute(text("delete from integrity.notes where key = :key"), {"key": f"{KEY}{filled.name}"})
    return going


def count_emptied(connection: "Connection", found: Sequence[Filled], notes: Mapping[str, str]) -> Emptied:
    """Return what would go, and what would stay beside it; only read.

    A table of which nothing would go and that seed did not fill is left out.
    """
    marks = find_marks(notes)
    held = find_held(connection, found, marks)
    return Emptied(_count_going(connection, held), _find_staying(connection, held, marks))


def find_numbered(connection: "Connection", numbers: Mapping[TableName, int]) -> list[Staying]:
    """Return the rows that came into tables of others since the first run, where the database only numbers them: they stay.

    Args:
        numbers: of tables that are there: the last number before that run.
    """
    rows_after = find_engine(connection.dialect.name).catalogue.rows_after
    found = []
    for place, last in sorted(numbers.items()):
        which = rows_after(place, last)
        if count := int(connection.exec_driver_sql(f"select count(*) {which}").scalar_one()):
            found.append(Staying(".".join(place), count, f"select * {which}", may_be_changed=False))
    return found


def _count_going(connection: "Connection", held: Mapping[int, Held]) -> Mapping[str, tuple[int, int]]:
    going = {}
    for each in held.values():
        query = f"""
            select count(*) filter (where {each.by_seed}), count(*) filter (where not {each.by_seed})
            from {each.located} as t where {each.goes}
        """
        by_seed, by_runs = connection.exec_driver_sql(query).one()
        if each.is_filled or by_runs:
            going[each.name] = (int(by_seed), int(by_runs))
    return going


def _find_staying(connection: "Connection", held: Mapping[int, Held], marks: Sequence[Marks]) -> list[Staying]:
    since: dict[tuple[str, str], int] = {}
    partly = set(connection.exec_driver_sql(_PARTLY_KNOWN).scalars())
    for each in marks:
        of_calls = {(row.schema, row.table) for row in each.rows if each.system in partly}
        for place in {*each.unmarked, *of_calls}:
            since[place] = min(each.since, since.get(place, each.since))
    found = []
    for (schema, name), oid in sorted(find_oids(connection, list(since)).items()):
        located = f"{quoted(schema)}.{quoted(name)}"
        written = f"age(t.xmin) <= age('{since[schema, name] % XIDS}'::xid)"
        goes = held[oid].goes if oid in held else "false"
        query = f"select count(*) from {located} as t where {written} and not {goes}"
        if count := int(connection.exec_driver_sql(query).scalar_one()):
            found.append(Staying(f"{schema}.{name}", count, f"select * from {located} as t where {written}"))
    return found


def _remove_held(connection: "Connection", held: Mapping[int, Held]) -> None:
    systems = find_systems(connection, held)
    if any(_holds_others(connection, each) for each in held.values()):
        _check_nothing_rests(connection, held)
        # One statement, at whose end foreign keys are looked at: tables may refer to each other in a circle.
        deletes = [f"delete from {each.located} as t where {each.goes}" for each in held.values()]
        parts = ", ".join(f"part_{number} as ({delete})" for number, delete in enumerate(deletes))
        connection.exec_driver_sql(f"with {parts} select 1")
    else:
        connection.exec_driver_sql(f"truncate {', '.join(each.located for each in held.values())}")
    for system in systems:
        drop_runs_of(connection, system)


def _holds_others(connection: "Connection", table: Held) -> bool:
    query = f"select exists (select from {table.located} as t where not {table.goes})"
    return bool(connection.exec_driver_sql(query).scalar_one())


def _check_nothing_rests(connection: "Connection", held: Mapping[int, Held]) -> None:
    """Raise where rows that stay refer to rows that go.

    How to delete them is not told: rows of calls whose operation does not mark them, or marks them wrongly, are among them.
    """
    resting: dict[str, tuple[int, list[str], str]] = {}
    for child_oid, parent_oid, columns, referred in connection.execute(_REFERENCES, {"oids": list(held)}):
        child, parent = held[child_oid], held[parent_oid]
        given = ", ".join(f"t.{quoted(column)}" for column in columns)
        keys = ", ".join(f"t.{quoted(column)}" for column in referred)
        stays = f"({given}) in (select {keys} from {parent.located} as t where {parent.goes})"
        if child is parent or _holds_others(connection, child):
            rests = f"from {child.located} as t where not {child.goes} and {stays}"
            count, referred_count = connection.exec_driver_sql(f"select count(*), count(distinct ({given})) {rests}").one()
            if count:
                most, parents, shown = resting.get(child.name, (0, [], ""))
                parents.append(f"{counted(referred_count, 'row')} of {parent.name}")
                resting[child.name] = (
                    max(most, count),
                    parents,
                    shown or _showing(connection, child_oid, child, columns, rests),
                )
    if resting:
        told = [
            f"{name}: {counted(count, 'row')} that others added would go with those that seed or runs made, or lose what "
            f"they refer to: {' and '.join(parents)}"
            for name, (count, parents, _) in resting.items()
        ]
        raise DatabaseError(
            "; ".join(told),
            hint="Nothing was removed. Delete them yourself where they may go; rows of calls are known by what their "
            f"operations mark. To see some: {next(iter(resting.values()))[2]}",
        )


def _showing(connection: "Connection", oid: int, table: Held, columns: Sequence[str], rests: str) -> str:
    """Return a statement that shows the first of these rows: by the table's key, without one by what they refer to."""
    key = list(connection.execute(_KEY_COLUMNS, {"oid": oid}).scalars()) or list(columns)
    named = ", ".join(f"t.{quoted(column)}::text" for column in key)
    rows = connection.exec_driver_sql(f"select distinct {named} {rests} order by {named} limit {SHOWN_MOST}").all()
    values = [[each if each.isdigit() else literal(each) for each in row] for row in rows]
    spelled = [row[0] if len(row) == 1 else f"({', '.join(row)})" for row in values]
    name = quoted(key[0]) if len(key) == 1 else f"({', '.join(map(quoted, key))})"
    return f"select * from {table.located} where {name} in ({', '.join(spelled)})"


_KEY_COLUMNS = text(
    """
    select attname::text from pg_catalog.pg_index
    join pg_catalog.pg_attribute on attrelid = indrelid and attnum = any (indkey)
    where indrelid = :oid and indisprimary
    order by array_position(indkey, attnum)
    """
)

_PARTLY_KNOWN = """
    select distinct system from integrity.runs where state in ('running', 'lost') or calls_until is not null
"""
"""Systems with runs whose calls our books do not have, or not all of them: what marks their rows is not known there."""

_TRIGGERS = text(
    """
    select
        format('alter table %s disable trigger %I', cast(tgrelid as regclass), tgname),
        format(
            'alter table %s enable %s trigger %I',
            cast(tgrelid as regclass), case tgenabled when 'A' then 'always' else '' end, tgname
        )
    from pg_catalog.pg_trigger
    where tgrelid = any (:oids) and not tgisinternal and tgenabled in ('O', 'A') and tgparentid = 0
    """
)

_REFERENCES = text(
    """
    select conrelid::int8, confrelid::int8,
        (select array_agg(attname::text order by place) from unnest(conkey) with ordinality as keys (number, place)
            join pg_catalog.pg_attribute on attrelid = conrelid and attnum = number),
        (select array_agg(attname::text order by place) from unnest(confkey) with ordinality as keys (number, place)
            join pg_catalog.pg_attribute on attrelid = confrelid and attnum = number)
    from pg_catalog.pg_constraint
    where contype = 'f' and conparentid = 0 and conrelid = any (:oids) and confrelid = any (:oids)
    order by conrelid, conname
    """
)

"""A scratch database of PostgreSQL made of the definitions of another one, for tables that nobody described.

Tables are not logged, as those of other scratch databases (postgres_scratch.py), but for partitioned ones, which cannot be
unlogged, and what these refer to. A function may need a table and a table a function, so what is refused is tried again
behind the rest, until nothing more can be made.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from typing import Any

import psycopg

from integrity.database.names import located
from integrity.engines.definitions import Definition
from integrity.engines.places import schema_of
from integrity.engines.postgresql.session_settings import OWN
from integrity.engines.target import Target, mask
from integrity.errors import UsageError
from integrity.operation import Statement
from integrity.race.play.definitions import guards_of, kept_definitions
from integrity.race.play.engine import Scratch
from integrity.systems.reflect import Reflected

_SETTINGS = {**OWN, "check_function_bodies": "off", "synchronous_commit": "off"}
_SPREAD = 1_000_000
NEEDED = frozenset({"schema", "type", "sequence", "table", "constraint", "index", "owner"})
"""Without one of these rows are others than they are in the database."""
_UNLOGGED_SEQUENCES_SINCE = 150_000


def fill_by_definitions(scratch: Scratch, tables: Reflected) -> None:
    """Make everything that the database has; what cannot be made is noted in `tables.missing`.

    Raises:
        UsageError: a table, or what it is made of, cannot be made; there is no such constraint to leave out.
        DatabaseError: no connection.
    """
    definitions = kept_definitions(tables, scratch.dropped)
    logged = _logged_tables(definitions)
    with closing(scratch.target.connect(settings=_SETTINGS)) as connection:
        may_unlog = connection.info.server_version >= _UNLOGGED_SEQUENCES_SINCE
        wanted = [
            (each, _text_of(each, logged, scratch.target, may_unlog=may_unlog)) for each in definitions if each.statements
        ]
        made, reasons = make_all(connection, wanted)
        tables.made = tuple(made)
        for each in reasons:
            if each.kind in NEEDED:
                raise UsageError(
                    f"{scratch.like}: its {each} cannot be made in a scratch database: {reasons[each]}",
                    hint="Race on a copy of the database whose user may make it, e.g. a superuser of a server of your own.",
                )
        unmade = [each for each in definitions if not each.statements]
        tables.missing = tuple(
            [f"{each}: {reason}" for each, reason in reasons.items()]
            + [f"{each}: no statement is known for it" for each in unmade]
        )
        if scratch.is_spread:
            _spread(connection)


def emptying(tables: Reflected) -> Iterator[Statement]:
    """Yield what empties the tables that races have to themselves, before each schedule.

    Of a few rows `delete` takes a tenth of the time of `truncate`, which takes tables that triggers guard, and those that
    refer to one another in a circle.
    """
    raced = tables.raced_tables
    guarded = {(each.schema, each.table) for each in guards_of(tables)}
    before = {table: place for place, table in enumerate(raced)}
    keys = [(table, key.referred_table) for table in raced for key in table.foreign_key_constraints]
    circles = {table for table, referred in keys if before.get(referred, -1) > before[table]}
    cut = [table for table in raced if table in circles or (schema_of(table), table.name) in guarded]
    if cut:
        yield Statement(f"truncate {', '.join(located(table, 'postgresql') for table in cut)} cascade")
    yield from (Statement(f"delete from {located(table, 'postgresql')}") for table in reversed(raced) if table not in cut)


def make_all(
    connection: "psycopg.Connection[Any]", wanted: Sequence[tuple[Definition, str]]
) -> tuple[list[Definition], dict[Definition, str]]:
    """Make what the statements say; return what was made, in the order in which that went, and why the rest was refused."""
    made: list[Definition] = []
    left = list(wanted)
    while left:
        reasons: dict[Definition, str] = {}
        refused = [(each, text) for each, text in left if not _is_made(connection, each, text, reasons)]
        if len(refused) == len(left):
            return made, reasons
        made += [each for each, _ in left if each not in reasons]
        left = refused
    return made, {}


def _is_made(connection: "psycopg.Connection[Any]", each: Definition, text: str, reasons: dict[Definition, str]) -> bool:
    try:
        connection.execute(text.encode())
    except psycopg.Error as error:
        reasons[each] = mask(" ".join(str(error.diag.message_primary or error).split()))
        return False
    return True


def _text_of(each: Definition, logged: Iterable[tuple[str, str]], target: Target, *, may_unlog: bool) -> str:
    """Return the statements as one text, which is one transaction."""
    text = ";\n".join(each.statements)
    if each.kind == "setting":
        return re.sub(r'^alter database (?:"(?:[^"]|"")*"|\S+) set', f'alter database "{target.url.database}" set', text)
    if each.kind == "table" and (each.schema, each.name) not in logged:
        return text.replace("create table", "create unlogged table", 1)
    return text.replace("create sequence", "create unlogged sequence", 1) if each.kind == "sequence" and may_unlog else text


def _logged_tables(definitions: Sequence[Definition]) -> set[tuple[str, str]]:
    """Return the partitioned tables, and what they refer to, directly or by others."""
    tables = [each for each in definitions if each.kind == "table"]
    logged = {(each.schema, each.name) for each in tables if " partition by " in "".join(each.statements)}
    places = {each.place: (each.schema, each.table) for each in definitions if each.kind in ("constraint", "index")}
    keys = [each for each in definitions if each.rests_on]
    while (
        more := {places[key.rests_on] for key in keys if (key.schema, key.table) in logged and key.rests_on in places}
        - logged
    ):
        logged |= more
    return logged


def _spread(connection: "psycopg.Connection[Any]") -> None:
    """Let each column that a sequence numbers begin at a million of its own, as far as its type goes."""
    connection.execute(_SPREAD_SEQUENCES.encode(), {"step": _SPREAD})


_SPREAD_SEQUENCES = """
    select pg_catalog.setval(numbered.id, numbered.place * %(step)s)
    from (
        select s.seqrelid::regclass as id, s.seqmax as most, row_number() over (order by s.seqrelid) as place
        from pg_catalog.pg_sequence as s
        join pg_catalog.pg_depend as d
            on d.objid = s.seqrelid and d.classid = 'pg_catalog.pg_class'::regclass and d.deptype in ('a', 'i')
            and d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjsubid > 0
        where s.seqincrement > 0 and not s.seqcycle and s.seqmax >= 2 * %(step)s
    ) as numbered
    where (numbered.place + 1) * %(step)s <= numbered.most
"""

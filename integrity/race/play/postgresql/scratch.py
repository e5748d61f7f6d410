"""Scratch databases of PostgreSQL: their tables are not logged, and each numbers its rows from a million of its own on."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

from sqlalchemy import MetaData
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateTable
from sqlalchemy.sql.compiler import DDLCompiler

from integrity.database.constraints import plant
from integrity.database.namespace import create_schemas
from integrity.engines.postgresql.session_settings import OWN
from integrity.operation import Statement
from integrity.race.play.engine import Ask, Scratch
from integrity.race.play.postgresql.definitions import fill_by_definitions
from integrity.systems.reflect import Reflected


def fill(scratch: Scratch) -> None:
    """Make the tables of a scratch database."""
    if isinstance(scratch.system.metadata, Reflected):
        fill_by_definitions(scratch, scratch.system.metadata)
    else:
        _fill_as_described(scratch)
    with closing(scratch.target.connect(settings=OWN)) as connection:
        connection.execute(WITHOUT_AUTOVACUUM)


WITHOUT_AUTOVACUUM = """
    do $$
    declare
        made regclass;
    begin
        for made in
            select c.oid
            from pg_catalog.pg_class as c
            join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
            where c.relkind in ('r', 'm') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
                and pg_catalog.pg_has_role(c.relowner, 'usage')
        loop
            execute pg_catalog.format(
                'alter table %s set (autovacuum_enabled = false, toast.autovacuum_enabled = false)', made
            );
        end loop;
    end
    $$
"""
"""What a search comes to hangs on its schedules. A worker that analyzed the tables in its midst, which hangs on the clock,
gave their statements other plans: these read and lock other rows, and schedules of serializable calls did not come about
again."""


def _fill_as_described(scratch: Scratch) -> None:
    metadata = MetaData()
    number = 0
    for table in scratch.system.metadata.sorted_tables:
        copy = table.to_metadata(metadata)
        copy.info[_UNLOGGED] = True
        for column in copy.columns:
            if column.identity and scratch.is_spread:
                number += 1
                column.identity.start = number * 1_000_000 + 1
    create_schemas(scratch.target, [replace(scratch.system, metadata=metadata)])
    if scratch.dropped:
        plant(scratch.target, scratch.system, scratch.dropped, bug=scratch.bug)


def empty(names: Sequence[str]) -> list[Statement]:
    """Return the statement that empties the tables."""
    return [Statement(f"truncate {', '.join(names)}")]


def begin_anew(ask: Ask, names: Sequence[str]) -> list[Statement]:
    """Return the statements after which the tables hold nothing and what numbers their rows begins as it does now.

    All are emptied by one statement, at whose end foreign keys are checked, so that their order does not matter. With few
    rows in the 11 tables of ghostpass and in our books that takes less than a millisecond; `truncate` takes 31, and has the
    plans of 32 invariants made anew, which takes 70. It is taken where a trigger of the system's own would be told of each
    row.
    """
    triggers, sequences = ask([_TRIGGERS, _SEQUENCES])
    deletes = ", ".join(f"emptied_{number} as (delete from {name})" for number, name in enumerate(names))
    emptied = empty(names)[0] if triggers.rows else Statement(f"with {deletes} select")
    restarts = ", ".join(row["restart"] for row in sequences.rows)
    return [emptied, *([Statement(f"select {restarts}")] if restarts else [])]


def relax(_ask: Ask) -> list[Statement]:
    """Return what a connection is told that has nothing to lose: its commits need not be on disk."""
    return [Statement("set synchronous_commit = off")]


_TRIGGERS = Statement("select tgname from pg_catalog.pg_trigger where not tgisinternal")
_SEQUENCES = Statement("""
select format('pg_catalog.setval(%L, %s, false)', format('%I.%I', schemaname, sequencename), start_value) as restart
from pg_catalog.pg_sequences
order by schemaname, sequencename
""")
_UNLOGGED = "unlogged"


@compiles(CreateTable, "postgresql")
def _create_unlogged(element: CreateTable, compiler: DDLCompiler, **options: Any) -> str:
    """Keep tables out of the write-ahead log that are marked so: nothing of them is to survive.

    That is quick, and more: every 32nd value that a logged sequence gives makes the server write a record, for which it
    gives the transaction an id. So a call that inserted nothing, `on conflict do nothing`, would now and then look as if it
    had written, and its commit would be a letter of the schedule.
    """
    text: str = compiler.visit_create_table(element, **options)  # type: ignore[no-untyped-call]  # SQLAlchemy says nothing
    return text.replace("CREATE TABLE", "CREATE UNLOGGED TABLE", 1) if element.element.info.get(_UNLOGGED) else text

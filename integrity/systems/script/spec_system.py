"""A file of isolationtester's as a system: its setup makes the tables and the rows, each session is an operation.

The file is read as it is. Its permutations are left aside: the orders of the sessions' steps are what a race searches. What
a session leaves open at its end is rolled back, as when it disconnects. What its client is told are the rows that its steps
are given.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import text

from integrity.database.names import full_name
from integrity.engines.target import Target
from integrity.errors import UsageError
from integrity.operation import Operation
from integrity.sql.file import shown_path
from integrity.sql.header import TextFault
from integrity.sql.place import describe_place
from integrity.systems.reflect import Reflected, reflect
from integrity.systems.script.body import read_body, sent_by
from integrity.systems.script.playing import Play
from integrity.systems.script.spec import Spec, SpecSession, load_spec
from integrity.systems.stage import Stage, StagedRow
from integrity.systems.system import System, SystemReference


class SpecTables(Reflected):
    """The tables that a file's setup makes, in a database that is dropped at once."""

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.spec = spec

    def read(self, target: Target) -> Reflected:
        """Return the tables, with the rows that are in them.

        Raises:
            UsageError: the setup makes no table, or the database refuses it.
            DatabaseError: the user may not create databases.
        """
        if not target.engine.has_schemas:
            raise UsageError(
                f"{target}: a file of isolationtester's is PostgreSQL's: {shown_path(self.spec.path)}",
                hint="Race it there, or write its sessions as files of operations.",
            )
        with target.make_scratch("race") as scratch:
            with scratch.connect() as connection:
                for setup in self.spec.setups:
                    _execute(connection, setup, self.spec.path)
            tables = reflect(scratch, self.places)
            stage = Stage(_read_rows(scratch, tables), {})
        tables.stage = lambda: stage
        return tables


def load_spec_system(reference: SystemReference) -> System:
    """Return the system that a file is.

    Raises:
        UsageError: it cannot be read, or a step of it cannot be done here.
    """
    spec = load_spec(Path(reference.folder, reference.path))
    operations = {session.name: _operation(spec, session) for session in spec.sessions}
    return System(
        name=reference.name,
        title=f"the sessions of {shown_path(spec.path)}",
        metadata=SpecTables(spec),
        operations=operations,
        reference=reference,
    )


def _operation(spec: Spec, session: SpecSession) -> Operation:
    named = [("setup", session.setup), *((step.name, step.sql) for step in session.steps), ("teardown", session.teardown)]
    parts = [(name, f"{sql.rstrip().rstrip(';')};") for name, sql in named if sql.strip(" \n;")]
    written = "\n".join(sql for _, sql in parts)
    names = [name for name, sql in parts for _ in sql.split("\n")]
    shown = dict(enumerate(names, start=1))
    place = f"{shown_path(spec.path)}: session {session.name}"
    try:
        nodes = read_body(written, given=(), is_lenient=True)
    except TextFault as fault:
        described = describe_place(place, written, fault.line, fault.column, fault.reason)
        raise UsageError(described, hint=fault.hint) from None
    tables = [node.command.tables for node in sent_by(nodes)]
    known = frozenset[str]().union(*(each or () for each in tables))
    return Operation(
        session.name,
        lambda *, operation_id: Play(nodes, told=None, reactions={}, place=place, shown=shown).steps({}, operation_id),
        {},
        tables=known if None not in tables else None,
    )


def _execute(connection: Any, setup: str, path: Path) -> None:
    import psycopg

    try:
        connection.execute(setup)
    except psycopg.Error as error:
        raise UsageError(
            f"{shown_path(path)}: its setup is refused: {error.diag.message_primary or error}",
            hint="It is what isolationtester would send first: tables, and the rows in them.",
        ) from None


def _read_rows(scratch: Target, tables: Reflected) -> list[StagedRow]:
    engine = scratch.sqlalchemy_engine(tables.places)
    rows: list[StagedRow] = []
    try:
        with engine.connect() as connection:
            for table in tables.sorted_tables:
                kept = [column.name for column in table.columns if column.computed is None]
                found: Sequence[Any] = connection.execute(text(f"select * from {full_name(table)}")).mappings().all()
                rows += [
                    StagedRow(f"{table.name}_{number}", full_name(table), {name: row[name] for name in kept})
                    for number, row in enumerate(found, start=1)
                ]
    finally:
        engine.dispose()
    return rows

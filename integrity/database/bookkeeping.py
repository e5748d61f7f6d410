"""Our own books in a database that we seeded: the schema `integrity`.

`notes` says what the database is: `format` (of these tables), and of each system `made:<system>` (what we made for it,
ownership.py) and, once seeded, `seed:<system>`, `wallets:<system>` and `bug:<system>` (the last one planted there).
`runs` and `calls` are the histories of runs, so that an invariant may join acknowledged calls with rows; `requests` is what
calls asked of outside services, `received` what subscribers saw of streams.

Two systems may have an operation of one name, so nobody asks these of what concerns one system: each has views of its own
beside them, `ghostpass_runs`, `ghostpass_calls` and so on, which show what is its. `ghostpass_gaps` says of which times the
history is not there: a run whose calls are not loaded, or whose files end before the run did.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Connection,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    delete,
    insert,
    select,
    text,
)

from integrity.database.made import OURS
from integrity.database.types import Json, OperationId, Timestamp
from integrity.engines.known import USUAL, find_engine
from integrity.history import Outcome
from integrity.sql.name import literal, quoted

METADATA = MetaData(schema=OURS)

notes = Table("notes", METADATA, Column("key", Text, primary_key=True), Column("value", Text, nullable=False))

runs = Table(
    "runs",
    METADATA,
    Column("run_id", Text, primary_key=True),
    Column("system", Text, nullable=False),
    Column("profile", Text, nullable=False),
    Column("bug", Text),
    Column("seed", BigInteger, nullable=False),
    Column("started_at", Timestamp, nullable=False),
    Column("ended_at", Timestamp),
    Column("state", Text, nullable=False),
    # Renewed while the run lives, a while ahead each time, so that whoever reads the database can tell that it does.
    Column("alive_until", Timestamp),
    # What was owed has been delivered, and what was left open taken up: what is open since then is so for ever.
    Column("settled_at", Timestamp),
    # The last whole line of a file that does not say that it is whole; null: it does, or nothing is loaded.
    Column("calls_until", Timestamp),
    Column("requests_until", Timestamp),
    Column("received_until", Timestamp),
    CheckConstraint("state in ('running', 'finished', 'interrupted', 'lost')", name="runs_state_known"),
)

calls = Table(
    "calls",
    METADATA,
    Column("run_id", Text, primary_key=True),
    Column("operation_id", OperationId, primary_key=True),
    Column("operation", Text, nullable=False),
    Column("arguments", Json, nullable=False),
    Column("client", Integer, nullable=False),
    Column("intended_at", Timestamp, nullable=False),
    Column("invoked_at", Timestamp, nullable=False),
    Column("returned_at", Timestamp),
    Column("outcome", Text, nullable=False),
    Column("reply", Json),
    Column("error", Text, nullable=False, server_default=text("''")),
    Column("attempts", Integer, nullable=False, server_default=text("1")),
    CheckConstraint(
        f"outcome in ({', '.join(repr(outcome.value) for outcome in Outcome)})",
        name="calls_outcome_known",
    ),
    Index("calls_operation_id_idx", "operation_id"),
)

requests = Table(
    "requests",
    METADATA,
    Column("run_id", Text, primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),  # in the order in which they were made
    Column("operation_id", OperationId, nullable=False),
    Column("service", Text, nullable=False),
    Column("payload", Json, nullable=False),
    Column("answer", Json, nullable=False),
    Column("requested_at", Timestamp, nullable=False),
    Column("returned_at", Timestamp),  # null: nobody waited for the answer, or whoever did died
    Index("requests_operation_id_idx", "operation_id"),
)

received = Table(
    "received",
    METADATA,
    Column("run_id", Text, primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),  # in the order in which they arrived
    Column("operation_id", OperationId, nullable=False),
    Column("client", Integer, nullable=False),
    Column("stream", BigInteger, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("event_id", BigInteger, nullable=False),
    Column("sent_at", Timestamp, nullable=False),
    Column("received_at", Timestamp, nullable=False),
    Index("received_client_stream_sequence_idx", "run_id", "client", "stream", "sequence"),
)


HISTORY = (runs, calls, requests, received)
VIEWS = (*(table.name for table in HISTORY), "gaps")
"""What a system has of the histories: each is called by its name and this."""


_USUAL = find_engine(USUAL).sqlalchemy_dialect


def type_of(column: Column[Any]) -> str:
    """Return a column's type as PostgreSQL names it, e.g. "uuid" or "timestamptz"."""
    spelled = column.type.compile(dialect=_USUAL).lower()
    return "timestamptz" if spelled == "timestamp with time zone" else spelled


COLUMNS: Mapping[str, Sequence[tuple[str, str]]] = {
    **{table.name: tuple((column.name, type_of(column)) for column in table.columns) for table in HISTORY},
    "gaps": (
        ("run_id", "text"),
        ("state", "text"),
        *((f"{name}_from", "timestamptz") for name in ("calls", "requests", "received")),
        ("ended_at", "timestamptz"),
    ),
}
"""The columns of each of VIEWS with their types."""


def create_views(connection: Connection, system: str) -> list[str]:
    """Create what the invariants of one system see of the histories: its own runs, and what belongs to them.

    Returns:
        Their names.
    """
    # SQLite takes no other file's tables into a view, and the names of its own without their schema.
    schema = f"{OURS}." if find_engine(connection.dialect.name).has_schemas else ""
    owner = literal(system)
    of_runs = ", ".join(f"runs.{column.name}" for column in runs.columns)
    views = {"runs": f"select {of_runs} from {schema}runs as runs where runs.system = {owner}"}
    for table in HISTORY[1:]:
        columns = ", ".join(f"{table.name}.{column.name}" for column in table.columns)
        views[table.name] = (
            f"select {columns} from {schema}{table.name} as {table.name} "
            f"join {schema}runs as runs on runs.run_id = {table.name}.run_id where runs.system = {owner}"
        )
    begins = ", ".join(
        f"case when runs.state in ('running', 'lost') then runs.started_at else runs.{name}_until end as {name}_from"
        for name in ("calls", "requests", "received")
    )
    views["gaps"] = (
        f"select runs.run_id, runs.state, {begins}, coalesce(runs.alive_until, runs.ended_at, runs.started_at) as ended_at "
        f"from {schema}runs as runs where runs.system = {owner} and (runs.state in ('running', 'lost') "
        "or coalesce(runs.calls_until, runs.requests_until, runs.received_until) is not null)"
    )
    for name, query in views.items():
        connection.execute(text(f"create view {OURS}.{quoted(f'{system}_{name}')} as {query}"))
    return [f"{system}_{name}" for name in views]


def drop_views(connection: Connection, names: Iterable[str]) -> None:
    """Drop views of ours."""
    for name in names:
        connection.execute(text(f"drop view {OURS}.{quoted(name)}"))


def put_note(connection: Connection, key: str, value: str) -> None:
    """Note a value under a key, in place of what was noted there."""
    connection.execute(delete(notes).where(notes.c.key == key))
    connection.execute(insert(notes).values(key=key, value=value))


def find_note(connection: Connection, key: str) -> str | None:
    """Return what is noted under a key, or None."""
    value: str | None = connection.execute(select(notes.c.value).where(notes.c.key == key)).scalar_one_or_none()
    return value


def read_notes(connection: Connection) -> dict[str, str]:
    """Return all that is noted."""
    return {row.key: row.value for row in connection.execute(select(notes))}


def drop_notes_about(connection: Connection, system: str) -> None:
    """Forget what is noted about a system."""
    connection.execute(delete(notes).where(notes.c.key.endswith(f":{system}", autoescape=True)))


def has_bookkeeping(connection: Connection) -> bool:
    """Return whether our own schema is there."""
    return connection.dialect.has_table(connection, "notes", schema=OURS)


def drop_runs_of(connection: Connection, system: str) -> None:
    """Forget the runs of a system with their calls."""
    its_runs = select(runs.c.run_id).where(runs.c.system == system)
    for table in (calls, requests, received):
        connection.execute(delete(table).where(table.c.run_id.in_(its_runs)))
    connection.execute(delete(runs).where(runs.c.system == system))

"""Our own books in a database that we seeded: the schema `integrity`.

`notes` says what the database is: `format` (of these tables), and of each schema that we made `tables:<schema>` (their
names, parents first) and, once seeded, `seed:<system>`, `wallets:<system>` and `bug:<system>` (the last one planted there).
`runs` and `calls` are the histories of runs, so that an invariant may join acknowledged calls with rows; `requests` is what
calls asked of outside services, `received` what subscribers saw of streams.
"""

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

from integrity.database.types import Json, OperationId, Timestamp

FORMAT = "2"
"""Of the bookkeeping tables; a database of another format has to be seeded anew."""

OURS = "integrity"
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
    CheckConstraint("state in ('running', 'finished', 'interrupted')", name="runs_state_known"),
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
    CheckConstraint("outcome in ('ok', 'declined', 'failed', 'unknown')", name="calls_outcome_known"),
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


def put_note(connection: Connection, key: str, value: str) -> None:
    """Note a value under a key, in place of what was noted there."""
    connection.execute(delete(notes).where(notes.c.key == key))
    connection.execute(insert(notes).values(key=key, value=value))


def find_note(connection: Connection, key: str) -> str | None:
    """Return what is noted under a key, or None."""
    value: str | None = connection.execute(select(notes.c.value).where(notes.c.key == key)).scalar_one_or_none()
    return value


def drop_notes_about(connection: Connection, schema: str) -> None:
    """Forget what is noted about a schema."""
    connection.execute(delete(notes).where(notes.c.key.endswith(f":{schema}", autoescape=True)))


def has_bookkeeping(connection: Connection) -> bool:
    """Return whether our own schema is there."""
    return connection.dialect.has_table(connection, "notes", schema=OURS)


def drop_runs_of(connection: Connection, system: str) -> None:
    """Forget the runs of a system with their calls."""
    its_runs = select(runs.c.run_id).where(runs.c.system == system)
    for table in (calls, requests, received):
        connection.execute(delete(table).where(table.c.run_id.in_(its_runs)))
    connection.execute(delete(runs).where(runs.c.system == system))

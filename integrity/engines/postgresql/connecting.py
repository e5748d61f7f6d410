"""Connections to PostgreSQL, and why there is none."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, LiteralString, Protocol

import psycopg

from integrity.engines.embedded.socket_folder import home_of
from integrity.engines.postgresql.accepting import is_accepted
from integrity.engines.postgresql.pooled import ServerConnection
from integrity.engines.postgresql.session_settings import ATTEMPTS_MOST, QUESTIONS, statements_of
from integrity.engines.postgresql.url import connection_string
from integrity.engines.postgresql.version import SERVER_VERSION_LEAST
from integrity.engines.refusals import is_full, next_step
from integrity.engines.url import Url
from integrity.errors import NoAnswer, Unreachable, UnsuitableServer

CONNECT_TIMEOUT_S = 10


class ServerPlace(Protocol):
    """The database: what Target is, whose way to connect this is. Its text is for people."""

    @property
    def url(self) -> Url: ...

    def unreachable(self, error: Exception) -> Unreachable: ...


def connect(place: ServerPlace, *, application_name: str, settings: Mapping[str, str]) -> ServerConnection:
    """Return a new connection; see Target.connect."""
    try:
        connection = ServerConnection.connect(
            connection_string(place.url),
            autocommit=True,
            connect_timeout=CONNECT_TIMEOUT_S,
            application_name=application_name,
        )
    except (psycopg.OperationalError, psycopg.ProgrammingError, UnicodeError) as error:
        raise place.unreachable(error) from None
    version = connection.info.server_version // 10_000
    if version < SERVER_VERSION_LEAST:
        connection.close()
        raise UnsuitableServer(
            f"{place} is PostgreSQL {version}; PostgreSQL {SERVER_VERSION_LEAST} or newer is needed",
            hint="Upgrade the server, or leave --database out to use the embedded one.",
        )
    try:
        if not may_be_pooled(place) or not connection.find_pooler():
            send_settings(connection, statements_of(settings, server_version=connection.info.server_version))
        elif settings:
            connection.add_local(local_statements(settings, server_version=connection.info.server_version))
    except psycopg.Error as error:
        connection.close()
        raise place.unreachable(error) from None
    return connection


def may_be_pooled(place: ServerPlace) -> bool:
    """Return whether a pooler may be in between: not where the socket is that of a server of ours."""
    return home_of(place.url.query.get("host", "")) is None


def local_statements(settings: Mapping[str, str], *, server_version: int) -> str:
    """Return the statements that set for a transaction under way what the settings say of those to come."""
    now = {name.removeprefix("default_"): value for name, value in settings.items() if name == _READ_ONLY}
    later = {name: value for name, value in settings.items() if not name.startswith("default_transaction_")}
    return statements_of({**later, **now}, server_version=server_version, is_local=True)


_READ_ONLY = "default_transaction_read_only"


@contextmanager
def asking(place: ServerPlace, *, application_name: str) -> "Iterator[psycopg.Connection[Any]]":
    """Give a connection in a read-only transaction; see Target.asking."""
    connection = connect(place, application_name=application_name, settings={})
    try:
        try:
            begin_with(connection, "isolation level read committed, read only", QUESTIONS)
        except psycopg.Error as error:
            raise place.unreachable(error) from None
        yield connection
    finally:
        connection.close()


def explain(place: ServerPlace, error: Exception, reason: str) -> Unreachable:
    """Return the error to raise when connecting failed, with the next step."""
    if isinstance(error, psycopg.errors.ConnectionTimeout) and is_accepted(connection_string(place.url)):
        return NoAnswer(
            f"{place}: no answer: the server takes connections, and lets none in within {CONNECT_TIMEOUT_S} s",
            hint="Another session may lock its catalogue (lock table pg_class, vacuum full), or it is stopped or "
            "has no time: see pg_locks from another database of it, or its log; then ask again.",
        )
    known = next_step(error)
    if known is not None:  # the server was reached
        return Unreachable(f"{place}: no answer: {reason}", hint=known, is_full=is_full(error))
    home = home_of(place.url.query.get("host", ""))
    if home is not None and not is_accepted(connection_string(place.url)):
        hint = f"It is the embedded server of {home.parent.parent}, and stopped; there: integrity db start"
        return Unreachable(f"cannot connect to {place}: {reason}", hint=hint)
    hint = "Check host, port, name, user and password; without --database the embedded server is used."
    return Unreachable(f"cannot connect to {place}: {reason}", hint=hint)


def begin_with(connection: "psycopg.Connection[Any]", modes: LiteralString, settings: Mapping[str, str]) -> None:
    """Begin a transaction in which the settings hold, and for no longer."""
    local = statements_of(settings, server_version=connection.info.server_version, is_local=True)
    send_settings(connection, f"begin transaction {modes}; {local}")


def send_settings(connection: "psycopg.Connection[Any]", text: str) -> None:
    """Send the statements as one text, and again while a limit of the role's own ends them."""
    for left in range(ATTEMPTS_MOST - 1 if text else -1, -1, -1):
        try:
            connection.execute(text.encode())
        except psycopg.errors.QueryCanceled:
            if not left:
                raise
            connection.execute(b"rollback")
        else:
            return

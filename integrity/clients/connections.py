"""The connection of load that a target needs: the only place in these rooms that knows the engines by name."""

from collections.abc import Callable, Mapping, Sequence

from integrity.clients.driver import Connection
from integrity.engines.target import Target
from integrity.faults.conduct import Conduct


def make_connection(
    target: Target, namespaces: Sequence[str], *, conduct: Conduct | None = None, startup: Mapping[str, str] = {}
) -> Connection:
    """Return a connection that carries out operations, not yet open.

    Args:
        namespaces: the schemas of the system that is driven.
        conduct: whose session settings hold from the next transaction on; None: the server's own hold.
        startup: what the server is asked to set as the session begins.
    """
    return _MAKERS[target.dialect](target, namespaces, conduct, startup)


def _make_postgresql(target: Target, _: Sequence[str], conduct: Conduct | None, startup: Mapping[str, str]) -> Connection:
    from integrity.clients.postgres_connection import PostgresConnection

    return PostgresConnection(target, conduct=conduct, startup=startup)


def _make_sqlite(target: Target, namespaces: Sequence[str], _: Conduct | None, __: Mapping[str, str]) -> Connection:
    from integrity.clients.sqlite_connection import SqliteConnection

    return SqliteConnection(target, namespaces)


_MAKERS: Mapping[str, Callable[[Target, Sequence[str], Conduct | None, Mapping[str, str]], Connection]] = {
    "postgresql": _make_postgresql,
    "sqlite": _make_sqlite,
}

"""Connections of ours, directly to a server or through a pooler.

A pooler in transaction mode hands each transaction to whichever session of the server is free. What a session is told there
(a setting, a lock, a prepared statement, what it listens to) stays with a session that somebody else gets next: a monitor's
"read only" would refuse the writes of an application. So behind a pooler no session of ours is told anything: settings hold
for a transaction, and what is asked outside of one has the role's own. A pooler is known by the process that a connection
was told it talks to, which is not the one that answers. Which mode it has cannot be seen; this is right in each of them.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

from integrity.errors import DatabaseError


class ServerConnection(psycopg.Connection[Any]):
    """A connection; `is_pooled` where the server's session behind it may be another in each transaction."""

    is_pooled = False
    _local_settings = ""

    def find_pooler(self) -> bool:
        """Return whether a pooler is in between, and never prepare a statement where it is."""
        row = self.execute("select pg_catalog.pg_backend_pid()", prepare=False).fetchone()
        assert row is not None
        self.is_pooled = row[0] != self.info.backend_pid
        if self.is_pooled:
            self.prepare_threshold = None
        return self.is_pooled

    def add_local(self, statements: str) -> None:
        """Let what the statements set hold in each transaction from here on, too."""
        self._local_settings += f"{statements};"

    @contextmanager
    def transaction(self, savepoint_name: str | None = None, force_rollback: bool = False) -> Iterator[psycopg.Transaction]:
        is_outermost = self.info.transaction_status is TransactionStatus.IDLE
        with super().transaction(savepoint_name, force_rollback) as transaction:
            if is_outermost and self._local_settings:
                self.execute(self._local_settings.encode(), prepare=False)
            yield transaction

    def asking(self) -> AbstractContextManager[object]:
        """Give a block whose questions are asked under the settings of this connection."""
        return self.transaction() if self.is_pooled else nullcontext()

    def refuse_pooler(self, place: object, what: str) -> None:
        """Refuse what needs sessions of its own.

        Args:
            place: the database, for people.
            what: e.g. "races need".

        Raises:
            DatabaseError: a pooler is in between.
        """
        if self.is_pooled:
            self.close()
            raise DatabaseError(
                f"{place} goes through a pooler, and {what} the server's sessions for itself",
                hint="Name the server itself: --database with its own host and port. "
                "What only runs, watches or audits works through the pooler: run, monitor, validate, health.",
            )

"""A database, watched through one connection of its own: a sample is a mapping that can be written as JSON.

The connection reads only, and the server ends what takes it longer than half a second: a monitor must never be what slows
a database down. Behind a pooler each question is asked in a transaction of its own, for which this is set. A question that
fails is left out of that sample with its reason; a connection that is lost is made again for the next one.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any, cast

import psycopg
from psycopg import sql

from integrity.engines.postgresql.pooled import ServerConnection
from integrity.engines.postgresql.session_settings import OWN
from integrity.engines.target import Target, mask
from integrity.errors import DatabaseError
from integrity.monitor.questions import FACTS, MonitorQuestion, choose
from integrity.monitor.sample import DatabaseSample, Row

APPLICATION_NAME = "integrity-monitor"
STATEMENT_TIMEOUT_MS = 500
_SETTINGS = {
    **OWN,
    "default_transaction_read_only": "on",
    "statement_timeout": f"{STATEMENT_TIMEOUT_MS}ms",
    "lock_timeout": f"{STATEMENT_TIMEOUT_MS}ms",
}


class DatabaseWatch:
    """Takes samples of a PostgreSQL database. Used by one thread at a time.

    Args:
        target: a PostgreSQL.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._connection: ServerConnection | None = None
        self._questions: list[MonitorQuestion] = []
        self._last_tables: Mapping[str, Mapping[str, Any]] = {}
        self._last_statements: Mapping[str, Mapping[str, Any]] = {}
        self.facts: dict[str, Any] | None = None
        self.notes: list[str] = []

    def open(self) -> dict[str, Any]:
        """Connect; return the server's facts.

        Raises:
            DatabaseError: no connection, or it does not answer.
        """
        connection = self._target.connect(application_name=APPLICATION_NAME, settings=_SETTINGS)
        try:
            facts = _ask(connection, FACTS)
            # So names are shown with their schemas, whatever the role's own path is, and the extension's view is found.
            schemas = [name for name in ("pg_catalog", facts["statements_schema"]) if name is not None]
            path = sql.SQL(", ").join(map(sql.Identifier, schemas))
            if connection.is_pooled:
                connection.add_local(f"set local search_path = {path.as_string()}")
            else:
                connection.execute(sql.SQL("set search_path = {}").format(path))
        except psycopg.Error as error:
            connection.close()
            raise self._target.unreachable(error) from None
        self._connection, self.facts = connection, facts
        self._questions, self.notes = choose(facts)
        return self.facts

    @property
    def is_open(self) -> bool:
        return self._connection is not None

    def sample(self, *, is_full: bool) -> DatabaseSample:
        """Return what the database does now; `error` alone when it cannot be asked.

        Args:
            is_full: with the rare questions; tables and statements are those that changed since the last such sample.
        """
        began = time.perf_counter()
        try:
            if self._connection is None:
                self.open()
            sample = self._ask_all(is_full=is_full)
        except (DatabaseError, psycopg.Error) as error:
            self.close()
            sample = {"error": mask(" ".join(str(error).split("\n  hint:")[0].split()))}
        sample["took_ms"] = round((time.perf_counter() - began) * 1000, 2)
        return sample

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _ask_all(self, *, is_full: bool) -> DatabaseSample:
        assert self._connection is not None
        answers: dict[str, Any] = {}  # a question a key, which its type names
        sample = cast(DatabaseSample, answers)
        for question in list(self._questions):
            if question.is_rare and not is_full:
                continue
            if question.name == "blocking" and not sample.get("activity", {}).get("lock_waiters"):
                continue
            try:
                answers[question.name] = _ask(self._connection, question)
            except psycopg.Error as error:
                if self._connection.broken or self._connection.closed or error.sqlstate is None:
                    raise
                reason = error.diag.message_primary or str(error)
                sample.setdefault("missed", {})[question.name] = reason
                if not isinstance(error, psycopg.errors.QueryCanceled | psycopg.errors.LockNotAvailable):
                    self._questions.remove(question)  # not a slow moment: it would fail each time
                    self.notes.append(f"{question.name}: {reason}")
        if "tables" in sample:
            sample["tables"], self._last_tables = _changed(sample["tables"], self._last_tables, "table_name")
        if "statements" in sample:
            sample["statements"], self._last_statements = _changed(
                sample["statements"], self._last_statements, "statement_id"
            )
        return sample


def _ask(connection: ServerConnection, question: MonitorQuestion) -> Any:
    cursor = psycopg.RawCursor(connection)
    with connection.asking():
        cursor.execute(question.text)
        names = [column.name for column in cursor.description or ()]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return rows[0] if question.is_row and rows else {} if question.is_row else rows


def _changed(rows: Sequence[Row], last: Mapping[str, Mapping[str, Any]], key: str) -> tuple[list[Row], dict[str, Row]]:
    """Return the rows that differ from the last ones, and all of them by their key."""
    return [row for row in rows if last.get(row[key]) != row], {row[key]: row for row in rows}

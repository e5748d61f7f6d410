"""A snapshot: one instant of a database, read through one or more connections that cannot write.

How one is had is the engine's own (postgresql/snapshot.py, sqlite/snapshot.py). A failed query leaves its session usable.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from integrity.engines.facts import Facts, TableName
from integrity.engines.query_plan import QueryPlan
from integrity.engines.server_text import Rows
from integrity.engines.spelling import Spelling
from integrity.sql.file import SqlFile


class QueryFailed(Exception):
    """The database did not answer a query.

    Args:
        reason: the server's own words, without a stack of context.
        position: of the error in the text that was sent, from 1; None when the server did not say.
        hint: the server's, if it gave one.
        is_timeout: the time limit ended it.
        is_missing: a table or schema that it names is not there.
        is_unfit: the text or a value of it is nothing that the server takes, e.g. a character that its encoding lacks.
        is_snapshot_lost: a standby cancelled it to go on replaying, or the connection broke; a new snapshot may do better.
    """

    def __init__(
        self,
        reason: str,
        *,
        position: int | None = None,
        hint: str | None = None,
        is_timeout: bool = False,
        is_missing: bool = False,
        is_unfit: bool = False,
        is_snapshot_lost: bool = False,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.position = position
        self.hint = hint
        self.is_timeout = is_timeout
        self.is_missing = is_missing
        self.is_unfit = is_unfit
        self.is_snapshot_lost = is_snapshot_lost


class Reader(Protocol):
    """One connection that looks at the snapshot. Used by one thread at a time, except for cancel."""

    @property
    def spelling(self) -> Spelling:
        """How what it is sent has to be written."""
        ...

    def read(self, text: str, values: Sequence[Any] = (), *, row_limit: int | None = None, is_own: bool = False) -> Rows:
        """Return the query's rows.

        Args:
            text: one select with the spelling's marks for the values.
            row_limit: return the first ones only, and let the server stop there. None: all.
            is_own: it is a question of ours to the catalogue, in which nothing may stand in front of PostgreSQL's own.

        Raises:
            QueryFailed: no answer.
        """
        ...

    def read_text(self, text: str, values: Sequence[Any] = (), *, row_limit: int) -> Rows:
        """Return the query's first rows, spelled by the database (see server_text): no value can fail to be read.

        Raises:
            QueryFailed: no answer.
        """
        ...

    def count(self, text: str, values: Sequence[Any] = ()) -> int:
        """Return how many rows a query has: it is sent as it stands, with nothing written around it, and read to its end.

        Raises:
            QueryFailed: no answer, or it is not one select.
        """
        ...

    def tables(self, text: str, values: Sequence[Any] = ()) -> list[tuple[str, str]]:
        """Return schema and name of each table that the query reads, by way of views too; none where nobody can tell.

        Raises:
            QueryFailed: no answer.
        """
        ...

    def read_facts(self, names: Iterable[TableName]) -> Facts:
        """Return the facts of the tables that exist.

        Raises:
            QueryFailed: the catalogue could not be read.
        """
        ...

    def find_refusals(self, texts: Mapping[str, str], trusted: Collection[str]) -> dict[str, str]:
        """Return name -> why, of the texts that could do more than read; none where nothing that is read can act.

        Args:
            texts: name -> SQL in PostgreSQL's dialect.
            trusted: functions, as "schema.name", that may be called all the same.

        Raises:
            QueryFailed: the snapshot was lost.
        """
        ...

    def explain(self, query: SqlFile, values: Sequence[Any]) -> QueryPlan:
        """Return how the database answers the query.

        Raises:
            QueryFailed: no answer.
            NotPortable: it cannot be said in the database's dialect.
        """
        ...

    def cancel(self) -> None:
        """End the running query from another thread."""
        ...


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An instant of a database.

    Args:
        sessions: at least one; all see the same rows.
        taken_at: the server's time of it.
        consistency: one sentence for reports that says what kind of snapshot it is.
        caution: one sentence on what the role could do beside reading; empty: nothing that the tables show.
        is_shadowed: the search_path has something in front of PostgreSQL's own functions and operators, so that what a
            query means is only known to the server.
    """

    sessions: tuple[Reader, ...]
    taken_at: datetime
    consistency: str
    caution: str = ""
    is_shadowed: bool = False

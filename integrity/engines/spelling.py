"""How a query has to be written for an engine; what is in a file is PostgreSQL's dialect."""

from collections.abc import Mapping
from typing import Protocol

from integrity.engines.scan import Answer
from integrity.sql.file import SqlFile


class NotPortable(Exception):
    """The query cannot be written for the engine; the message names the construct."""


class Spelling(Protocol):
    """An engine's way to write a query."""

    @property
    def title(self) -> str:
        """The engine, as people write it."""
        ...

    @property
    def dialect(self) -> str:
        """As sqlglot names it."""
        ...

    @property
    def default_schema(self) -> str:
        """See Engine.default_schema."""
        ...

    @property
    def overriding(self) -> str:
        """What stands before `values` so that a number is taken which the database makes up itself; empty: it is taken."""
        ...

    @property
    def is_typed(self) -> bool:
        """Whether a column's declared type holds for every value in it; and there may be types and casts of one's own."""
        ...

    @property
    def folds_quoted_names(self) -> bool:
        """Whether "a" and "A" are one name, quoted or not."""
        ...

    def numbered(self, file: SqlFile) -> str:
        """Return the file's query with marks for its parameters, in the order of `parameter_names`.

        Raises:
            NotPortable: it uses something that would fail there, or mean something else.
        """
        ...

    def adapted(self, text: str, types: Mapping[str, str] = {}) -> str:
        """Return a query as the engine reads it, its parameters still `:name`.

        Args:
            types: of parameters, as PostgreSQL names them, where whoever sends it says none: of `:name is null` the server
                could not tell.

        Raises:
            NotPortable: it uses something that would fail there, or mean something else.
        """
        ...

    def statement(self, sql: str) -> str:
        """Return one statement as the engine understands it, its parameters still `:name`.

        Raises:
            UsageError: it cannot be said there, or is more than one.
        """
        ...

    def marked(self, query: str, types: Mapping[str, str]) -> str:
        """Return a query with marks in place of `:name`, in the order in which the names first appear.

        Args:
            types: of the parameters, as PostgreSQL names them.

        Raises:
            NotPortable: it uses something that would fail there, or mean something else.
        """
        ...

    @property
    def hashed_types(self) -> frozenset[str]:
        """The types, as the catalogue names them, of keys that a weighted sum can be of; empty: there is none."""
        ...

    def answer(self, answer: Answer) -> str:
        """Return a column of a scan, its parameters still `:name`; `marked` makes of the scan what is sent.

        Raises:
            NotPortable: there is no such thing.
        """
        ...

    def mark(self, number: int, kind: str) -> str:
        """Return what stands for a parameter.

        Args:
            number: from 1.
            kind: its type, as PostgreSQL names it.
        """
        ...

"""How an exported test speaks to an engine's database: `driver.py` in the folder of the engine's name here."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from integrity.engines.known import find_part
from integrity.operation import Isolation, Statement, Value
from integrity.race.play.recording import PlayedStep


class ExportedDriver(Protocol):
    """How a test speaks to an engine's database: the library that the test's reader would use.

    Args:
        template: of the test's text.
        error: what the library raises.
        opened: an expression for a connection.
        makes_schemas: the script creates the tables' schema.
        sets_sequences: the script sets what numbers rows behind those that it inserts.
    """

    template: str
    error: str
    opened: str
    makes_schemas: bool
    sets_sequences: bool

    def question(self, sql: str) -> str:
        """Return a question of ours with its tables named as the engine has them."""
        ...

    def told(self, failure: str) -> str:
        """Return what the library says of a failure, an SQLSTATE or the name of an exception."""
        ...

    def literal(self, value: Value) -> str:
        """Return the value as SQL has it."""
        ...

    def staged_literal(self, value: Value, newest: datetime | None, *, is_json: bool) -> str:
        """Return the value of a staged row; a time counts back from now, as it did when the rows were made."""
        ...

    def body(
        self,
        played: Sequence[PlayedStep],
        text_of: Callable[[Statement], str],
        *,
        isolation: Isolation,
        is_deferred: bool,
    ) -> str:
        """Return the steps of one call as calls of the library.

        Args:
            text_of: a statement as Python has it.
            isolation: of statements outside transactions and of transactions that name no level.
            is_deferred: transactions begin without the lock that writing takes.
        """
        ...


def driver_of(dialect: str) -> ExportedDriver:
    """Return how a test speaks to databases of that engine: `DRIVER` of `driver.py`, in the folder of its name here."""
    driver: ExportedDriver = find_part("integrity.race.export", dialect, "driver", serves="exported tests").DRIVER
    return driver

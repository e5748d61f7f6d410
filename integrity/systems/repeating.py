"""Repeating: what an operation does that has committed something and is then refused.

Its driver starts a call again from its first step, but not one that has committed: that would do the first part twice. So
what comes after the first commit repeats by itself. The driver makes it wait a little before each repetition.
"""

from collections.abc import Callable, Generator
from typing import Any, TypeVar

from integrity.operation import RESTARTED, Rollback, Rows, Statement, StatementFailed, Step

Answer = TypeVar("Answer")

TRIES_MOST = 400
"""Many, for SQLite: it refuses at once, and again, as long as somebody else writes."""


def keep_trying(transaction: Callable[[], Generator[Step, Any, Answer]]) -> Generator[Step, Any, Answer]:
    """Carry out one transaction, again as often as the database asks for it, and return its answer.

    Raises:
        StatementFailed: refused for another reason, or to the last try.
    """
    for _ in range(TRIES_MOST - 1):
        try:
            return (yield from transaction())
        except StatementFailed as failure:
            if failure.sqlstate not in RESTARTED:
                raise
            yield Rollback()
    return (yield from transaction())


def alone(statement: Statement) -> Generator[Step, Any, Rows]:
    """Carry out a statement that is a transaction of its own."""
    rows: Rows = yield statement
    return rows

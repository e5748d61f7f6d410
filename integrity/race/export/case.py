"""A case: what an exported test is about, and what it asserts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from integrity.engines.known import USUAL
from integrity.errors import UsageError
from integrity.operation import Isolation, Statement
from integrity.race.play.recording import Recording


class CannotTell(UsageError):
    """What was found shows in nothing that a test of statements can see; the finding itself stands."""

    def __init__(self, message: str) -> None:
        super().__init__(message, hint="Keep the finding and replay it: integrity replay")


@dataclass(frozen=True, slots=True)
class Assertion:
    """A query whose rows say whether the data is right.

    Args:
        title: what must hold, in one sentence.
        query: returns the rows that are wrong.
    """

    title: str
    query: Statement


@dataclass(frozen=True, slots=True)
class SerialAssertion:
    """What the calls leave behind one after the other.

    Args:
        title: what must hold, in one sentence.
        queries: table -> a query for its rows, without what the database makes up.
        orders: for each serial order what they return: table -> rows, sorted by their repr.
    """

    title: str
    queries: Mapping[str, Statement]
    orders: Sequence[Mapping[str, Sequence[tuple[Any, ...]]]]


@dataclass(frozen=True, slots=True)
class FailureAssertion:
    """An error that no call may end with.

    Args:
        title: what must hold, in one sentence.
        error: the SQLSTATE, or the name of the exception.
    """

    title: str
    error: str


@dataclass(frozen=True, slots=True)
class Case:
    """What the test is about.

    Args:
        title: what was found, e.g. "lost update: sell and sell on one wallet".
        name: of the test, e.g. "sell_and_sell".
        calls: letter -> operation and arguments, e.g. ("sell", "wallet_id=1, amount_minor=600").
        isolation: of statements outside transactions and of transactions that name no level.
        recording: of the schedule, played first of all on an empty database.
        assertion: what fails.
        replay: the command that plays the schedule.
        dialect: as Target.dialect names it.
        journal_mode: SQLite's, which decides who waits for whom.
        is_deferred: on SQLite, transactions begin without the write lock.
        standing: what of a reader's is in the way of a call; see program.Standing.
    """

    title: str
    name: str
    calls: Mapping[str, tuple[str, str]]
    isolation: Isolation
    recording: Recording
    assertion: Assertion | SerialAssertion | FailureAssertion
    replay: str
    dialect: str = USUAL
    journal_mode: str = ""
    is_deferred: bool = False
    standing: frozenset[str] = frozenset()

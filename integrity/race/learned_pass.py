"""What came of the transactions that a test suite made, one after the other: which meet, and what their orders come to."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from integrity.exit_codes import exit_code_of, shortfalls_of
from integrity.race.finding.finding import Finding
from integrity.race.search.conflicts import Conflict
from integrity.verdict import Verdict


class Outcome(Enum):
    """What came of a pair, the worst first.

    WRONG: rows are wrong in an order that the application would take for certain. SUSPECTED: both read what only one may
    have read, or one is refused; what the application would make of another answer is not in its statements.
    """

    WRONG = "violated"
    SUSPECTED = "suspected"
    UNKNOWN = "unknown"
    NOT_RACED = "not raced"
    SOUND = "holds"


_VERDICTS = {Outcome.WRONG: Verdict.VIOLATED, Outcome.SOUND: Verdict.HOLDS}


@dataclass(frozen=True, slots=True)
class TransactionPair:
    """A pair of transactions that meet, and what came of it.

    Args:
        names: of the two: the test, and what it wrote.
        tests: that made them; empty: nobody knows.
        reason: of the outcome, in words.
        finding: the schedule, where one goes wrong.
        schedules: that were played.
    """

    conflict: Conflict
    names: tuple[str, str]
    tests: tuple[str, str]
    outcome: Outcome
    reason: str = ""
    finding: Finding | None = None
    schedules: int = 0

    @property
    def verdict(self) -> Verdict:
        return _VERDICTS.get(self.outcome, Verdict.UNKNOWN)


@dataclass(frozen=True, slots=True)
class LearnedPass:
    """What came of a serial pass.

    Args:
        transactions, statements: that passed the proxy.
        kinds: of transactions that differ in more than values, and that were made again alone.
        pairs: those that meet, the worst first.
        left_out: what was not made again, and why.
    """

    transactions: int
    statements: int
    kinds: int
    pairs: Sequence[TransactionPair]
    left_out: Sequence[str] = ()

    @property
    def apart(self) -> int:
        """How many pairs touch nothing in common."""
        return self.kinds * (self.kinds + 1) // 2 - len(self.pairs)

    @property
    def exit_code(self) -> int:
        verdicts = [each.verdict for each in self.pairs]
        return exit_code_of(shortfalls_of(verdicts if verdicts or not self.kinds else [Verdict.HOLDS]))

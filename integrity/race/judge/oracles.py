"""Alarms: what is wrong with one run, and what says so."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from integrity.operation import Row


class Oracle(StrEnum):
    """Who raised an alarm, in order of what it means: the first two say that the data is wrong, the others how calls came
    out over right rows."""

    INVARIANT = "invariant"
    SERIAL = "serial equivalence"
    SWALLOWED = "refusal told as an answer"
    FAILURE = "a call fails that alone never does"
    DEADLOCK = "deadlock"
    REPLIES = "answers no serial order gives"


OF_DATA = frozenset({Oracle.INVARIANT, Oracle.SERIAL})
_NAMED = frozenset({Oracle.INVARIANT, Oracle.SWALLOWED, Oracle.FAILURE})


@dataclass(frozen=True, slots=True)
class Alarm:
    """What is wrong with one run.

    Args:
        oracle: who says so.
        name: the check; the operation with its error, e.g. "pay: 23505"; or the calls that it is about, e.g. "A, B".
        rows: those that violate the check; for serial equivalence those that the most similar serial order does not have,
            for answers those answers; of each call that failed, its statement and error; of each in a deadlock, its
            statement, whom it waits for, and what it did before.
    """

    oracle: Oracle
    name: str
    rows: tuple[Row, ...]

    @property
    def fingerprint(self) -> tuple[str, str]:
        """Equal for two runs that fail alike."""
        return fingerprint_of(self.oracle, self.name)


class Raised(Protocol):
    """An Alarm, or one that was written down."""

    @property
    def oracle(self) -> Oracle: ...

    @property
    def fingerprint(self) -> tuple[str, str]: ...


class HasAlarms(Protocol):
    @property
    def alarms(self) -> Sequence[Raised]: ...


class Alarmed:
    """What its alarms say together of a judgement, a hit, a finding."""

    __slots__ = ()

    @property
    def fingerprint(self: HasAlarms) -> frozenset[tuple[str, str]]:
        """Equal for two that fail alike."""
        return frozenset(alarm.fingerprint for alarm in self.alarms)

    @property
    def rank(self: HasAlarms) -> int:
        """How much the worst of them means, the lowest the most."""
        return min(list(Oracle).index(alarm.oracle) for alarm in self.alarms)

    @property
    def is_of_data(self: HasAlarms) -> bool:
        """The data is wrong, rather than only how calls came out."""
        return any(alarm.oracle in OF_DATA for alarm in self.alarms)


def fingerprint_of(oracle: str, name: str) -> tuple[str, str]:
    """Return what two alarms of the same failure have in common."""
    return oracle, name if oracle in _NAMED else ""

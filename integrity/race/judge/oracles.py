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
        is_serial: the calls violate the check one after the other, too: it is no part of a race.
    """

    oracle: Oracle
    name: str
    rows: tuple[Row, ...]
    is_serial: bool = False

    @property
    def fingerprint(self) -> tuple[str, str]:
        """Equal for two runs that fail alike."""
        return fingerprint_of(self.oracle, self.name)


class Raised(Protocol):
    """An Alarm, or one that was written down."""

    @property
    def oracle(self) -> Oracle: ...

    @property
    def is_serial(self) -> bool: ...

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
    def of_race(self: HasAlarms) -> frozenset[tuple[str, str]]:
        """The same of those that the calls do not raise one after the other."""
        return frozenset(alarm.fingerprint for alarm in self.alarms if not alarm.is_serial)

    @property
    def is_race(self: HasAlarms) -> bool:
        """Something is wrong that is not so one after the other."""
        return any(not alarm.is_serial for alarm in self.alarms)

    @property
    def rank(self: HasAlarms) -> int:
        """How much the worst of a race means, the lowest the most; what is no race comes last."""
        of_race = (list(Oracle).index(alarm.oracle) for alarm in self.alarms if not alarm.is_serial)
        return min(of_race, default=len(Oracle))

    @property
    def is_of_data(self: HasAlarms) -> bool:
        """A race makes the data wrong, rather than only how calls come out."""
        return any(alarm.oracle in OF_DATA and not alarm.is_serial for alarm in self.alarms)


def fingerprint_of(oracle: str, name: str) -> tuple[str, str]:
    """Return what two alarms of the same failure have in common."""
    return oracle, name if oracle in _NAMED else ""

"""What is to be brought back, and what came of trying."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from integrity.history import Call
from integrity.race.finding.finding import Finding

BACK, NOT_BACK = "back", "not back"


@dataclass(frozen=True, slots=True)
class Violation:
    """A row of an audit.

    Args:
        invariant: its name.
        row: as the audit kept it.
        calls: of the history of the run.
    """

    invariant: str
    row: Mapping[str, Any]
    calls: Sequence[Call]


class Way(StrEnum):
    """A way to try."""

    ALONE = "alone"
    CUT_OFF = "cut off"
    RACE = "race"
    OTHER_AMOUNTS = "alone, with other amounts"


@dataclass(frozen=True, slots=True)
class Trial:
    """What was tried.

    Args:
        calls: in words.
        schedules: played.
        result: "back", or "not back" with what that covers.
    """

    way: Way
    calls: str
    schedules: int
    result: str


@dataclass(frozen=True, slots=True)
class Reproduction:
    """What brought the violation back.

    Args:
        kind: "race", "alone" (a call by itself), "crash" (a call cut off), or "" when nothing did.
        finding: of a race or a call alone.
        call: of a crash.
        steps: of a crash: its statements up to where it was cut off.
        rows: of a crash: that violate.
        touched: calls in the history that touched the row, or may have; None: the budget was over before they were counted.
        pairs: kinds of pairs raced, in words.
        schedules: played in all.
        tried: one after the other.
        untried: what was not tried, in words.
        is_over: the budget was.
    """

    kind: str = ""
    finding: Finding | None = None
    call: str = ""
    steps: tuple[str, ...] = ()
    rows: tuple[Mapping[str, Any], ...] = ()
    touched: int | None = None
    pairs: tuple[str, ...] = ()
    schedules: int = 0
    tried: tuple[Trial, ...] = ()
    untried: tuple[str, ...] = ()
    is_over: bool = False

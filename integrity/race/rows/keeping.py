"""How each schedule gets the same rows: by undoing what the last one changed, or by a database made anew."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from statistics import median
from time import monotonic, perf_counter, sleep
from typing import ClassVar, Protocol, TypeVar

from integrity.errors import DatabaseError, UsageError
from integrity.race.rows.changes import Record
from integrity.race.rows.tables import Uncovered

PATIENCE_SECONDS = 5.0
"""That transactions of others are given to end, before rows are put back."""
_ASKED_EVERY_SECONDS = 0.002
_TRIES = 5
_T = TypeVar("_T")


class StillOpen(DatabaseError):
    """A transaction that wrote is open, and nothing was put back: what is played meanwhile is judged by nobody."""

    exit_code: ClassVar[int] = 3


class Undoing(Protocol):
    """What sees changes and undoes them, as rows/postgresql/capture.py does."""

    uncovered: tuple[Uncovered, ...]

    def mark(self) -> None:
        """Note that a schedule begins.

        Raises:
            StillOpen: a transaction that wrote is open.
        """
        ...

    def read(self) -> Record:
        """Return what was changed since the mark."""
        ...

    def undo(self) -> datetime:
        """Put all back as it was at the mark; return the server's time.

        Raises:
            StillOpen: a transaction that wrote is open.
        """
        ...


class KeepingWay(Enum):
    """How."""

    UNDO = "undone by change capture"
    TEMPLATE = "a database made anew from a template"


@dataclass(frozen=True, slots=True)
class Keeping:
    """How rows are kept, and why.

    Args:
        reasons: against undoing them; empty: none.
        blind: what a schedule may change that is not seen, though it is put back: what comes of it is unknown.
        unseen: what changes without being seen, whichever way; a verdict about it is unknown.
        seconds: what a schedule that changes nothing takes; None: not measured.
    """

    way: KeepingWay
    reasons: tuple[str, ...] = ()
    blind: tuple[str, ...] = ()
    unseen: tuple[Uncovered, ...] = ()
    seconds: float | None = None

    @property
    def is_made_anew(self) -> bool:
        """The database is, for each schedule."""
        return self.way is KeepingWay.TEMPLATE

    def __str__(self) -> str:
        cost = f", {self.seconds * 1000:.1f} ms a schedule" if self.seconds is not None else ""
        why = f", as {self.reasons[0]}" if self.reasons else ""
        unseen = f"; not seen: {'; '.join(map(str, self.unseen))}" if self.unseen else ""
        return f"rows: {self.way.value}{cost}{why}{unseen}"


def between_transactions(act: Callable[[], _T]) -> _T:
    """Do something, and return what comes of it, while nobody else has written and goes on: what is ignored, a job that a
    call has left behind.

    Whoever it is, is waited for: how long a stranger's transaction takes is chance, and nothing that a call did.

    Raises:
        StillOpen: one did not end in time.
    """
    until = monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return act()
        except StillOpen:
            if monotonic() > until:
                raise
            sleep(_ASKED_EVERY_SECONDS)


def choose_keeping(capture: Undoing, *, has_template: bool, against: str = "") -> Keeping:
    """Return how the rows of a database with a capture are kept.

    They are undone where all that the role may write is seen and comes back. Each schedule then takes under a millisecond
    and not twenty, and the application keeps its connections.

    Args:
        has_template: a template can be made: the database is a copy of ours.
        against: why they are not to be undone; empty: nothing is known against it.

    Raises:
        UsageError: rows can be kept in neither way.
    """
    blind = tuple(_written_unseen(capture.uncovered))
    reasons = (*filter(None, (against,)), *blind)
    unseen = tuple(each for each in capture.uncovered if not each.is_writable)
    if not reasons:
        return Keeping(KeepingWay.UNDO, unseen=unseen, seconds=_measure(capture))
    if not has_template:
        raise UsageError(
            f"what a schedule changes cannot be put back: {'; '.join(reasons)}",
            hint="Name the database with the user that owns these tables, or race requests of an application that is "
            "started here ([app] command): it works on a copy, which is made anew for each schedule.",
        )
    return Keeping(KeepingWay.TEMPLATE, reasons=reasons, blind=blind, unseen=unseen)


def _written_unseen(uncovered: Iterable[Uncovered]) -> Iterable[str]:
    return (f"changes of {each.what} are not seen ({each.reason})" for each in uncovered if each.is_writable)


def _measure(capture: Undoing) -> float:
    """Return what reading and undoing take where nothing was changed."""
    seconds = []
    between_transactions(capture.mark)
    for _ in range(_TRIES):
        between_transactions(capture.undo)
        begun = perf_counter()
        _ = capture.read().changes
        capture.undo()
        seconds.append(perf_counter() - begun)
    return median(seconds)

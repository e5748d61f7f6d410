"""Again: plays a schedule once more, with those that one commit wakes together going on in the order in which they did.

The scheduler owns all order but one. Where several actors wait for what one ends, the server wakes them, and they run at
once. Measured on PostgreSQL 18.6, two waiters, 200 times each: in the order in which they began to wait after a holder that
only locked the row, or rolled back, and for advisory and table locks (200 of 200: they queue for a lock in the lock table);
otherwise in 11 of 200 after an update, since both must lock the row's new version and race for it; and in 78 to 129 of 200
after a delete or for a unique key, since there each waits for the holder's transaction itself and no queue is kept. No
setting changes that. To hold one back until the other is through would not be the same either: a statement that waits has
taken its snapshot, and one that is sent later sees more.

So the order is not made but met: a schedule is played until they went on as they did. Where at most one waits at a time,
the first play is the one. Once in a hundred times a loser at a unique key has begun to insert and has a commit of its own:
that is another schedule, which may not be met again in time; then what it showed is said not to be repeatable.
"""

from collections.abc import Callable, Iterable
from typing import Protocol

from integrity.race.play.scheduler import PlayedSchedule
from integrity.race.program.schedule import ScheduleError
from integrity.race.program.trace import StepPhase

TRIES_MAX = 400
"""On a busy machine one of two orders may come about once in twenty times; a play takes a millisecond or two."""


class Happened(Protocol):
    """A trace.Event, or one that was written down."""

    @property
    def actor(self) -> str: ...

    @property
    def phase(self) -> str: ...


def order_of(events: Iterable[Happened]) -> str:
    """Return the actors in the order in which their letters were done, if two ever waited at once; else nothing."""
    waiting: set[str] = set()
    done = ""
    has_rivals = False
    for event in events:
        if event.phase == StepPhase.WAITS:
            waiting.add(event.actor)
            has_rivals |= len(waiting) > 1
        else:
            waiting.discard(event.actor)
            done += event.actor
    return done if has_rivals else ""


def play_again(play: Callable[[], PlayedSchedule], order: str) -> PlayedSchedule:
    """Return a run in which the letters were done in an order that `order_of` gave; the last one tried, if none was.

    Args:
        play: plays the schedule.
        order: empty: any will do.

    Raises:
        ScheduleError: the schedule did not fit, whatever the order was.
    """
    run, misfit = None, None
    for _ in range(TRIES_MAX if order else 1):
        try:
            run = play()
        except ScheduleError as error:  # those that were woken went on in another order, and the next letter could not
            misfit = error
            continue
        if not order or order_of(run.trace.events) == order:
            return run
    if run is not None:
        return run
    assert misfit is not None
    raise misfit

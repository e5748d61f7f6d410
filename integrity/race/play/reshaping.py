"""Calls that change the tables themselves: the next schedule, and whoever reads rows, does not find them as they were.

Some may be raced, as an `alter table` that can be made again and again; others leave tables that the rows of a race do not
fit any more, or none. What is refused behind such a call is its doing, and is told so.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from integrity.errors import UsageError, quote
from integrity.race.program.program import Program
from integrity.race.program.trace import StepPhase, TraceEvent
from integrity.race.program.wire import StatementRefused

_CHANGING = ("ALTER ", "DROP ", "CREATE ")


class Reshaping:
    """Remembers the last call that changed tables, as one that the database's command tags tell."""

    def __init__(self) -> None:
        self._by = ""

    def note(self, program: Program, letters: str, events: Sequence[TraceEvent]) -> None:
        """Look at what a schedule did.

        Args:
            letters: of the program's actors.
        """
        for event in events:
            if event.phase is not StepPhase.WAITS and event.tag.upper().startswith(_CHANGING):
                actor = program.actors[letters.index(event.actor)]
                place = f"{event.place or actor.place}: " if event.place or actor.place else ""
                self._by = f"{place}{actor.operation} changes the tables themselves by {quote(' '.join(event.sql.split()))}"

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Tell of a refusal within the block that it is the doing of that call.

        Raises:
            UsageError: a statement was refused, and a call has changed tables.
        """
        try:
            yield
        except (StatementRefused, UsageError) as error:
            refused = error if isinstance(error, StatementRefused) else error.__context__  # of a row, whose place is none
            if not self._by or not isinstance(refused, StatementRefused):
                raise
            raise UsageError(
                f"{self._by}, and behind it: {refused.reason}",
                hint="A race plays each schedule on the same tables: leave that statement out of the operation.",
            ) from None

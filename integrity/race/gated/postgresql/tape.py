"""A tape: a copy of the database that is brought to where a recorded transaction began, by making all before it again.

It goes forward as far as may be; back to an earlier one it begins anew, on another copy.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from integrity.engines.target import Target
from integrity.events import listen
from integrity.race.gated.postgresql.scribe import Transaction
from integrity.race.gated.postgresql.script import apply
from integrity.race.gated.postgresql.stand import Stand, open_stand
from integrity.race.rows.keeping import between_transactions
from integrity.race.rows.postgresql.copy import make_copy, reserve_copy


class Tape:
    """See the module; a context manager, which drops its copy.

    Args:
        origin: the database as it was when the recording began; it is left alone.
        transactions: of the recorded copy, by their ends.
        seconds_max: that a call is given between two statements.
    """

    def __init__(self, origin: Target, transactions: Sequence[Transaction], *, seconds_max: float) -> None:
        self._origin = origin
        self._transactions = transactions
        self._seconds_max = seconds_max
        self._place: Target | None = None
        self._done = 0
        self._stand: Stand | None = None
        self._of_copy = ExitStack()
        self._of_stand = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._rewind()

    def at(self, number: int) -> Stand:
        """Return a stand on the rows that a transaction found.

        Raises:
            DatabaseError: the server is gone.
        """
        if number < self._done or self._place is None:
            self._rewind()
            place = self._of_copy.enter_context(reserve_copy(self._origin))
            self._place = listen(make_copy(place)).target
        before = [each for each in self._transactions if self._done <= each.number < number]
        if any(each.defines for each in before):
            self._leave_stand()
        if self._stand is not None:
            between_transactions(self._stand.capture.undo)
        for transaction in before:
            apply(transaction, self._place)
        self._done = max(self._done, number)
        if self._stand is None:
            opened = open_stand(self._place, seconds_max=self._seconds_max)
            self._stand = self._of_stand.enter_context(opened)
        between_transactions(self._stand.capture.mark)
        return self._stand

    def _leave_stand(self) -> None:
        self._stand = None
        self._of_stand.close()

    def _rewind(self) -> None:
        """Let the copy go."""
        self._leave_stand()
        self._place, self._done = None, 0
        self._of_copy.close()

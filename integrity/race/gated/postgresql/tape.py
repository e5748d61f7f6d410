"""A tape: a copy of the database that is brought to where a recorded transaction began, by making all before it again.

It goes forward as far as may be; back to an earlier one, or from within one that was rolled back, it begins anew, on
another copy. What was rolled back is made and rolled back again: it took numbers of sequences.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from integrity.engines.target import Target
from integrity.events import listen
from integrity.race.gated.postgresql.scribe import Spoken, Transaction
from integrity.race.gated.postgresql.script import Names, apply, apply_before
from integrity.race.gated.postgresql.stand import Stand, open_stand
from integrity.race.rows.keeping import between_transactions
from integrity.race.rows.postgresql.copy import make_copy, make_empty, reserve_copy


class Tape:
    """See the module; a context manager, which drops its copy.

    Args:
        origin: the database as it was when the recording began; it is left alone.
        is_empty: the suite has made its own database, an empty one, beside the copy.
        transactions: of the recorded copy, by their ends.
        seconds_max: that a call is given between two statements.
    """

    def __init__(self, origin: Target, transactions: Sequence[Transaction], *, is_empty: bool, seconds_max: float) -> None:
        self._origin = origin
        self._transactions = transactions
        self._is_empty = is_empty
        self._seconds_max = seconds_max
        self._place: Target | None = None
        self._done = 0
        self.names: Names = {}
        """What stands for ids that rows were given in the pass."""
        self._within: tuple[Spoken, ...] = ()
        self._stand: Stand | None = None
        self._of_copy = ExitStack()
        self._of_stand = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._rewind()

    def at(self, transaction: Transaction) -> Stand:
        """Return a stand on the rows that a transaction found.

        Raises:
            DatabaseError: the server is gone.
        """
        number = transaction.number
        if number < self._done or (self._within and self._within != transaction.before) or self._place is None:
            self._rewind()
        place = self._place = self._place or self._make()
        earlier = [each for each in self._transactions if self._done <= each.number < number]
        is_new_part = bool(transaction.before) and not self._within
        if is_new_part or any(each.defines for each in earlier):
            self._leave_stand()
        if self._stand is not None:
            between_transactions(self._stand.capture.undo)
        for each in earlier:
            apply(each, place, self.names)
        self._done = number
        if is_new_part:
            apply_before(transaction, place, self.names)
            self._within = transaction.before
        if self._stand is None:
            self._stand = self._of_stand.enter_context(open_stand(place, seconds_max=self._seconds_max))
        between_transactions(self._stand.capture.mark)
        return self._stand

    def _make(self) -> Target:
        place = self._of_copy.enter_context(reserve_copy(self._origin))
        if self._is_empty:
            return make_empty(place)
        return listen(make_copy(place)).target

    def _leave_stand(self) -> None:
        self._stand = None
        self._of_stand.close()

    def _rewind(self) -> None:
        """Let the copy go."""
        self._leave_stand()
        self._place, self._done, self._within = None, 0, ()
        self.names = {}
        self._of_copy.close()

"""Remaking: a copy of ours that is dropped before each schedule and made anew from a template, where undoing does not do.

    with remaking(place, capture, desk) as anew:    # behind the mark; nobody is connected yet
        anew.engine = troupe.engine
        anew.renew()                                          # before each schedule

Whatever a schedule did is gone with the database: definitions, large objects, what no trigger sees. The application's
connections are cut, so that its pool opens new ones; one that hands out a connection without looking whether it is still
there answers its first request with an error, and a race of it says so. What the schedule did that nobody compares stays
unknown: a race may find something, but says of nothing that it holds.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median
from time import monotonic, perf_counter, sleep

import psycopg

from integrity.engines.refusals import reason_of
from integrity.errors import DatabaseError
from integrity.race.gated.postgresql.desk import Desk
from integrity.race.gated.postgresql.engine import GatedEngine
from integrity.race.rows.postgresql.capture import Capture
from integrity.race.rows.postgresql.copy import CopyPlace
from integrity.race.rows.postgresql.template import Template, make_template

_CUT_SECONDS = 5.0
"""That connections which were cut are given to end."""
_ASKED_EVERY_SECONDS = 0.002


@dataclass
class MadeAnew:
    """See the module.

    Args:
        seconds: that each renewal took.
        altering: statements that are carried out on each copy.
        engine: that asks the copy; None: none yet.
    """

    place: CopyPlace
    template: Template
    capture: Capture
    desk: Desk
    seconds: list[float] = field(default_factory=list)
    altering: Sequence[str] = ()
    engine: GatedEngine | None = None

    def renew(self) -> datetime:
        """Make the copy anew; return when, by the server's clock.

        Raises:
            DatabaseError: the server refuses it.
        """
        begun = perf_counter()
        self._cut_all()
        self.capture.disconnect()
        if self.engine is not None:
            self.engine.disconnect()
        self.template.renew()
        self.capture.connect()
        self._alter()
        if self.engine is not None:
            self.engine.connect()
            self.engine.share_core_with(self.capture.backend_pid)
        self.seconds.append(perf_counter() - begun)
        return self.capture.read_clock()

    @property
    def seconds_each(self) -> float | None:
        """What a renewal takes, in the middle; None: there was none."""
        return median(self.seconds) if self.seconds else None

    @contextmanager
    def altered(self, statement: str) -> Iterator[None]:
        """Have each copy altered for the block."""
        self.altering = (statement,) if statement else ()
        try:
            yield
        finally:
            self.altering = ()

    def _cut_all(self) -> None:
        self.desk.cut_off(self.desk.all_pids)
        until = monotonic() + _CUT_SECONDS
        while self.desk.all_pids and monotonic() < until:
            self.desk.take_in()
            sleep(_ASKED_EVERY_SECONDS)

    def _alter(self) -> None:
        if not self.altering:
            return
        with closing(self.place.target.connect(application_name="integrity race rows")) as connection:
            try:
                for statement in self.altering:
                    connection.execute(statement.encode())
                connection.commit()
            except psycopg.Error as error:
                raise DatabaseError(reason_of(error)) from None
        self.capture.mark()


@contextmanager
def remaking(place: CopyPlace, capture: Capture, desk: Desk) -> Iterator[MadeAnew]:
    """Yield what makes the copy anew as it is now, the capture on it included.

    Raises:
        DatabaseError: somebody is connected to the copy, or the server refuses it.
    """
    capture.disconnect()
    with make_template(place) as template:
        capture.connect()
        yield MadeAnew(place, template, capture, desk)

"""PostgreSQL under operations: a wire an actor, beside the connection for control.

Right behind an actor's statement the control connection asks the server whether that waits for a lock of another actor, and
again until it has answered or waits: nothing is guessed from a time-out, and nothing sleeps.
"""

import math
import time
from collections.abc import Sequence
from select import select
from selectors import EVENT_READ

from integrity.engines.target import Target
from integrity.operation import Statement
from integrity.race.play.postgresql.control import BLOCKERS, PostgresControl, sql_of
from integrity.race.play.postgresql.wire import LOOKING, PostgresWire
from integrity.race.play.session import Session
from integrity.race.program.trace import one_line
from integrity.race.program.wire import LetterTimeout, Wire

# What has never waited is given so long to end before the server is asked whether it waits: reads, commits. It mostly
# has ended by then, and the question, which costs what a statement does, is spared. Of what comes through the proxy
# (gated/) it is what has waited before, and the next but one what has not.
GRACE_SECONDS = 0.0002
# The same where no other transaction has written: what it can hold then is an advisory lock or one on a whole table.
LONG_GRACE_SECONDS = 0.002
# The same where no other is in a transaction: then only an advisory lock of a session is left.
LONGEST_GRACE_SECONDS = 0.02
_FD_SETSIZE = 1024  # what `select` can watch
_SPINS_MAX = 64  # questions about a lock sent back to back, about 3 ms; from then on one a millisecond
# So long a notice that it has looked is waited for where it may be lost: the session can have been told to have none. Where
# it cannot be, a busy machine may take its time: what is gone on with before is another order.
_LOOK_SECONDS = 0.25


def open_engine(target: Target, *, letter_seconds_max: float, has_books: bool) -> "PostgresEngine":
    """See engines.open_engine."""
    return PostgresEngine(target, letter_seconds_max=letter_seconds_max, has_books=has_books)


class PostgresEngine(PostgresControl):
    """See engine.WireEngine for what its methods promise, and PostgresControl for the arguments.

    A letter that neither ends nor waits for an actor's lock is cancelled after `letter_seconds_max`.
    """

    def __init__(self, target: Target, *, letter_seconds_max: float, has_books: bool = False) -> None:
        self.ends_at = math.inf
        self._wires: dict[str, PostgresWire] = {}
        self._waiting_sql: set[str] = set()  # texts that have waited for a lock
        super().__init__(target, letter_seconds_max=letter_seconds_max, has_books=has_books)

    def open(self, letter: str) -> Wire:
        wire = self._connect(LOOKING)
        self._core.release()  # to take the new one along
        self._wires[letter] = self._served[letter] = wire
        self._selector.register(wire, EVENT_READ)
        return wire

    def forget_wires(self) -> None:
        for wire in self._wires.values():
            self._selector.unregister(wire)
            self._core.remove(wire.pid)
            wire.close()
        self._wires.clear()
        self._served.clear()

    def close(self) -> None:
        self.forget_wires()
        super().close()

    def run(self, session: Session, sessions: Sequence[Session]) -> str:
        others = [other for other in sessions if other.in_transaction and other is not session]
        may_wait = len(sessions) > 1
        wire = self._wires[session.letter]
        deadline = min(time.monotonic() + self._letter_seconds_max, self.ends_at)
        control = self._control
        must_look = len(sessions) > 2 and session.is_impatient
        looks, has_looked, looks_until = wire.looks, False, 0.0  # has_looked: before the question was sent
        question = [Statement(BLOCKERS, {"pid": wire.pid})]
        asked = 0
        flight = wire.flights
        sql = sql_of(session)
        look_seconds = self._letter_seconds_max / 2 if must_look and wire.tells_looks(sql) else _LOOK_SECONDS
        if may_wait and not self._is_soon_done(wire, sql, others):
            if control.is_busy:
                control.wait(self._letter_seconds_max)
            control.send(question)
        while not session.progress():
            if may_wait and control.is_busy:
                answers = control.receive()
                if answers is not None:
                    # An answer about a flight that has come back meanwhile, refused, says nothing about the next.
                    blockers = self._ours(answers[0]) if flight == wire.flights else ""
                    if blockers:
                        looks_until = looks_until or time.monotonic() + look_seconds
                        is_for_snapshot = not answers[0].rows[0]["blockers"]
                        if not must_look or has_looked or is_for_snapshot or time.monotonic() > looks_until:
                            self._waiting_sql.add(sql)
                            return blockers
                    has_looked = wire.looks > looks
                    flight = wire.flights
                    asked += 1
                    if asked < _SPINS_MAX and not blockers:
                        control.send(question)
                        continue
            left = deadline - time.monotonic()
            if left <= 0:
                hanging = self._why_hanging(wire)
                wire.cancel()
                late = f"{session.letter}'s letter {session.number + 1} took more than {self._letter_seconds_max:g} s"
                raise LetterTimeout(f"{late}, {hanging}: {one_line(session.event)}")
            self._selector.select(0.001 if may_wait and not control.is_busy else left)
            if may_wait and not control.is_busy:
                flight, has_looked = wire.flights, wire.looks > looks
                control.send(question)
        return ""

    def _is_soon_done(self, wire: PostgresWire, sql: str, others: Sequence[Session]) -> bool:
        """Return whether a statement has ended within its grace; one that is likely to wait has none."""
        if not any(other.is_noticeable for other in others):
            return _arrives_within(wire, LONG_GRACE_SECONDS if others else LONGEST_GRACE_SECONDS)
        return sql not in self._waiting_sql and _arrives_within(wire, GRACE_SECONDS)


def _arrives_within(wire: PostgresWire, seconds: float) -> bool:
    """Return whether something has arrived by then; `select`, as epoll's shortest time is a millisecond."""
    descriptor = wire.fileno()
    return descriptor < _FD_SETSIZE and bool(select([descriptor], [], [], seconds)[0])

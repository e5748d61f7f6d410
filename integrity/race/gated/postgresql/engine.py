"""PostgreSQL under actors that are not ours: their connections come through the proxy, whoever opens them.

Who waits for whom is asked of the server while a unit of an actor's is there, never while the actor runs its own code.
"""

import math
import os
import time
from collections.abc import Collection, Sequence

from integrity.engines.target import Target
from integrity.operation import Statement
from integrity.race.gated.postgresql.desk import Desk, Lane
from integrity.race.gated.postgresql.session import GatedSession
from integrity.race.play.postgresql.control import BLOCKERS, PostgresControl, sql_of
from integrity.race.play.postgresql.engine import GRACE_SECONDS, LONG_GRACE_SECONDS, LONGEST_GRACE_SECONDS
from integrity.race.play.session import Session
from integrity.race.program.trace import one_line
from integrity.race.program.wire import GoesOn, LetterTimeout

_ASKED_EVERY_SECONDS = 0.001
_GIVEN_UP_SECONDS = 5.0  # that calls of a schedule which is not played to its end are given to be over
_LEFT_OPEN_SECONDS = 1.0  # that a call which has returned is given to end its transaction
_OPEN = """
select exists (
    select from pg_catalog.pg_stat_activity where pid = any (:pids::int4[]) and xact_start is not null
) as is_left
"""
_KEPT = """
select pid, classid::int8, objid::int8, objsubid
from pg_catalog.pg_lock_status()
where locktype = 'advisory' and granted and pid = any (:pids::int4[])
"""
_LOOK_SECONDS = 5.0  # as of operations: of three and more, the one that waits last must have looked for a deadlock

_Kept = tuple[int, ...]
"""An advisory lock: the process that has it, and its numbers."""


class GatedEngine(PostgresControl):
    """See the module.

    Args:
        desk: that knows whose connections are whose.
        letter_seconds_max: an actor is given up that neither sends a statement nor returns nor waits for another so long.
        unseen: relations of ours that everybody writes to and nobody meets at.
    """

    def __init__(self, target: Target, desk: Desk, *, letter_seconds_max: float, unseen: Collection[int] = ()) -> None:
        self._desk = desk
        self.ends_at = math.inf  # a call that is not ours is given its time: it cannot be cancelled
        self._lanes: dict[str, Lane] = {}
        self._standing: set[_Kept] | None = None
        self._waiting_sql: set[str] = set()  # texts that have waited for a lock
        super().__init__(target, letter_seconds_max=letter_seconds_max, unseen=unseen)
        self._core.accompany(os.getpid(), with_children=False)
        desk.on_backend = self.share_core_with

    def share_core_with(self, backend_pid: int) -> None:
        """Have one of the server's processes share the core of the search."""
        self._core.add_sibling(backend_pid)

    def accompany(self, pid: int) -> None:
        """Have an application share the core of the search: only one of them runs at a time."""
        self._core.accompany(pid, with_children=True)

    def take_lane(self, letter: str) -> Lane:
        """Return what concerns an actor, who is asked after from then on."""
        lane = self._lanes[letter] = self._served[letter] = self._desk.lane(letter)
        return lane

    def forget_wires(self) -> None:
        if left := self._forget_wires():
            raise GoesOn(
                f"the call of {', '.join(left)} goes on, {2 * _GIVEN_UP_SECONDS:g} s after its connections were cut, "
                "and what it sends would be taken for another's",
                hint="Let it give up after some tries, and race it then.",
            )

    def _forget_wires(self) -> str:
        """Let all connections go; return whose calls are not over."""
        left = self._desk.give_up(_GIVEN_UP_SECONDS)
        self.end_transactions()
        self._lanes.clear()
        self._served.clear()
        return left

    def close(self) -> None:
        self._forget_wires()
        super().close()

    def run(self, session: Session, sessions: Sequence[Session]) -> str:
        lane = self._lanes[session.letter]
        deadline = time.monotonic() + self._letter_seconds_max
        must_look = len(sessions) > 2 and bool(session.is_impatient)
        looks, looks_until = lane.looks, 0.0
        grace = self._grace(session, sessions)
        while not session.progress():
            if session.returned is not None and not lane.is_executing:
                deadline = min(deadline, time.monotonic() + _LEFT_OPEN_SECONDS)
            left = deadline - time.monotonic()
            if left <= 0 and session.returned is not None:
                assert isinstance(session, GatedSession)
                session.abandon()
                return ""
            if left <= 0:
                raise LetterTimeout(self._why_late(session))
            if not lane.is_executing or len(sessions) < 2:
                self.wait(left)
                continue
            flight, has_looked = lane.flights, lane.looks > looks
            if self.wait(grace if not looks_until else _ASKED_EVERY_SECONDS):
                continue
            (answer,) = self.ask([Statement(BLOCKERS, {"pid": lane.pid})])
            self._desk.take_in()
            blockers = self._ours(answer).replace(session.letter, "")
            if blockers and lane.is_executing and lane.flights == flight:
                looks_until = looks_until or time.monotonic() + _LOOK_SECONDS
                is_for_snapshot = not answer.rows[0]["blockers"]
                if not must_look or has_looked or is_for_snapshot or time.monotonic() > looks_until:
                    self._waiting_sql.add(sql_of(session))
                    return blockers
            else:
                self.wait(_ASKED_EVERY_SECONDS)
        return ""

    def _grace(self, session: Session, sessions: Sequence[Session]) -> float:
        """Return how long a statement is given to end before the server is asked whether it waits."""
        if not any(other.in_transaction for other in sessions if other is not session):
            return LONGEST_GRACE_SECONDS
        return GRACE_SECONDS if sql_of(session) in self._waiting_sql else LONG_GRACE_SECONDS

    def begin(self) -> None:
        """Come together on a core; before the first schedule, note which advisory locks connections keep for longer."""
        self._core.keep()
        if self._standing is None:
            self._standing = self._kept_by(self._desk.all_pids)

    def end_transactions(self) -> bool:
        """Cut off connections that a call has left in a transaction, and wait until the server has rolled that back; and
        those on which it has kept an advisory lock: return whether there are any."""
        open_pids = self._desk.open_pids
        for letter in self._lanes:
            self._desk.cut(letter, is_over=True)
        pids, self._desk.pids = self._desk.pids, set()
        until = time.monotonic() + _GIVEN_UP_SECONDS
        while open_pids and self._is_open(open_pids) and time.monotonic() < until:
            self._pause()
        kept = self._kept_by(pids) - (self._standing or set())
        self._desk.cut_off({pid for pid, *_ in kept})
        return bool(kept)

    def _is_open(self, pids: Collection[int]) -> bool:
        """Return whether one of the server's processes is in a transaction."""
        (answer,) = self.ask([Statement(_OPEN, {"pids": _listed(pids)})])
        return bool(answer.rows[0]["is_left"])

    def _kept_by(self, pids: Collection[int]) -> set[_Kept]:
        """Return the advisory locks that processes of the server have."""
        if not pids:
            return set()
        (answer,) = self.ask([Statement(_KEPT, {"pids": _listed(pids)})])
        return {tuple(row.values()) for row in answer.rows}

    def wait(self, seconds: float) -> bool:
        """Wait until there is news, at most so long; return whether there is."""
        return self._desk.wait(seconds)

    def _pause(self) -> None:
        self._desk.take_in()
        self.wait(_ASKED_EVERY_SECONDS)

    def _why_late(self, session: Session) -> str:
        """Return what an actor is at that does not come to an end."""
        late = f"{session.letter} took more than {self._letter_seconds_max:g} s"
        lane = self._lanes[session.letter]
        if lane.is_executing:
            return f"{late}, {self._why_hanging(lane)}: {one_line(session.event)}"
        after = f"after {one_line(session.event)}" if session.event else "before its first statement"
        return (
            f"{late} {after}: it waits for something else than its database, e.g. a connection of a pool that has no more"
        )


def _listed(pids: Collection[int]) -> str:
    return f"{{{','.join(map(str, pids))}}}"

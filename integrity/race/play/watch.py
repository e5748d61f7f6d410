"""The watch over one schedule: what its letters touched and met, asked while their transactions are open.

Whoever searches learns from it which orders are the same (search/independence.py); the program learns what of a reader's
is in another actor's way (program.Standing).
"""

from typing import Protocol

from integrity.race.play.engine import RaceEngine
from integrity.race.play.footprint import UNKNOWN, Footprint
from integrity.race.play.session import ActorState, Session
from integrity.race.program.trace import StepPhase, TraceEvent

# Tags of statements that lock a whole table only by a function that they call; after others the engine is always asked.
_QUIET = frozenset(
    {"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "SET", "SHOW"}
)


class TraceRecorder(Protocol):
    """Listens to one run and may know footprints beforehand, which spares asking for them."""

    def known(self, actor: str, number: int, phase: StepPhase) -> Footprint | None: ...

    def add(self, actor: str, number: int, phase: StepPhase, footprint: Footprint) -> None: ...

    def end_letter(self, *, done: str) -> None:
        """A letter and what it woke are over; `done` are the actors at their end."""
        ...


class Watch:
    """See the module.

    Args:
        engine: that is asked.
    """

    def __init__(self, engine: RaceEngine) -> None:
        self._engine = engine
        self._recorder: TraceRecorder | None = None
        self._looked: dict[str, Footprint] = {}
        self._is_first = False

    def begin(self, recorder: TraceRecorder | None, *, is_first: bool) -> None:
        """Forget the schedule before.

        Args:
            recorder: told what every letter touched.
            is_first: of its program, so that the engine is asked behind every statement what that meets.
        """
        self._recorder = recorder
        self._looked.clear()
        self._is_first = is_first

    def look(self, session: Session) -> None:
        """Note what the statement that just ended touched and met, while its transaction is open."""
        assert session.event is not None
        touched = UNKNOWN  # if its locks are gone
        if self._recorder:
            touched = self._locks_of(self._recorder, session, session.event.phase) if session.in_transaction else UNKNOWN
            self._looked[session.letter] = touched
        is_loud = session.event.tag.partition(" ")[0] not in _QUIET
        if is_loud or (session.in_transaction and (self._is_first or (self._recorder and touched.whole))):
            session.met |= self._engine.meets(session)

    def add(self, session: Session, event: TraceEvent) -> None:
        """Tell the recorder what a letter touched."""
        if self._recorder:
            footprint = self._footprint(self._recorder, session, event)
            self._recorder.add(session.letter, session.number, event.phase, footprint)

    def end_letter(self, *, done: str) -> None:
        """See TraceRecorder."""
        if self._recorder:
            self._recorder.end_letter(done=done)

    def _locks_of(self, recorder: TraceRecorder, session: Session, phase: StepPhase) -> Footprint:
        known = recorder.known(session.letter, session.number, phase)
        return known or self._held_before(session, self._engine.look(session))

    def _held_before(self, session: Session, footprint: Footprint) -> Footprint:
        """Return the footprint with what the session's letter before held."""
        before = self._looked.get(session.letter)
        if before is None:
            return footprint
        return footprint.with_held(before, is_same_transaction=not session.opens_transaction)

    def _footprint(self, recorder: TraceRecorder, session: Session, event: TraceEvent) -> Footprint:
        if event.phase is StepPhase.WAITS:
            is_seen = session.state is ActorState.WAITING and session.in_transaction
            return self._locks_of(recorder, session, StepPhase.WAITS) if is_seen else UNKNOWN
        if event.refusal:
            return UNKNOWN
        held = self._looked.get(session.letter)
        if held is None:
            return UNKNOWN
        if event.sql not in ("commit", "rollback"):
            return held
        # Without rows written or locked, only locks on whole tables are in the way of others.
        rows = held.rows if session.ends_written else 0
        return Footprint(
            rows=rows,
            whole=held.whole,
            published=rows | held.whole if event.tag == "COMMIT" else 0,
            let_go=held.touches,
            is_end=True,
            level=held.level,
        )

"""The troupe of actors that are not ours: requests, functions, commands, whose statements come through the proxy.

Every schedule begins with the rows as they were (see rows/), and with each actor held at its first statement. Otherwise it
is played as any other: see play/scheduler.py.
"""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from integrity.engines.target import Target
from integrity.race.gated.postgresql.desk import Desk
from integrity.race.gated.postgresql.engine import GatedEngine
from integrity.race.gated.postgresql.session import GatedSession
from integrity.race.play.session import Session
from integrity.race.play.staging import Staged
from integrity.race.play.troupe import AT_ONCE, NOT_UNDONE, STRAY
from integrity.race.program.change import Change
from integrity.race.program.program import Actor, Keys, Program
from integrity.race.rows.changes import NOTHING, Record

SECONDS_MAX = 10.0
"""That an actor is given between two statements, unless somebody says otherwise."""


_OF_THE_SERVER = ("role", "database", "tablespace", "system")


class Rows(Protocol):
    """What makes the rows of every schedule the same."""

    staged: Record
    """What was made of them before the calls began, and is undone with what those change."""

    def renew(self) -> tuple[Keys, datetime]:
        """Put the rows back as they were, and make those that the actors need; return what they are called, and the time
        before any was made, by the server's clock."""
        ...

    def read(self) -> Record:
        """Return what the schedule has changed."""
        ...


class GatedCalls:
    """See the module, and play/troupe.py.

    Args:
        target: where the proxy leads to.
        desk: of the proxy's gates.
        rows: see Rows.
        seconds_max: that an actor is given between two statements.
        unseen: see GatedEngine.
        sees_commands: what changes definitions is among what the rows say of themselves.
        is_made_anew: so is the database, whatever a schedule did there.
        blind: what else may change that is not seen; empty: nothing.
        has_patience: connections may be told how long to wait before they look for a deadlock.
    """

    def __init__(
        self,
        target: Target,
        desk: Desk,
        rows: Rows,
        *,
        seconds_max: float = SECONDS_MAX,
        sees_commands: bool,
        has_patience: bool,
        is_made_anew: bool = False,
        blind: str = "",
        unseen: Collection[int] = (),
    ) -> None:
        self._desk = desk
        self._rows = rows
        self._sees_commands = sees_commands
        self._has_patience = has_patience
        self._is_made_anew, self._blind = is_made_anew, blind
        self._unseen = ""
        self._record = NOTHING
        self._sessions: dict[str, GatedSession] = {}
        self.engine = GatedEngine(target, desk, letter_seconds_max=seconds_max, unseen=unseen)

    def open(self, letter: str, observe: Callable[[Session], None]) -> Session:
        lane = self.engine.take_lane(letter)
        session = GatedSession(letter, lane, observe=observe, is_held=self.engine.is_held, has_patience=self._has_patience)
        self._sessions[letter] = session
        return session

    def make_rows(self, program: Program) -> Staged:
        del program
        self._record = NOTHING
        self._desk.begin(is_watching=False)
        keys, self._began = self._rows.renew()
        self.engine.begin()
        self._desk.begin(is_watching=True)
        return Staged(keys, {*keys.values(), *self._rows.staged.generated})

    def start(self, letter: str, actor: Actor, keys: Keys, operation_id: UUID, program: Program) -> None:
        assert actor.launch is not None
        session = self._sessions[letter]
        if actor.outside is not None:
            actor.outside(operation_id, session)
        session.launch(
            actor.launch(keys, operation_id),
            isolation=program.isolation,
            generated_columns=self.engine.generated_columns,
            standing=program.standing.holds,
        )
        self.engine.run(session, [session])

    def leave(self, letters: str) -> str:
        keeps_lock = self.engine.end_transactions()
        record = self._rows.read()
        self._record = record.without(self._desk.ignored_pids)
        sessions = [self._sessions[letter] for letter in letters]
        for session in sessions:
            session.generated |= self._record.generated
        known = self._desk.known_pids
        strays = self._desk.begin(is_watching=False)
        if strays:
            return f"{STRAY}: {strays[0]}"
        # Calls that make no statement which we see have no orders: that is told of them, whoever writes.
        others = record.tables_of_others(known, since=self._rows.staged) if any(each.event for each in sessions) else ()
        if others:
            return (
                f"another client wrote to {', '.join(others)} during the schedule, past the proxy: "
                "end it, or, where it is a call's own connection, lead that to the proxy as well"
            )
        if keeps_lock:
            return "a call has kept an advisory lock on a connection that goes on: nobody else would ever have it"
        defined = self._defined_by(sessions)
        self._unseen = ""
        if self._is_made_anew and self._record.reshaped:
            tables = ", ".join(self._record.reshaped)
            return f"rows of {tables} have other columns than before, and are not compared: {defined}"
        if self._is_made_anew:
            did = f"what a call did is not compared: {defined}" if defined else ""
            self._unseen = "; ".join(filter(None, (did, self._blind)))
        elif defined:
            return f"{NOT_UNDONE}: {defined}"
        return self._why_unseen(sessions)

    def _defined_by(self, sessions: Sequence[GatedSession]) -> str:
        """Return what calls defined, or wrote where no trigger is; empty: nothing."""
        defined = [
            *self._record.not_undone,
            *(tag for session in sessions for tag in session.defined if self._is_unseen(tag)),
        ]
        return "; ".join(dict.fromkeys(defined))

    def _why_unseen(self, sessions: Sequence[GatedSession]) -> str:
        """Return what calls did that nobody compares, or that no order shows; empty: nothing."""
        hidden = [f"{session.letter} ({session.hidden})" for session in sessions if session.hidden]
        if hidden:
            return f"nobody can come between what one letter stands for: {' and '.join(hidden)}"
        parallel = [session.letter for session in sessions if session.is_parallel]
        if parallel:
            return f"{' and '.join(parallel)} {AT_ONCE}"
        return ""

    def _is_unseen(self, tag: str) -> bool:
        """Return whether only its tag tells of a command: of what is the whole server's, and where nobody may watch."""
        return not self._sees_commands or tag.rsplit(" ", maxsplit=1)[-1] in _OF_THE_SERVER

    def changes(self) -> Sequence[Change]:
        return self._record.changes

    def unseen(self) -> str:
        return self._unseen

    def took(self) -> tuple[datetime, datetime] | None:
        ended = self._record.read_at
        return (self._began, ended) if ended else None

    def forget(self) -> None:
        self._sessions.clear()
        self.engine.forget_wires()

"""A session: one actor's connection and its call, letter by letter.

A session never decides when to go on. Released, it does what its next letter stands for (see schedule.py) and is running
until `progress` says that this is done. What that is depends on whose call it is: an operation's steps are sent
(operation_session.py), the statements of a program that is not ours are let go (gated/).

Inside is one generator, `_drive`, that yields what it needs to go on: a letter, or what comes on the channel.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import replace
from enum import Enum
from typing import Any

from integrity.operation import Isolation, Row
from integrity.race.program.trace import Asked, Return, StepPhase, TraceEvent
from integrity.race.program.wire import Answer, Channel, Refusal, generated_values

DEADLOCK = "40P01"
_CANCELLED = "57014"


class ActorState(Enum):
    """Ready for a letter, running, waiting for a lock, or at its end."""

    READY = "ready"
    RUNNING = "running"
    WAITING = "waiting"
    DONE = "done"


class Needs(Enum):
    """What a session needs to go on: its next letter, or what comes on its channel."""

    LETTER = "letter"
    NEWS = "news"


Drive = Generator[Needs, Any, None]
"""Is sent what came, if that was needed."""


class Session(ABC):
    """One actor's connection and the call under way on it.

    Args:
        observe: called when a statement is done and its transaction still open: a chance to look at its locks.
        is_held: whether a transaction in which a statement was refused still holds something that others can notice.
    """

    def __init__(
        self,
        letter: str,
        wire: Channel,
        *,
        observe: "Callable[[Session], None]",
        is_held: "Callable[[Session], bool]",
    ) -> None:
        self.letter = letter
        self.wire: Channel = wire
        self._observe = observe
        self._is_held = is_held
        self._generated_columns: frozenset[tuple[int, int]] = frozenset()
        self.state = ActorState.DONE
        self._forget()

    def _begin(self, isolation: Isolation, standing: frozenset[str]) -> None:
        """Know nothing of a call before, and go on to the first letter of this one."""
        self.standing = standing
        self._forget()
        self.event: TraceEvent | None = None
        self.number = -1
        self.waits_for = ""
        self.waiting_since = 0
        self._looks = 0
        self.level = isolation
        self.in_transaction = False
        self.is_noticeable = False
        self.has_written = False
        self.has_committed = False
        self.is_impatient: bool | None = False  # looks for a deadlock as soon as it waits; None: not known
        self.is_deferrable = False
        self.opens_transaction = False
        self.opens_next = False  # a snapshot is taken by the next letter, if not by this one
        self.ends_written = False  # the last end was of a transaction that had written
        self.is_deadlock_victim = False
        self._wants_impatience = False
        self.state = ActorState.RUNNING
        self._driver = self._drive()
        self._resume_driver(None)

    def _forget(self) -> None:
        """Know of no call."""
        self.met: set[str] = set()  # what of a reader's would be in the way of what it did
        self.generated: set[Any] = set()
        self.pushed: list[Row] = []
        self.requests: list[Asked] = []
        self.returned: Return | None = None

    def release(self, *, is_impatient: bool) -> None:
        """Send what the next letter stands for.

        Args:
            is_impatient: another actor waits for a lock, so this one may close a circle.
        """
        assert self.state is ActorState.READY
        self.number += 1
        self.waits_for = ""
        self._looks = self.wire.looks
        self.opens_transaction, self.opens_next = self.opens_next, False
        self._wants_impatience = is_impatient
        self.state = ActorState.RUNNING
        self._resume_driver(None)

    @property
    def has_looked(self) -> bool:
        """Whether it has waited in its letter, by what the server says, and looked for a deadlock."""
        return self.wire.looks > self._looks

    def progress(self) -> bool:
        """Take in what has arrived; return whether the letter is done."""
        while self.state in (ActorState.RUNNING, ActorState.WAITING):
            news = self.wire.receive()
            if news is None:
                return False
            self.state = ActorState.RUNNING
            self._resume_driver(news)
        return True

    def wait_for(self, letters: str, *, since: int) -> TraceEvent:
        """Note that this waits for a lock that those actors hold; return the event."""
        self.state = ActorState.WAITING
        self.waiting_since = since
        self.waits_for = letters
        assert self.event is not None
        waiting = replace(self.event, phase=StepPhase.WAITS, waits_for=letters)
        self.event = replace(self.event, phase=StepPhase.RESUMED)
        return waiting

    def cancel_as_deadlock_victim(self) -> None:
        """Cancel what waits here; the operation is told of a deadlock, as by the server."""
        self.is_deadlock_victim = True
        self.wire.cancel()

    def _resume_driver(self, news: Sequence[Any] | None) -> None:
        try:
            needs = self._driver.send(news)
        except StopIteration:
            self.state = ActorState.DONE
            return
        if needs is Needs.LETTER:
            self.state = ActorState.READY

    @abstractmethod
    def _drive(self) -> Drive:
        """Go through the call to its end; see the module."""

    def _note(self, sql: str, parameters: Mapping[str, Any], *, opens: bool = False, place: str = "") -> None:
        done = StepPhase.DONE
        self.event = TraceEvent(self.letter, self.number, done, sql, parameters, self.level, opens=opens, place=place)

    def _note_answer(self, answer: Answer) -> None:
        assert self.event is not None
        refusal = answer.refusal
        if self.is_deadlock_victim and refusal and refusal.sqlstate == _CANCELLED:
            refusal = Refusal(DEADLOCK, "deadlock detected")
        self.is_deadlock_victim = False
        event = self.event
        self.event = TraceEvent(  # as `replace` would, in a tenth of its time
            event.actor,
            event.number,
            event.phase,
            event.sql,
            event.parameters,
            event.level,
            opens=event.opens,
            closes=event.closes,
            rows=answer.rows,
            tag=answer.tag,
            refusal=refusal,
            waits_for=event.waits_for,
            place=event.place,
        )
        self.generated.update(generated_values(answer, self._generated_columns))

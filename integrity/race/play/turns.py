"""Turns: the letters of one schedule, one after the other, over the sessions of its actors.

One actor is released at a time, until its letter is done or the engine says that it waits for a lock of another actor. One
that waits stays pending and another is released; when its lock is free it goes on to the end of its letter before the next
decision.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from integrity.numbers import counted
from integrity.race.play.engine import RaceEngine
from integrity.race.play.session import DEADLOCK, ActorState, Session
from integrity.race.play.wakes import Wake, in_order_of_cause
from integrity.race.play.watch import Watch
from integrity.race.program.schedule import Choice, Decide, ScheduleError, continue_with, letters_of
from integrity.race.program.trace import StepPhase, TraceEvent, one_line
from integrity.race.program.wire import LetterTimeout

_LETTERS = "more than {} letters"
_OVER_TIME = "not over when its time was up"


@dataclass(slots=True)
class Turns:
    """See the module.

    Args:
        sessions: each of which stands before its first letter.
        watch: told what every letter touched.
        letters_max, until: a schedule of more letters, or that is not over by then (time.monotonic), is cut.
        choices: afterwards, the decisions, in order.
        events: afterwards, what happened.
    """

    sessions: Sequence[Session]
    engine: RaceEngine
    watch: Watch
    letters_max: int
    until: float = math.inf
    choices: list[Choice] = field(default_factory=list)
    events: list[TraceEvent] = field(default_factory=list)

    def play(self, letters: str, decide: Decide) -> tuple[ScheduleError | None, str]:
        """Play to the end; return where the letters did not fit, if anywhere, and why it was cut, or nothing.

        Raises:
            DatabaseError: the server is gone.
        """
        misfit: ScheduleError | None = None
        previous = ""
        by_letter = {session.letter: session for session in self.sessions}
        while True:
            ready = "".join(session.letter for session in self.sessions if session.state is ActorState.READY)
            if not ready:
                if stuck := self._in_state(ActorState.WAITING):
                    return misfit, " and ".join(map(_stuck, stuck))
                break
            position = len(self.choices)
            if position >= self.letters_max:
                return misfit, _LETTERS.format(self.letters_max)
            if time.monotonic() > self.until:
                return misfit, _OVER_TIME
            if position < len(letters) and misfit is None:
                chosen = letters[position]
                if chosen not in ready:
                    misfit = _misfit(letters, position, by_letter[chosen])
                    chosen = continue_with(ready, previous)
            else:
                chosen = decide(ready, previous)
            self.choices.append(Choice(ready, previous, chosen))
            previous = chosen
            try:
                self._play_letter(by_letter[chosen])
            except LetterTimeout as error:
                return misfit, str(error)
        if len(letters) > len(self.choices) and misfit is None:
            misfit = ScheduleError(
                f"schedule {letters!r} has {counted(len(letters), 'letter')}, "
                f"and the calls were at their end after {len(self.choices)}",
                hint=f"Played to its end it is {letters_of(self.choices)!r}.",
            )
        return misfit, ""

    def _in_state(self, state: ActorState) -> list[Session]:
        return [session for session in self.sessions if session.state is state]

    def _play_letter(self, session: Session) -> None:
        """Release one actor, and let those that it wakes go on."""
        # See postgresql/wire.py: of two, the second to wait looks for a deadlock; of more, all do, each before the next.
        session.release(is_impatient=len(self.sessions) > 2 or bool(self._in_state(ActorState.WAITING)))
        self._settle(session)
        waited_for = {other.letter: other.waits_for for other in self._in_state(ActorState.WAITING)}
        gone_on: list[Session] = []
        try:
            while waiting := self._in_state(ActorState.WAITING):
                woken = self.engine.find_woken(waiting, self.sessions)
                if woken is None:
                    break
                woken.state = ActorState.RUNNING
                if self._goes_on(woken):
                    gone_on.append(woken)
        finally:
            for each in self._in_order(gone_on, waited_for):
                assert each.event is not None
                self._add(each, each.event)
        self.watch.end_letter(done="".join(other.letter for other in self._in_state(ActorState.DONE)))

    def _settle(self, session: Session) -> None:
        """Wait until the session's letter is done, or waits for a lock."""
        blockers = self.engine.run(session, self.sessions)
        assert session.event is not None
        event = session.event
        if blockers:
            self._add(session, session.wait_for(blockers, since=len(self.events)))
            return
        is_deadlock = event.refusal is not None and event.refusal.sqlstate == DEADLOCK
        if event.phase is StepPhase.DONE and (is_deadlock or session.has_looked):
            # It closed a circle, and was refused or let in front of the others: whether we saw it wait before is chance.
            others = "".join(other.letter for other in self._in_state(ActorState.WAITING))
            self._add(session, replace(event, phase=StepPhase.WAITS, refusal=None, closes=False, waits_for=others))
            event = replace(event, phase=StepPhase.RESUMED)
        self._add(session, event)

    def _goes_on(self, session: Session) -> bool:
        """Wait until the letter of one that was woken is done; return whether it is, or waits anew.

        It can, for one that was woken with it. Whether we see it in between is chance, and so no event.
        """
        blockers = self.engine.run(session, self.sessions)
        if blockers:
            session.wait_for(blockers, since=session.waiting_since)
        return not blockers

    def _in_order(self, gone_on: list[Session], waited_for: dict[str, str]) -> list[Session]:
        """Return those that a letter let go on, who comes first."""
        if not self.engine.wakes_at_once:
            return gone_on
        by_letter = {session.letter: session for session in gone_on}
        return [by_letter[actor] for actor in in_order_of_cause(map(_wake, gone_on), waited_for)]

    def _add(self, session: Session, event: TraceEvent) -> None:
        self.events.append(event)
        self.watch.add(session, event)


def is_endless(cut: str) -> bool:
    """Return whether a schedule was cut that nothing else would have ended."""
    return cut.startswith((_LETTERS.partition("{}")[0], _OVER_TIME))


def _wake(session: Session) -> Wake:
    refusal = session.event.refusal if session.event else None
    return Wake(session.letter, refusal.sqlstate if refusal else "")


def _stuck(session: Session) -> str:
    return (
        f"{session.letter} waits for a lock that {', '.join(session.waits_for)} kept at the end: {one_line(session.event)}"
    )


def _misfit(letters: str, position: int, session: Session) -> ScheduleError:
    if session.state is ActorState.WAITING:
        reason = f"{session.letter} waits for a lock of {', '.join(session.waits_for) or 'another'} there"
    else:
        reason = f"{session.letter} is at its end there, after {counted(session.number + 1, 'letter')}"
    return ScheduleError(
        f"schedule {letters!r}: letter {position + 1} is {session.letter!r}, and {reason}",
        hint="An actor that waits goes on by itself; leave its letter out, or end the schedule earlier.",
    )

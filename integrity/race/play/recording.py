"""Recordings: all that one schedule was made of, its staged rows and the steps of each call, with the values they had."""

from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from string import ascii_uppercase
from typing import Any
from uuid import UUID

from integrity.operation import Commit, Rollback, Row, Statement, StatementFailed, Step, Steps
from integrity.race.play.scheduler import PlayedSchedule, Scheduler
from integrity.race.program.driven import driven
from integrity.race.program.program import Actor, Keys, Program
from integrity.race.program.schedule import Decide, continue_with


@dataclass(frozen=True, slots=True)
class PlayedStep:
    """A step of a call, and the SQLSTATE with which it was refused, or empty."""

    step: Step
    sqlstate: str = ""


@dataclass(frozen=True, slots=True)
class Recording:
    """One schedule, played.

    Args:
        run: what happened.
        staged: table -> the rows in it before the first letter, for the tables that were asked for.
        played: letter -> the steps of the call.
    """

    run: PlayedSchedule
    staged: Mapping[str, Sequence[Row]]
    played: Mapping[str, Sequence[PlayedStep]]


def record(scheduler: Scheduler, program: Program, letters: str, *, queries: Mapping[str, str] | None = None) -> Recording:
    """Play a schedule and return its recording.

    Args:
        queries: table -> a query for its rows, asked when the stage is set.

    Raises:
        ScheduleError: a letter's actor could not go on there.
    """
    staged: dict[str, Sequence[Row]] = {}
    played: dict[str, list[PlayedStep]] = {letter: [] for letter in ascii_uppercase[: len(program.actors)]}
    actors = tuple(
        replace(actor, steps=_recorded(actor, played[letter]))
        for letter, actor in zip(ascii_uppercase, program.actors, strict=False)
    )

    def look() -> None:
        asked = queries or {}
        answers = scheduler.ask([Statement(query) for query in asked.values()])
        staged.update({table: answer.rows for table, answer in zip(asked, answers, strict=True)})

    run = scheduler.play(replace(program, actors=actors), letters, on_staged=look)
    return Recording(run, staged, played)


def following(letters: str) -> Decide:
    """Return what follows a schedule as far as it fits: a letter whose actor cannot go on is passed over."""
    left = iter(letters)

    def decide(ready: str, previous: str) -> str:
        return next((letter for letter in left if letter in ready), continue_with(ready, previous))

    return decide


class Following:
    """Follows a schedule of a program in a changed one, in which transactions may have become noticeable that were not.

    An end that the changed program has as a letter, and the schedule has not, comes before the actor's next statement.

    Args:
        program: the changed one.
        letters: to follow.
        ends: which of them are the end of a transaction: (actor, number of the actor's letter).
    """

    def __init__(self, program: Program, letters: str, ends: Collection[tuple[str, int]]) -> None:
        self._letters = letters
        self._ends = ends
        self._place = 0
        self._steps: dict[str, list[Step]] = {letter: [] for letter in ascii_uppercase}  # the last one is to be carried out
        self._given: dict[str, int] = {}  # how many steps the actor had come to at its last letter
        self.program = replace(
            program,
            actors=tuple(
                replace(actor, steps=self._noting(letter, actor))
                for letter, actor in zip(ascii_uppercase, program.actors, strict=False)
            ),
        )

    def decide(self, ready: str, previous: str) -> str:
        while self._place < len(self._letters):
            letter = self._letters[self._place]
            is_end = (letter, self._letters[: self._place].count(letter)) in self._ends
            if letter in ready and not is_end and self._is_at_end(letter):
                return self._give(letter)
            self._place += 1
            if letter in ready:
                return self._give(letter)
        return continue_with(ready, previous)

    def _give(self, letter: str) -> str:
        self._given[letter] = len(self._steps[letter])
        return letter

    def _is_at_end(self, letter: str) -> bool:
        """Return whether an actor's next letter ends a transaction: by a step, or behind a statement outside of any."""
        steps = self._steps[letter]
        return isinstance(steps[-1], Commit | Rollback) or self._given.get(letter) == len(steps)

    def _noting(self, letter: str, actor: Actor) -> Callable[[Keys, UUID], Steps]:
        def steps(keys: Keys, operation_id: UUID) -> Steps:
            self._steps[letter].clear()
            return _listen(actor.steps(keys, operation_id), self._steps[letter].append, lambda _sqlstate: None)

        return steps


def _recorded(actor: Actor, played: list[PlayedStep]) -> Callable[[Keys, UUID], Steps]:
    def refuse(sqlstate: str) -> None:
        played[-1] = PlayedStep(played[-1].step, sqlstate)

    def steps(keys: Keys, operation_id: UUID) -> Steps:
        played.clear()
        return _listen(actor.steps(keys, operation_id), lambda step: played.append(PlayedStep(step)), refuse)

    return steps


def _listen(steps: Steps, on_step: Callable[[Step], None], on_refusal: Callable[[str], None]) -> Steps:
    """Drive the generator within and tell what passes."""

    def carry_out(step: Step) -> Generator[Step, Any, Any]:
        on_step(step)
        try:
            return (yield step)
        except StatementFailed as error:
            on_refusal(error.sqlstate or "")
            raise

    return driven(steps, carry_out)

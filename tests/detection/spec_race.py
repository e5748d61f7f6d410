"""A permutation of a spec, played by the race scheduler: each session an actor, each step a step of its operation."""

import re
from collections.abc import Sequence
from uuid import UUID

from integrity.operation import Begin, Commit, Isolation, Ok, Rollback, Statement, StatementFailed, Step, Steps
from integrity.race.play.scheduler import PlayedSchedule, Scheduler
from integrity.race.program.program import Actor, Keys, Program, Standing
from integrity.race.program.trace import StepPhase
from integrity.systems.script.spec import Permutation, Spec
from integrity.systems.stage import Stage
from tests.detection.spec_plain import Infeasible, Result

_BEGIN = re.compile(
    r"begin(?: isolation level (?P<level>[a-z ]+?))?(?P<read_only>,? read only)?(?P<deferrable>,? deferrable)?"
)


def step_of(sql: str) -> Step:
    """Return the step that a statement of a spec is."""
    text = " ".join(sql.split()).rstrip("; ").lower()
    if text in ("commit", "rollback"):
        return Commit() if text == "commit" else Rollback()
    if match := _BEGIN.fullmatch(text):
        level = Isolation(match["level"]) if match["level"] else None
        return Begin(level, is_read_only=bool(match["read_only"]), is_deferrable=bool(match["deferrable"]))
    return Statement(sql.strip().rstrip(";"))


class RacedPermutation:
    """The program of one permutation, and who decides in it.

    A begin goes along with the statement behind it, the end of a transaction that nobody can notice with the one before; a
    statement outside a transaction is committed at once.

    Args:
        standing: of the spec's programs, if it is known: they are played once to know it, on the spec's own rows.
    """

    def __init__(self, spec: Spec, permutation: Permutation, standing: Standing) -> None:
        self._steps = permutation.steps
        self._place = 0
        self._letters = {session.name: letter for session, letter in zip(spec.sessions, "ABCDEFGH", strict=False)}
        self._actor_of = {name: self._letters[spec.session_of(name).name] for name in self._steps}
        self._texts = {step.name: step.sql for session in spec.sessions for step in session.steps}
        self._setups = {self._letters[session.name]: session.setup for session in spec.sessions}
        self._at: dict[str, str] = {}  # the step that an actor stands before, or is in
        self._given: dict[str, list[str]] = {letter: [] for letter in self._setups}  # the step of each of its letters
        self._rows: dict[str, tuple[tuple[str | None, ...], ...]] = {}
        self._refused: dict[str, str] = {}
        actors = tuple(Actor(letter, self._actor(letter)) for letter in self._setups)
        self._program = Program(actors, lambda: Stage([], {}), standing=standing)

    def acquaint(self, scheduler: Scheduler) -> None:
        """Play it in one order, to know what its actors meet."""
        scheduler.acquaint(self._program)

    def play(self, scheduler: Scheduler) -> dict[str, Result]:
        """Return what came of each step.

        Raises:
            Infeasible: a step's actor could not go on.
        """
        run = scheduler.play(self._program, decide=self._decide)
        if run.cut:
            raise Infeasible(run.cut)
        waited = self._waited(run)
        return {name: Result(name in waited, self._refused.get(name, ""), self._rows.get(name, ())) for name in self._steps}

    def _actor(self, letter: str):  # type: ignore[no-untyped-def]
        own = [name for name in self._steps if self._actor_of[name] == letter]

        def steps(_keys: Keys, _operation_id: UUID) -> Steps:
            for name in own:  # played once before, to be known
                self._rows.pop(name, None)
                self._refused.pop(name, None)
            for sql in filter(None, (each.strip() for each in self._setups[letter].split(";"))):
                yield step_of(sql)
            for name in own:
                self._at[letter] = name
                try:
                    rows = yield step_of(self._texts[name])
                except StatementFailed as error:
                    self._refused[name] = error.sqlstate or ""
                else:
                    self._rows[name] = tuple(tuple(_text(value) for value in row.values()) for row in rows or ())
            self._at[letter] = ""
            return Ok()

        return steps

    def _decide(self, ready: str, _previous: str) -> str:
        for letter in ready:
            given = self._given[letter]
            if given and given[-1] == self._at[letter]:  # executed outside a transaction, and not yet committed
                given.append(given[-1])
                return letter
        while self._place < len(self._steps):
            name = self._steps[self._place]
            letter = self._actor_of[name]
            if self._at[letter] == name and letter not in ready:
                raise Infeasible(f"{name}: {letter} waits")
            if not self._has_begun(letter, name) and letter not in ready:
                raise Infeasible(f"{name}: {letter} waits in {self._at[letter]}")
            self._place += 1
            if self._at[letter] == name:
                self._given[letter].append(name)
                return letter
        for letter in ready:  # what is left of a transaction is rolled back
            self._given[letter].append("")
            return letter
        raise AssertionError("nobody is ready")

    def _has_begun(self, letter: str, name: str) -> bool:
        """Return whether a step went along with another."""
        own: Sequence[str] = [each for each in self._steps if self._actor_of[each] == letter]
        at = self._at[letter]
        return not at or own.index(at) > own.index(name)

    def _waited(self, run: PlayedSchedule) -> set[str]:
        return {self._given[event.actor][event.number] for event in run.trace.events if event.phase is StepPhase.WAITS}


def _text(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "t" if value else "f"
    return str(value)

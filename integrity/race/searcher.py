"""A searcher: searches groups of operations, each with one choice of arguments at a time, on one scratch database."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from integrity.errors import UsageError
from integrity.race.finding.discovery import make_finding
from integrity.race.finding.finding import Finding
from integrity.race.judge.checks import LeftOut
from integrity.race.judge.contest import Contest, Ground, survey
from integrity.race.play.scheduler import Scheduler
from integrity.race.search.exploration import Coverage
from integrity.race.search.explore import Budget, explore
from integrity.race.search.settings import RaceSettings, RaceSubject
from integrity.systems.system import System
from integrity.verdict import Verdict

FINDINGS_MAX = 4  # of one search: of each kind of failure the first


@dataclass(frozen=True, slots=True)
class Searched:
    """One group with one choice of arguments, searched.

    Args:
        names: the operations.
        choice: 0 is the likeliest.
        calls: as shown to people.
        verdict: that nothing was found is unknown where a row that somebody wrote kept an invariant from being asked.
        finding: of a race, else None; one in which the data goes wrong, if there is one.
        left_out: the invariants that could not be asked.
        others: what else goes wrong: calls that fail, deadlocks.
        apart: of answers that no serial order gives, over rows that are right; None: of none, or they count as findings.
    """

    names: tuple[str, ...]
    choice: int
    calls: tuple[str, ...]
    verdict: Verdict
    coverage: Coverage
    seconds: float
    finding: Finding | None
    left_out: tuple[LeftOut, ...] = ()
    others: tuple[Finding, ...] = ()
    apart: Finding | None = None


@dataclass(frozen=True, slots=True)
class Task:
    names: tuple[str, ...]
    choice: int


Found = Searched | UsageError | None


class Searcher:
    """Searches groups on one scratch database.

    Args:
        system_of: the system as a race of a group has it.
        ground: of all groups; None: it is surveyed as each needs it.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        race: RaceSubject,
        system_of: Callable[[tuple[str, ...]], System],
        ground: Ground | None = None,
    ) -> None:
        self._scheduler = scheduler
        self._settings = race.settings
        self._bug = race.bug
        self._files = race.files
        self._system_of = system_of
        self._ground = ground
        self._grounds: dict[tuple[str, ...], Ground] = {}

    def search(self, task: Task, seconds: float, *, ends_at: float) -> Found:
        """Return what was found, None when the group has no such choice, or why it has no rows to be played on.

        Args:
            seconds: for the search.
            ends_at: for all, by the monotonic clock: what was found by then is told, as small as it was made.
        """
        settings = self._settings
        self._scheduler.deadline.at = ends_at
        try:
            ground = self._ground_of(task.names)
            contests = ground.vary(task.names, bug=self._bug, isolation=settings.isolation)
            contest = next((each for number, each in enumerate(contests) if number == task.choice), None)
        except UsageError as error:
            return error
        if contest is None:
            return None
        contest = replace(contest, is_strict=settings.is_strict)
        return search_contest(self._scheduler, ground, contest, settings, choice=task.choice, seconds=seconds)

    def _ground_of(self, names: tuple[str, ...]) -> Ground:
        """Return the ground of a group: one for all where they all are played on the same rows."""
        if self._ground is not None:
            return self._ground
        system = self._system_of(names)
        if system.raced not in self._grounds:
            with self._scheduler.deadline.lifted():
                self._grounds[system.raced] = survey(self._scheduler, system, self._files)
        return self._grounds[system.raced]


def search_contest(
    scheduler: Scheduler, ground: Ground, contest: Contest, settings: RaceSettings, *, choice: int, seconds: float
) -> Searched:
    """Search one contest and return what was found, each shrunk."""
    program = contest.program()
    budget = Budget(preemptions=settings.preemptions, schedules=settings.schedules, seconds=seconds)
    kept = [schedule for names, schedule in settings.kept if names == contest.names]
    found = explore(scheduler, program, budget=budget, seed=settings.seed, kept=kept)
    findings = [make_finding(scheduler, ground, contest, hit, seed=settings.seed) for hit in found.hits[:FINDINGS_MAX]]
    strict = replace(contest, is_strict=True)
    apart = [make_finding(scheduler, ground, strict, hit, seed=settings.seed) for hit in found.apart[:1]]
    is_unasked = any(each.blamed for each in ground.left_out)
    return Searched(
        names=contest.names,
        choice=choice,
        calls=tuple(map(str, contest.calls)),
        verdict=Verdict.UNKNOWN if is_unasked and found.verdict is Verdict.HOLDS else found.verdict,
        coverage=found.coverage,
        seconds=found.seconds,
        finding=findings[0] if findings else None,
        left_out=ground.left_out,
        others=tuple(findings[1:]),
        apart=apart[0] if apart else None,
    )

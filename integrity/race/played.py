"""One schedule, played because somebody asked for it."""

from dataclasses import dataclass, replace

from integrity.engines.target import Target
from integrity.race.finding.discovery import finding_of_run
from integrity.race.finding.finding import Finding
from integrity.race.judge.contest import survey
from integrity.race.judge.failures import unexpected_failures
from integrity.race.judge.judge import Judge
from integrity.race.judge.timeline import timeline_of
from integrity.race.play.scheduler import PlayedSchedule, Scheduler
from integrity.race.program.program import Program
from integrity.race.program.schedule import ScheduleError, parse
from integrity.race.search.idle import Effects, Idle
from integrity.race.search.settings import RaceSubject
from integrity.race.trial.cure import describe_course
from integrity.race.trial.scratch import emptying, scratch_database


@dataclass(frozen=True, slots=True)
class Played:
    """One schedule, played because somebody asked for it.

    Args:
        letters: to its end.
        timeline: what happened, as lines of text.
        course: how the calls fared, in words.
        cut: why it was not played to its end, or empty.
        finding: what is wrong with it, if anything is.
        has_failed: a call failed that may not, and does so alone: that is no race, and what it does was not played.
        idle: why nothing was raced in it; None: something was.
    """

    letters: str
    timeline: list[str]
    course: str
    cut: str
    finding: Finding | None
    has_failed: bool = False
    idle: Idle | None = None


def play_schedule(
    target: Target,
    race: RaceSubject,
    names: tuple[str, ...],
    schedule: str,
    *,
    test_database: str | None = None,
) -> Played:
    """Play one schedule of calls of these operations, with the likeliest arguments.

    Raises:
        ScheduleError: the schedule cannot be read, or does not fit.
        UsageError: the system cannot be raced on this target.
        DatabaseError: the server is gone.
    """
    system, bug, settings = race.system, race.bug, race.settings
    letters = parse(schedule, actor_count=len(names))
    with (
        scratch_database(target, system, bug=bug, test_database=test_database) as database,
        Scheduler(database, emptying=emptying(database, system)) as scheduler,
    ):
        contest = next(
            survey(scheduler, system.raced_as(names), race.files).vary(names, bug=bug, isolation=settings.isolation)
        )
        contest = replace(contest, is_strict=settings.is_strict)
        program = contest.program()
        run, effects = _play(scheduler, program, letters)
        finding, course = None, describe_course(run)
        if not run.cut:
            judgement = Judge(scheduler, program).judge(run)
            course += "; no serial order gives these answers, over rows that are right" if judgement.apart else ""
            if judgement.alarms:
                finding = finding_of_run(scheduler, contest, run, judgement, seed=settings.seed)
        lines = timeline_of(run, scheduler.dialect)
        has_failed = finding is None and bool(unexpected_failures(run, program, dialect=scheduler.dialect))
        idle = None if run.cut or finding or has_failed else effects.why_idle(program, 1)
        return Played(run.letters, lines, course, run.cut, finding, has_failed, idle)


def _play(scheduler: Scheduler, program: Program, letters: str) -> tuple[PlayedSchedule, Effects]:
    """Return what came of a schedule; of one with letters of a call that makes no statement, of that without them.

    Raises:
        ScheduleError: it does not fit, for another reason.
    """
    effects = Effects(scheduler.dialect)
    try:
        run = scheduler.play(program, letters)
    except ScheduleError:
        run = scheduler.play(program)
        effects.add(run)
        idle = effects.why_idle(program, 1)
        if idle is None or not idle.silent:
            raise
        return run, effects
    effects.add(run)
    return run, effects

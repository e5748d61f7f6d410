"""Invariants that a race of requests asks behind each schedule: those that a scenario names, or the project's own."""

from integrity.engines.target import Target
from integrity.errors import UsageError
from integrity.events import Job, Noted
from integrity.invariants.load import load_invariants
from integrity.project import Project
from integrity.race.play.scheduler import Scheduler
from integrity.race.program.program import Check, Program, RaceHistory, on_keys
from integrity.race.program.wire import StatementRefused
from integrity.scenarios.expecting import check_volatile
from integrity.scenarios.preparing import find_function
from integrity.scenarios.subject import RequestSubject
from integrity.sql.file import SqlFile
from integrity.systems.stage import Stage


def check_named(subject: RequestSubject, target: Target, project: Project) -> None:
    """Raise UsageError where a scenario names what is not there, as far as that is known before anything is begun.

    Args:
        target: the database as it is, on which nothing is started yet.
    """
    scenario, place = subject.scenario, subject.place
    if scenario.setup.python is not None:
        find_function(scenario.setup.python, folder=project.folder, place=f"{place}: setup.python")
    wanted = scenario.expect.invariants
    for file in _load(project, wanted, place=place).values():
        if wanted and (why := _why_unusable(file)):
            raise _unusable(file, why, place=place)
    check_volatile(scenario.expect, target, place=place, may_come=True)


def find_checks(scheduler: Scheduler, project: Project, wanted: list[str], *, place: str) -> Job[tuple[Check, ...]]:
    """Return the invariants as checks; tells which of the project's cannot be asked, or do not hold before any call.

    Args:
        wanted: names and patterns; empty: all of the project's own.
        place: of the scenario, for messages.

    Raises:
        UsageError: one that is wanted by name cannot be asked, or does not hold before any call; a pattern fits none.
    """
    files = _load(project, wanted, place=place)
    asked = [file for file in files.values() if wanted or file.is_own]
    if asked:
        scheduler.play(Program((), lambda: Stage((), {}), is_captured=True))
    checks = []
    for file in asked:
        check = Check(file.name, on_keys(file.query))
        why = _why_not(scheduler, file, check)
        if why and wanted:
            raise _unusable(file, why, place=place)
        if why:
            yield Noted(f"invariant {file.name} is not asked: {why}")
        else:
            checks.append(check)
    return tuple(checks)


def _load(project: Project, wanted: list[str], *, place: str) -> dict[str, SqlFile]:
    try:
        return load_invariants(project, patterns=wanted, is_own_enough=True)
    except UsageError as error:
        if not wanted:
            raise
        raise UsageError(f"{place}: expect.invariants: {error.message}", hint=error.hint) from None


def _unusable(file: SqlFile, why: str, *, place: str) -> UsageError:
    return UsageError(f"{place}: expect.invariants: {file.name}: {why}", hint="Mend it, or the rows of the setup.")


def _why_unusable(file: SqlFile) -> str:
    """Return why an invariant can be asked of no rows, or nothing."""
    if file.fault:
        return file.fault
    return f"it has parameters: {', '.join(each.name for each in file.parameters)}" if file.parameters else ""


def _why_not(scheduler: Scheduler, file: SqlFile, check: Check) -> str:
    """Return why an invariant cannot be asked of the rows before any call, or nothing."""
    if why := _why_unusable(file):
        return why
    try:
        (answer,) = scheduler.ask([check.violations({}, RaceHistory())])
    except StatementRefused as refused:
        return f"the database refuses it: {refused.reason}"
    return f"it does not hold before any call is made: {dict(answer.rows[0])}" if answer.rows else ""

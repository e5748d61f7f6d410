"""Invariants that a race of requests asks behind each schedule: those that a scenario names, or the project's own."""

from integrity.errors import UsageError
from integrity.events import Job, Noted
from integrity.invariants.load import load_invariants
from integrity.project import Project
from integrity.race.play.scheduler import Scheduler
from integrity.race.program.program import Check, Program, RaceHistory, on_keys
from integrity.race.program.wire import StatementRefused
from integrity.sql.file import SqlFile
from integrity.systems.stage import Stage


def find_checks(scheduler: Scheduler, project: Project, wanted: list[str], *, place: str) -> Job[tuple[Check, ...]]:
    """Return the invariants as checks; tells which of the project's cannot be asked, or do not hold before any call.

    Args:
        wanted: names and patterns; empty: all of the project's own.
        place: of the scenario, for messages.

    Raises:
        UsageError: one that is wanted by name cannot be asked, or does not hold before any call; a pattern fits none.
    """
    files = load_invariants(project, patterns=wanted, is_own_enough=True)
    asked = [file for file in files.values() if wanted or file.is_own]
    if asked:
        scheduler.play(Program((), lambda: Stage((), {}), is_captured=True))
    checks = []
    for file in asked:
        check = Check(file.name, on_keys(file.query))
        why = _why_not(scheduler, file, check)
        if why and wanted:
            raise UsageError(f"{place}: expect.invariants: {file.name}: {why}", hint="Mend it, or the rows of the setup.")
        if why:
            yield Noted(f"invariant {file.name} is not asked: {why}")
        else:
            checks.append(check)
    return tuple(checks)


def _why_not(scheduler: Scheduler, file: SqlFile, check: Check) -> str:
    """Return why an invariant cannot be asked of the rows before any call, or nothing."""
    if file.fault:
        return file.fault
    if file.parameters:
        return f"it has parameters: {', '.join(each.name for each in file.parameters)}"
    try:
        (answer,) = scheduler.ask([check.violations({}, RaceHistory())])
    except StatementRefused as refused:
        return f"the database refuses it: {refused.reason}"
    return f"it does not hold before any call is made: {dict(answer.rows[0])}" if answer.rows else ""

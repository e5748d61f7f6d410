"""The job of reproducing: a violated row of an audit is brought back by the shortest schedule of the calls that touched it.

chosen = choose(project, "ghostpass/balance-equals-entries#2")
reproduced = listen(reproduce(chosen, target, project))
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from integrity.engines.target import Target
from integrity.errors import UsageError, quote
from integrity.events import Advanced, Job, Noted
from integrity.history import Call
from integrity.jobs.findings import Wanted, invariants_of, keep, notes_of_scratch, system_on
from integrity.numbers import counted, read_integer
from integrity.project import Project
from integrity.race.play.deadline import Deadline
from integrity.race.raced import Reproduced
from integrity.race.reproduce import reproduce as search
from integrity.race.reproduction.reproduction import Violation
from integrity.race.search.explore import Budget
from integrity.race.search.settings import RaceSubject
from integrity.registry import Registry
from integrity.runs.files import VERDICTS_FILE
from integrity.runs.folder import RunFolder
from integrity.runs.histories import open_calls
from integrity.runs.order import find_runs
from integrity.runs.verdicts import Verdicts, read_verdicts
from integrity.systems.system import System
from integrity.typed import typed

ROWS_MOST = 10_000  # of an invariant, as --limit-evidence has it
_CALLS_BETWEEN_LOOKS = 1000  # at the clock


@dataclass(frozen=True, slots=True)
class ChosenViolation:
    """What is to be reproduced, before the database is known.

    Args:
        row: of the invariant, as the audit kept it.
        taken_at: the time of the audit, as its verdicts have it.
        folder: of the run, whose history is read when the search begins.
        race: the system, the invariants and the bug of the run; its settings are not asked.
    """

    invariant: str
    row: Mapping[str, Any]
    taken_at: str
    folder: RunFolder
    race: RaceSubject


def choose(project: Project, violation: str, *, run_id: str | None = None, bug_name: str | None = None) -> ChosenViolation:
    """Return the violation that is named, with its run.

    Args:
        violation: an invariant, and e.g. #2 for its second row.
        run_id: None: the newest run with verdicts.
        bug_name: that the server of a run over HTTP had; None: the run's own, if it had one.

    Raises:
        UsageError: no such run was audited, no such violation found, or there is no such bug.
        HistoryError: the run's folder cannot be read.
    """
    registry = Registry(project)
    folder = _find_run(project, run_id, registry)
    verdicts = read_verdicts(folder.path)
    name, row = _find_row(verdicts, folder.run_id, violation)
    settings = folder.settings()
    system = registry.resolve(settings.system, settings.reference, place=str(folder.path))
    files = invariants_of(project, system)
    if name not in {file.name for file in files}:
        said = f"{name} is violated, and not about system {system.name}, whose calls were made in run {folder.run_id}"
        raise UsageError(said, hint=registry.describe_ownership(system.name))
    planted = bug_name or settings.bug
    bug = system.find_bug(planted) if planted else None
    return ChosenViolation(name, row, verdicts.taken_at, folder, RaceSubject(system, files, bug=bug))


def reproduce(
    chosen: ChosenViolation,
    target: Target,
    project: Project,
    wanted: Wanted | None = None,
    *,
    budget: Budget | None = None,
    seed: int = 0,
    test_database: str | None = None,
) -> Job[Reproduced]:
    """Search for what brings the violation back, on scratch databases, and keep it.

    Args:
        budget: its seconds are for all of it, from the history that is read to the cures that are tried; the rest of it
            is of each race.
        seed: of random schedules.
        test_database: as guard takes it.

    Raises:
        UsageError: the invariant cannot be asked about the rows of a race, no call touched the row, or a file cannot be
            written.
        HistoryError: the run's history cannot be read.
        DatabaseError: the server is gone.
    """
    budget = budget or Budget()
    deadline = Deadline.within(budget.seconds)
    calls = yield from _read_calls(chosen.folder, deadline)
    system = system_on(target, chosen.race.system, chosen.race.files).understood_by(target, is_raced=True)
    race = replace(chosen.race, system=system)
    yield from map(Noted, system.describe_unusable())
    yield from notes_of_scratch(target, project)
    reproduction = yield from search(
        target,
        race.system,
        Violation(chosen.invariant, chosen.row, calls),
        race.files,
        bug=race.bug,
        budget=budget,
        seed=seed,
        deadline=deadline,
        test_database=test_database,
    )
    findings = [reproduction.finding] if reproduction.finding else []
    keeping = keep(findings, race, target, project, wanted or Wanted(), test_database=test_database, deadline=deadline)
    found = yield from keeping
    return Reproduced(reproduction, chosen.invariant, chosen.row, chosen.folder.run_id, chosen.taken_at, found)


def _read_calls(folder: RunFolder, deadline: Deadline) -> Job[list[Call]]:
    """Return the calls of a run; those that were read until the deadline, where that comes first, which is noted.

    Raises:
        HistoryError: they cannot be read.
    """
    calls: list[Call] = []
    with open_calls(folder) as history:
        for call in history:
            calls.append(call)
            if len(calls) % _CALLS_BETWEEN_LOOKS == 0:
                yield Advanced("reading", f"the history of run {folder.run_id}", history.tell(), history.size)
                if deadline.is_over:
                    yield Noted(f"the budget was over when {counted(len(calls), 'call')} of the history had been read")
                    break
    return calls


def _find_run(project: Project, run_id: str | None, registry: Registry) -> RunFolder:
    """Return the folder of the run, by default the newest that was audited.

    Raises:
        UsageError: there is none.
    """
    runs = find_runs(project.runs_folder)
    audited = [folder.run_id for folder in runs if (folder.path / VERDICTS_FILE).is_file()]
    if run_id is None and not audited:
        raise UsageError(
            f"no run in {project.runs_folder} has been audited",
            hint=f"{typed(f'run hammer{_bug_of(registry.default)}')} && {typed('validate')}",
        )
    if run_id is not None and run_id not in audited:
        known = f"Those that were: {', '.join(audited[-3:])}." if audited else f"`{typed('validate --run ID')}` does it."
        raise UsageError(f"run {quote(run_id)} has not been audited, or is not in {project.runs_folder}", hint=known)
    return RunFolder(project.runs_folder / (run_id or audited[-1]))


def _bug_of(system: System) -> str:
    """Return the option that plants a bug of the system, empty for one that has none to plant."""
    return "".join(f" --bug {name}" for name in list(system.bugs)[:1])


def _number(text: str) -> int:
    """Return the number of a row, 0 for what is none."""
    try:
        return read_integer(text, least=1, most=ROWS_MOST)
    except ValueError:
        return 0


def _find_row(verdicts: Verdicts, run_id: str, violation: str) -> tuple[str, Mapping[str, Any]]:
    """Return the invariant's name and the row that is meant.

    Raises:
        UsageError: no such violation in the audit.
    """
    name, _, number_text = violation.partition("#")
    number = _number(number_text) if number_text else 1
    violated = verdicts.violated
    found = [each for each in violated if name in (each, each.rpartition("/")[2])]
    if not found:
        known = f"Violated are: {', '.join(violated)}." if violated else "All its invariants hold or are unknown."
        raise UsageError(f"{quote(name)} was not violated in the audit of run {run_id}", hint=known)
    rows = violated[found[0]].rows
    if not 1 <= number <= len(rows):
        raise UsageError(
            f"{quote(violation)}: the audit kept {counted(len(rows), 'row')} of {found[0]}",
            hint=f"Name one of #1 to #{len(rows)}, or keep more: {typed('validate --limit-evidence 100')}",
        )
    return found[0], rows[number - 1]

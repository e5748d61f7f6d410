"""The job of validating: invariants are chosen, judged on one snapshot, and the verdicts kept in the run's folder.

    chosen = choose(project, patterns=("ghostpass/*",))      # before a server is started for nothing
    report = listen(validate(target, project, chosen))

What is chosen without being named is fitted to the database: the systems that it holds, the project's own, and, where no
run is recorded, nothing that is about runs alone. The history of a run that was killed is loaded before, where that may be.
The verdicts are kept where `reproduce` looks for them, whoever asked for the audit.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from integrity.audit import AuditSettings, audit, plan_audit
from integrity.database.contents import find_schemas
from integrity.engines.target import Target
from integrity.errors import AuditError, DatabaseError, UsageError
from integrity.events import Event, FileWritten, Job, Noted
from integrity.invariants.effects.making import EFFECTS_FILE
from integrity.invariants.load import load_invariants, select_invariants
from integrity.invariants.plan import Plan
from integrity.invariants.syntax import tables_of
from integrity.invariants.variables import apply_variables, read_pairs, set_variables
from integrity.numbers import counted
from integrity.project import Project
from integrity.registry import SYSTEMS, Registry
from integrity.report.audit_report import AuditReport, Reported, collect
from integrity.report.run_verdicts import find_run, folder_without_run, write_verdicts
from integrity.runs.coverage import Known
from integrity.runs.folder import RunFolder
from integrity.runs.unfinished import find_systems_that_ran, load_unfinished
from integrity.sql.file import SqlFile, broken_file
from integrity.typed import typed

if TYPE_CHECKING:  # models take a moment to build: most audits have no run
    from integrity.runs.result import RunResult
    from integrity.systems.system import System


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is to be judged, before the database is known.

    Args:
        system: only what is about this system; empty: about those in the database, and the project's own.
        run_id: this run's calls only; None: all.
        is_named: somebody named the invariants, or the run: none of them is left out.
        is_own: the project has invariants of its own, and these are chosen: those that ship are left out.
        has_database: somebody named the database; else it is the project's own, and an empty one is said to be that.
    """

    files: Sequence[SqlFile]
    system: str = ""
    run_id: str | None = None
    is_named: bool = False
    has_database: bool = True
    is_own: bool = False


def choose(
    project: Project,
    *,
    patterns: Sequence[str] = (),
    pairs: Sequence[str] = (),
    system_name: str | None = None,
    run_id: str | None = None,
    has_database: bool = True,
    is_all: bool = False,
) -> Chosen:
    """Return the invariants that fit, with the values that the project and the pairs give to their parameters.

    Args:
        patterns: names or patterns; none: all.
        pairs: `name=value`, of parameters.
        system_name, run_id, has_database: as Chosen has them.
        is_all: what ships is judged, too, where the project has invariants of its own and nobody says which.

    Raises:
        UsageError: a pattern that fits none, a system or a parameter that there is not, a value that is not of its type.
    """
    systems = Registry(project)
    is_own_enough = not (patterns or system_name or run_id or is_all)
    # What [variables] names may be a parameter of any of them.
    has_variables = bool(project.settings.variables)
    loaded = load_invariants(
        project,
        patterns=() if has_variables else patterns,
        find_operations=systems.operations_of,
        is_own_enough=is_own_enough and not has_variables,
    )
    known = set_variables(loaded.values(), project)
    own = [file for file in known if file.is_own] if is_own_enough else []
    files = apply_variables(own or select_invariants(known, patterns), read_pairs(pairs), place="--set")
    if system_name:
        systems.check(system_name)
    is_named = bool(patterns or run_id)
    return Chosen(files, system_name or "", run_id, is_named=is_named, has_database=has_database, is_own=bool(own))


def choose_of_run(project: Project, system: str) -> Chosen:
    """Return what is to be judged after a run of the system: its invariants, and the project's own that are of none."""
    systems = Registry(project)
    known = set_variables(load_invariants(project, find_operations=systems.operations_of).values(), project)
    return Chosen([file for file in known if _is_about(file, [system], systems)], is_named=True)


def validate(
    target: Target,
    project: Project,
    chosen: Chosen,
    settings: AuditSettings | None = None,
    *,
    folder: RunFolder | None = None,
    is_read_only: bool = False,
    fails_on_empty: bool = False,
) -> Job[AuditReport]:
    """Judge what was chosen, and keep the verdicts; return the report, which is told as Reported before it is kept.

    Args:
        settings: how to audit; what the project says and what is known of runs is put in here.
        folder: of the run that the audit is about; None: that of the run that was chosen, else of the newest on this
            database; where there is none, the verdicts are kept in the project's own.
        is_read_only: load no history of a killed run; verdicts that are about no run are not kept.
        fails_on_empty: one that had nothing to judge is as good as unknown; so it is, too, where the project says so.

    Raises:
        UsageError: nothing to judge, or no such run.
        DatabaseError: no connection, or a server that is too old.
        HistoryError: the verdicts cannot be kept.
    """
    folder = folder or find_run(target, project, chosen.run_id)
    if chosen.run_id is not None and folder is not None and (result := folder.result()) is not None:
        systems = Registry(project)
        if result.system in systems:
            fails_on_empty = fails_on_empty or has_acknowledged_writes(systems.find(result.system), result)
    report = yield from judge(target, project, chosen, settings, is_read_only=is_read_only, fails_on_empty=fails_on_empty)
    if folder is not None:
        yield FileWritten((write_verdicts(folder.path, report),), is_told=False)
    elif not is_read_only:
        yield from _keep_without_run(project, report)
    return report


def has_acknowledged_writes(system: "System", result: "RunResult") -> bool:
    """Return whether calls were acknowledged that change rows, as far as anybody knows: then a table without a row is no
    table that was never written to, and what is asked of it is unknown."""
    changing = {name for name, operation in system.operations.items() if operation.is_changing or operation.tables is None}
    return any(row.ok and row.operation in changing for row in result.operations)


def judge(
    target: Target,
    project: Project,
    chosen: Chosen,
    settings: AuditSettings | None = None,
    *,
    is_read_only: bool = False,
    fails_on_empty: bool = False,
) -> Job[AuditReport]:
    """Judge what was chosen as `validate` does, and keep no verdicts; return the report.

    Raises:
        UsageError, DatabaseError: as validate says.
    """
    fitted = yield from _fit(target, project, chosen, settings or AuditSettings())
    known = yield from _load_unfinished(target, project, is_read_only=is_read_only, is_told=fitted.is_told)
    events: list[Event] = []
    for event in audit(target, fitted.files, replace(fitted.settings, known=known)):
        events.append(event)
        yield event
    report = collect(events, fails_on_empty=fails_on_empty or project.settings.audit.empty == "unknown")
    yield Reported(report)
    return report


def _keep_without_run(project: Project, report: AuditReport) -> Job[None]:
    """Keep the verdicts for whoever asks what was done last; a folder that cannot be written ends no audit."""
    try:
        place = folder_without_run(project)
        if place is not None:
            yield FileWritten((write_verdicts(place, report),), is_told=False)
    except AuditError as error:
        yield Noted(f"the verdicts are not kept: {error.message}")


def plan(target: Target, project: Project, chosen: Chosen, settings: AuditSettings | None = None) -> Job[Plan]:
    """Return how what was chosen would be judged, without judging it.

    Raises:
        UsageError: nothing to judge.
        DatabaseError: no connection, or a server that is too old.
    """
    fitted = yield from _fit(target, project, chosen, settings or AuditSettings())
    return plan_audit(target, fitted.files, fitted.settings)


@dataclass(frozen=True, slots=True)
class _Fitted:
    """What was chosen, fitted to a database.

    Args:
        is_told: the database has told of its runs; else it is not asked, and waited for, once more.
    """

    files: Sequence[SqlFile]
    settings: AuditSettings
    is_told: bool


def _fit(target: Target, project: Project, chosen: Chosen, settings: AuditSettings) -> Job[_Fitted]:
    systems = Registry(project)
    place = "" if chosen.has_database else _describe_empty(target, project)
    files, is_told = _applicable(chosen, target, systems, place), True
    shipped = [name for name in find_schemas(target) if name in SYSTEMS] if chosen.is_own else []
    if shipped:
        yield Noted(f"the project's own invariants are judged; --all judges those of {', '.join(sorted(shipped))}, too")
    if place:
        yield Noted(f"{place}: `{typed('seed')}` fills it, --database URL names another")
    files = yield from _without_systems_that_do_not_come(files, chosen, systems)
    yield from _operations_without_checks(project, chosen)
    if not chosen.is_named:
        files, is_told = yield from _without_runs_that_were_not(files, target, systems)
    settings = replace(
        settings,
        trusted_functions=project.settings.audit.functions,
        given={"run_id": chosen.run_id} if chosen.run_id else {},
        place=place,
    )
    return _Fitted(files, settings, is_told)


def _describe_empty(target: Target, project: Project) -> str:
    """Return that nobody named a database and the embedded one is empty, if it is."""
    if find_schemas(target):
        return ""
    return f"no database is named, and the embedded one of this folder ({project.state_folder}) is empty"


def _applicable(chosen: Chosen, target: Target, systems: Registry, place: str) -> Sequence[SqlFile]:
    """Return the invariants of the system, or of those in the database and the project's own."""
    if chosen.system:
        files = [file for file in chosen.files if chosen.system in systems.owners_of(file)]
    else:
        schemas = find_schemas(target)
        files = [file for file in chosen.files if file.is_own or _is_about(file, schemas, systems)]
    if not files and chosen.system:
        raise UsageError(
            f"{target}: nothing to judge: no invariant selected is about system {chosen.system}",
            hint=systems.describe_ownership(chosen.system),
        )
    if not files and systems.own and not place:
        raise UsageError(
            f"nothing to judge in {target}: no invariants yet about {', '.join(sorted(systems.own))}",
            hint=f"Write one: {typed('new invariant --from')}, or {typed('new invariant NAME --table TABLE')}.",
        )
    if not files:
        raise UsageError(
            f"nothing to judge: {place}"
            if place
            else f"{target} holds none of the systems ({', '.join(systems)}) that the invariants are about",
            hint=f"`{typed('seed')}` makes one; or name your database with --database, "
            "and put .sql files into invariants/.",
        )
    return files


def _is_about(file: SqlFile, names: Collection[str], systems: Registry) -> bool:
    """Whether a file is about one of the systems, or about none that is known."""
    owners = systems.owners_of(file)
    return not owners or not set(owners).isdisjoint(names)


def _without_systems_that_do_not_come(
    files: Sequence[SqlFile], chosen: Chosen, systems: Registry
) -> Job[Sequence[SqlFile]]:
    """Say which of the project's own systems cannot be imported; return its invariants as unknown where it was asked for.

    Else they are judged all the same: what they ask is SQL, and the system is not in it.
    """
    concerned = {chosen.system} if chosen.system or chosen.is_named else set(systems.own)
    for name in sorted(concerned & set(systems.own)):
        try:
            systems.find(name)
        except UsageError as error:
            if name == chosen.system:
                return [file if file.fault else broken_file(file.path, name=file.name, fault=str(error)) for file in files]
            yield Noted(f"{error.message}; its invariants are judged without it\n  hint: {error.hint}")
    return files


def _operations_without_checks(project: Project, chosen: Chosen) -> Job[None]:
    """Say which operations' files do not say what they store, so that nothing can be asked about their calls."""
    for system, path in project.operation_folders:
        is_asked = not chosen.is_named and chosen.system in ("", system)
        if is_asked and not Path(project.folder, "invariants", system, EFFECTS_FILE).is_file():
            from integrity.invariants.effects.stored import find_silent

            silent = find_silent(Path(project.folder, path))
            if silent:
                yield Noted(f"call-level checks: none declared for {', '.join(silent)}")


def _without_runs_that_were_not(
    files: Sequence[SqlFile], target: Target, systems: Registry
) -> Job[tuple[Sequence[SqlFile], bool]]:
    """Leave out what is asked of runs alone, where no run of the system is recorded; say so, or that it is not told."""
    about_runs = {
        file.name: systems.owners_of(file)
        for file in files
        if file.is_of_calls or ({table.schema for table in tables_of(file.tree)} == {"integrity"} and not file.is_own)
    }
    about_runs = {name: owners for name, owners in about_runs.items() if owners}
    if not about_runs:
        return files, True
    try:
        ran = find_systems_that_ran(target)
    except DatabaseError as error:  # no rights on our schema, or a lock: what asks it says so for itself, too
        yield Noted(f"which runs there were, and which were killed, cannot be found out: {error.message}")
        return files, False
    left_out = [name for name, owners in about_runs.items() if ran.isdisjoint(owners)]
    if left_out:
        named = " or ".join(dict.fromkeys(owner for name in left_out for owner in about_runs[name]))
        many = counted(len(left_out), "invariant about runs alone is", "invariants about runs alone are")
        yield Noted(f"no run of {named} is recorded: {many} left out")
    return [file for file in files if file.name not in left_out], True


def _load_unfinished(target: Target, project: Project, *, is_read_only: bool, is_told: bool) -> Job[Known]:
    """Bring in the history of runs that were killed, where that may be; return what is known of the others."""
    folder = str(project.runs_folder)
    if not is_told:
        return Known(folder=folder)
    try:
        unfinished = load_unfinished(target, project, is_read_only=is_read_only)
    except DatabaseError as error:
        yield Noted(f"which runs were killed cannot be found out: {error.message}")
        return Known(folder=folder)
    for run in unfinished.loaded:
        calls = counted(run.call_count, "call is", "calls are")
        yield Noted(f"run {run.run_id} was killed: its {calls} loaded and judged too")
    return Known(unfinished.alive, unfinished.reasons, folder)

"""What a folder is: its project, its database, what was done there last. Nothing is started and no database asked."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.target import Target
from integrity.errors import AuditError
from integrity.invariants.load import load_invariants
from integrity.jobs.race_log import read_last_race
from integrity.numbers import show_part
from integrity.project import DATABASE_VARIABLE, OPERATIONS_FOLDER, SETTINGS_FILE, Project, reference_folder
from integrity.registry import Registry
from integrity.report.about_text import About
from integrity.runs.files import RESULT_FILE, VERDICTS_FILE
from integrity.runs.folder import RunFolder
from integrity.runs.order import find_runs
from integrity.sql.file import SqlFile

if TYPE_CHECKING:
    from integrity.engines.embedded.server import ServerStatus
    from integrity.systems.script.folder import OperationFolder


def look_at(project: Project) -> About:
    """Return what the project's folder is.

    Raises:
        UsageError: the URL of its database is none.
    """
    target = Target.find(project, None, os.environ)
    status = EmbeddedServer(project.state_folder / "postgres").status() if target is None else None
    own = list(load_invariants(project, is_own_only=True).values())
    operations = _operations(project)
    broken = _broken(project, own)
    runs = [folder.path for folder in find_runs(project.runs_folder)]
    database = _describe_server(status) if status else _describe_named(target)
    has_data = status is None or status.version is not None
    audit = _last_audit(project, runs)
    return About(
        folder=project.folder,
        has_settings=(project.folder / SETTINGS_FILE).is_file(),
        database=database,
        invariant_count=len(own),
        query_count=_count_queries(project),
        operations=operations,
        systems=_systems(project),
        last_run=_describe_run(RunFolder(runs[-1])) if runs else "",
        broken=broken,
        last_audit=audit.said,
        last_search=_last_search(project),
        last_race=_last_race(project),
        next=[
            *(_resuming(RunFolder(runs[-1])) if runs and has_data else ()),
            *_next(project, audit, has_data=has_data, is_checked=bool(own), operations=operations, broken=broken),
        ],
    )


def _operations(project: Project) -> list[str]:
    if not _in(project.folder / OPERATIONS_FOLDER):
        return []
    from integrity.systems.script.folder import files_in  # a second of imports, for those who have some

    return [path.stem for path in files_in(project.folder / OPERATIONS_FOLDER)]


def _read_operations(project: Project) -> "OperationFolder | None":
    if not _operations(project):
        return None
    from integrity.systems.script.folder import read_folder

    return read_folder(project.folder / OPERATIONS_FOLDER)


def _systems(project: Project) -> list[str]:
    """Return the project's own, but for that of the operations, which are named themselves."""
    itself = [name for name, path in project.operation_folders if path == OPERATIONS_FOLDER]
    return [name for name in Registry(project).own if name not in itself]


def _broken(project: Project, own: Sequence[SqlFile]) -> dict[str, str]:
    """Return of each thing of the project's own that cannot be used why, by its name."""
    registry = Registry(project)
    list(registry.usable(registry.own))
    faults = {file.name: file.fault for file in own if file.fault}
    faults |= read.faults if (read := _read_operations(project)) else {}
    faults |= {name: error.message for name, error in registry.passed_over.items()}
    return {name: fault.partition("\n")[0] for name, fault in faults.items()}


def _next(
    project: Project,
    audit: "_Audit",
    *,
    has_data: bool,
    is_checked: bool,
    operations: list[str],
    broken: Mapping[str, str],
) -> list[str]:
    """Return commands that run here, in this order; what is in capitals is to be put in."""
    help_ = "integrity --help               all commands"
    has_own = bool(is_checked or operations or project.settings.systems)
    if not has_data and not has_own:
        return [
            "integrity demo                 see it all in about a minute",
            "integrity init --database URL  a project that fits a database of yours",
            "integrity db psql -f FILE.sql  your tables in the project's own database; integrity init goes on from there",
            help_,
        ]
    if not has_data:
        return [_filling(project, broken), help_]
    first = [] if (project.folder / SETTINGS_FILE).is_file() and is_checked else ["integrity init"]
    follow = "reproduce" if audit.of_run else "explain"  # without a run there are no calls that could be reproduced
    asked = [f"integrity {follow} {audit.violated}"] if audit.violated else []
    return [*first, *(asked if audit.is_newest else ["integrity validate"]), *_race(project), help_]


def _filling(project: Project, broken: Mapping[str, str]) -> str:
    """Return what brings tables into the embedded database of a project that has something to do with them."""
    files = [name for name in ("schema.sql", "data.sql") if (project.folder / name).is_file()]
    if project.settings.systems.keys() - broken.keys() and not files:
        return "integrity seed"
    named = " ".join(f"-f {name}" for name in files or ["FILE.sql"])
    return f"integrity db psql {named}  tables, in the project's own database"


def _race(project: Project) -> list[str]:
    """Return how the first operation is raced that can be, and is no system's name as well."""
    usable = read.files if (read := _read_operations(project)) else ()
    names = [file.name for file in usable if file.name not in Registry(project)]
    return [f"integrity race {names[0]} {names[0]}"] if names else []


def _describe_named(target: Target | None) -> str:
    named = DATABASE_VARIABLE if os.environ.get(DATABASE_VARIABLE) is not None else SETTINGS_FILE
    return f"{target} ({named})"


def _describe_server(status: "ServerStatus") -> str:
    if status.is_running:
        return f"the embedded PostgreSQL {status.version}, running, pid {status.pid}"
    if status.version is None:
        return "an embedded PostgreSQL, made when a command needs it"
    return f"the embedded PostgreSQL {status.version}, stopped; a command that needs it starts it"


def _count_queries(project: Project) -> int:
    folder = project.folder / "queries"
    return 0 if folder.resolve() == reference_folder("queries").resolve() else len(list(folder.rglob("*.sql")))


def _describe_run(folder: RunFolder) -> str:
    try:
        settings = folder.settings()
    except AuditError:
        return f"{folder.run_id}, whose settings cannot be read"
    bug = f" with the bug {settings.bug}" if settings.bug else ""
    is_whole, is_alive = (folder.path / RESULT_FILE).exists(), folder.is_alive()
    ended = "ended" if is_whole else "running" if is_alive else "was ended without a result"
    result = _read_result(folder) if is_whole else {}
    if result.get("state") == "interrupted":
        ended = "interrupted"
    if mark := _mark(result):
        ended += f", shortened: {mark}"
    return f"{_when(settings.started_at_us / 1e6)}  {settings.profile} of {settings.system}{bug}, {ended}"


def _mark(result: Mapping[str, Any]) -> str:
    """Return what a shortened run has of its plan; empty: it was not, or nobody can read it."""
    try:
        return show_part(float(result["shortened"]["ran_s"]), float(result["shortened"]["plan_s"]))
    except (KeyError, TypeError, ValueError):
        return ""


def _read_result(folder: RunFolder) -> dict[str, Any]:
    """Return what a run came to without the model of results, which takes long to build; empty: nobody can read it."""
    try:
        result = orjson.loads((folder.path / RESULT_FILE).read_bytes())
    except (OSError, ValueError):  # `report` says what is wrong with it
        return {}
    return result if isinstance(result, dict) else {}


def _resuming(folder: RunFolder) -> list[str]:
    """Return how the last run is gone on with, where it was cut off and something is left of it."""
    if (folder.path / RESULT_FILE).exists() and _read_result(folder).get("state") != "interrupted":
        return []
    from integrity.load.resuming import find_rest  # for those who have such a run

    try:
        find_rest(folder)
    except AuditError:  # `run --resume` says why: here it is not offered
        return []
    return [f"integrity run --resume {folder.run_id}"]


@dataclass(frozen=True, slots=True)
class _Audit:
    """The last audit that was kept.

    Args:
        said: in words; empty: there was none.
        is_newest: no run came behind it.
        of_run: it is about the calls of a run, too.
        violated: the first invariant that was; empty: none.
    """

    said: str = ""
    is_newest: bool = False
    of_run: bool = False
    violated: str = ""


def _last_audit(project: Project, runs: list[Path]) -> _Audit:
    from integrity.runs.verdicts import read_verdicts

    kept = [path / VERDICTS_FILE for path in (*runs, project.state_folder) if (path / VERDICTS_FILE).exists()]
    if not kept:
        return _Audit()
    newest = max(kept, key=lambda path: path.stat().st_mtime)
    try:
        verdicts = read_verdicts(newest.parent)
    except AuditError:
        return _Audit(f"{newest}, which cannot be read")
    of_run, audited_at = newest.parent != project.state_folder, newest.stat().st_mtime
    said = f"{_when(audited_at)}  {verdicts.sentence}"
    is_newest = newest.parent == runs[-1] if of_run else not runs or runs[-1].stat().st_mtime < audited_at
    return _Audit(said, is_newest, of_run, next(iter(verdicts.violated), ""))


def _last_search(project: Project) -> str:
    last = read_last_race(project)
    when = _when(datetime.fromisoformat(last.at).timestamp()) if last else ""
    return f"{when}  {last.subject}: {last.outcome}" if last else ""


def _last_race(project: Project) -> str:
    """Return how the newest finding is played again that can be: one of wrong answers alone tells less."""
    found = [path for path in _in(project.state_folder / "races") if path.suffix == ".json"]
    newest = sorted(found, key=lambda path: ("-answers" not in path.stem, path.stat().st_mtime), reverse=True)
    for path in newest:
        if _is_playable(project, path):
            return f"{_when(path.stat().st_mtime)}  integrity replay {path.relative_to(project.folder)}"
    return f"{newest[0].relative_to(project.folder)}, which cannot be played any more" if newest else ""


def _is_playable(project: Project, path: Path) -> bool:
    from integrity.jobs.replay import choose  # as long as a race takes to import, for those who found one

    try:
        choose(project, path)
    except AuditError:  # `replay` says which: here it is not offered
        return False
    return True


def _in(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _when(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds).astimezone():%Y-%m-%d %H:%M}"

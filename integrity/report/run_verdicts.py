"""Where verdicts are kept: verdicts.json, in a run's folder beside the history that they are about.

Those of an audit that no run of the database goes with, since none was made there or since it was put back to before them,
are kept in the project's own folder, so that the last audit is known all the same.
"""

from pathlib import Path

from integrity.engines.snapshot import QueryFailed
from integrity.engines.target import Target
from integrity.errors import UsageError
from integrity.project import SETTINGS_FILE, Project, make_state_folder
from integrity.report.audit_json import render_json
from integrity.report.audit_report import AuditReport
from integrity.runs.files import VERDICTS_FILE, write_whole
from integrity.runs.folder import RunFolder
from integrity.runs.order import find_runs
from integrity.typed import typed


def find_run(target: Target, project: Project, run_id: str | None) -> RunFolder | None:
    """Return the folder of that run, or without an id of the project's newest run on that database, if there is one.

    Raises:
        UsageError: the project has no run of that id.
    """
    if run_id is None:
        held = _runs_on(target)
        return next((folder for folder in reversed(find_runs(project.runs_folder)) if folder.run_id in held), None)
    return find_folder(project, run_id)


def find_folder(project: Project, run_id: str) -> RunFolder:
    """Return the folder of that run.

    Raises:
        UsageError: the project has none of that id.
    """
    folder = RunFolder(project.runs_folder / run_id)
    if "/" in run_id or not folder.path.is_dir():
        known = [folder.run_id for folder in find_runs(project.runs_folder)][-3:]
        hint = f"The newest are: {', '.join(reversed(known))}." if known else f"`{typed('run')}` makes one."
        raise UsageError(f"there is no run {run_id!r} in {project.runs_folder}", hint=hint)
    return folder


def folder_without_run(project: Project) -> Path | None:
    """Return where the verdicts are kept that are about no run; None: the current folder is no project, and stays as it is.

    Raises:
        UsageError: it cannot be written.
    """
    is_project = (project.folder / SETTINGS_FILE).is_file() or project.state_folder.is_dir()
    return make_state_folder(project) if is_project else None


def write_verdicts(folder: Path, report: AuditReport) -> Path:
    """Write the report into the folder, whole or not at all; return the file.

    Raises:
        HistoryError: it cannot be written.
    """
    file = folder / VERDICTS_FILE
    write_whole(file, (render_json(report) + "\n").encode())
    return file


def _runs_on(target: Target) -> set[str]:
    """Return the ids of the runs whose history the database holds; none where it has no such table."""
    with target.open_snapshot(connections=1, timeout_s=30) as snapshot:
        try:
            rows = snapshot.sessions[0].read("select run_id from integrity.runs")
        except QueryFailed:
            return set()
    return {row["run_id"] for row in rows}

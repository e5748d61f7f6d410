"""The order of runs: by when they began, and here alone.

That is in their settings, to the microsecond. The name of a folder has the second, by the clock on the wall of whoever
began the run, which is set back once a year; it tells of a run whose settings are not there yet, or cannot be read.
"""

from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from integrity.runs.files import SETTINGS_FILE
from integrity.runs.folder import RunFolder

_SECOND = len("20261231-235959")


def find_runs(runs_folder: Path) -> list[RunFolder]:
    """Return the folders of all runs, oldest first."""
    folders = [RunFolder(path) for path in runs_folder.glob("*") if path.is_dir()]
    return sorted(folders, key=lambda folder: (_began_us(folder), folder.run_id))


def find_rest_of(folder: RunFolder) -> RunFolder | None:
    """Return the newest of the runs that went on with a run, or with one that did; None: nobody went on with it."""
    newest = None
    gone_on = {folder.run_id}
    for each in find_runs(folder.path.parent):
        if _setting(each, "resumes") in gone_on:
            gone_on.add(each.run_id)
            newest = each
    return newest


def _setting(folder: RunFolder, name: str) -> Any:
    """Return one of a run's settings, without their model: that takes a moment to build, and nothing else is read."""
    try:
        return orjson.loads((folder.path / SETTINGS_FILE).read_bytes())[name]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _began_us(folder: RunFolder) -> int:
    began = _setting(folder, "started_at_us")
    return began if isinstance(began, int) else _second_of_name(folder.run_id)


def _second_of_name(run_id: str) -> int:
    try:
        return int(datetime.strptime(run_id[:_SECOND], "%Y%m%d-%H%M%S").astimezone().timestamp()) * 1_000_000
    except ValueError:  # somebody named it otherwise
        return 0

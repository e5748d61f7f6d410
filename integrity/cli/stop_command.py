"""`integrity stop`: end a run that is running, in good order."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from integrity.cli.number_types import Duration
from integrity.cli.options import json_option, open_project, project_option
from integrity.errors import UsageError
from integrity.exit_codes import ExitCode
from integrity.numbers import counted
from integrity.report.terminal import write_json, write_note, write_result
from integrity.typed import typed

if TYPE_CHECKING:
    from integrity.runs.stopping import Stopped


@click.command()
@click.argument("run", required=False)
@click.option("--all", "is_all", is_flag=True, help="All runs of this project that are running.")
@click.option("--grace", "grace_s", type=Duration(), default="60s", show_default=True, help="How long it may take to end.")
@project_option
@json_option
def command(*, run: str | None, is_all: bool, grace_s: float, project_folder: Path, is_json: bool) -> int:
    """Stop a running run as Ctrl-C does: nothing new begins, what is owed is delivered, the history loaded.

    RUN is a run's folder name or the start of it; it may be left out when only one is running. Exits with 3 when it would
    not end.

    \b
    Example: integrity stop
    """
    from integrity.runs.stopping import Ending, find_run, find_running, stop_run

    project = open_project(project_folder)
    running = find_running(project)
    if run is not None:
        folder = find_run(project, run)
        running = [each for each in running if each == folder]
        if not running and not is_json:
            write_result(f"{folder.run_id} is not running.")
    elif len(running) > 1 and not is_all:
        names = ", ".join(folder.run_id for folder in running)
        raise UsageError(
            f"{counted(len(running), 'run')} are running: {names}", hint="Name one, or stop them all with --all."
        )
    elif not running and not is_json:
        write_result("No run is running here.")
    stopped = []
    for folder in running:
        write_note(f"{folder.run_id}: told to stop; it may take {grace_s:g} s to end in good order")
        stopped.append(stop_run(folder, grace_s=grace_s))
        if not is_json:
            write_result(_describe(stopped[-1]))
    if is_json:
        write_json({"runs": [asdict(each) for each in stopped]})
    return ExitCode.UNKNOWN if any(each.ending is Ending.STILL_RUNNING for each in stopped) else ExitCode.OK


def _describe(stopped: "Stopped") -> str:
    from integrity.runs.stopping import Ending

    took = f"after {stopped.seconds:.1f} s"
    if stopped.ending is Ending.STILL_RUNNING:
        return f"{stopped.run_id}: still running {took}; as a last resort: kill -9 {stopped.pid}"
    if stopped.ending is Ending.TERMINATED:
        return f"{stopped.run_id}: did not end by itself and was ended {took}; {typed('validate')} loads its history."
    calls = "before it came to a result" if stopped.call_count is None else f"with {counted(stopped.call_count, 'call')}"
    return f"{stopped.run_id}: stopped {took}, {calls}."

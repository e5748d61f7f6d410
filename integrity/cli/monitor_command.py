"""`integrity monitor`: watch a database and processes while anything at all loads them."""

import signal
import threading
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from integrity.cli.number_types import Duration, Integer
from integrity.cli.options import database_option, json_option, open_project, open_target, project_option
from integrity.errors import UsageError
from integrity.exit_codes import ExitCode
from integrity.report.terminal import write_json, write_result

if TYPE_CHECKING:
    from integrity.monitor.sampler import Monitor
    from integrity.monitor.summary import MonitorSummary

EVERY_S_LEAST = 0.1
"""A sample takes some milliseconds of the server's time."""


@click.command()
@click.option(
    "--every",
    "every_s",
    type=Duration(least_s=EVERY_S_LEAST),
    default="1s",
    show_default=True,
    help="How often, e.g. 1s or 0.5s.",
)
@click.option("--duration", "duration_s", type=Duration(), help="How long, e.g. 90s or 20m; default: until Ctrl-C.")
@click.option("--process", "processes", metavar="PID", multiple=True, help="Watch it too: PID or NAME=PID, as app=4711.")
@click.option("--pool", "pool_size", type=Integer(1, 1_000_000), help="Size of the application's connection pool.")
@click.option("--output", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="Keep the samples there.")
@click.option("--print-sql", "is_printed", is_flag=True, help="Print the queries for psql, and watch nothing.")
@database_option
@project_option
@json_option
def command(
    *,
    every_s: float,
    duration_s: float | None,
    processes: tuple[str, ...],
    pool_size: int | None,
    output: Path | None,
    is_printed: bool,
    database: str | None,
    project_folder: Path,
    is_json: bool,
) -> int:
    """Watch connections, locks, scans, transactions and CPU of a database; say at the end what is wrong.

    Exits with 4 when a finding is critical, with 3 when nothing was measured. With --json every line is an object: facts,
    samples, and at the end the summary.

    \b
    Example: integrity monitor --duration 30s
    """
    from integrity.monitor.processes import parse_process
    from integrity.monitor.questions import print_sql
    from integrity.monitor.sampler import Monitor
    from integrity.report.monitor_text import render_monitor, write_samples

    if is_printed:
        write_result(print_sql())
        return ExitCode.OK
    watched = [parse_process(text) for text in processes]
    if output is not None and output.exists():
        raise UsageError(f"--output {output}: there is such a file already", hint="Name a new one.")
    target = open_target(open_project(project_folder), database)
    if not target.engine.has_server and not watched:
        raise UsageError(f"{target}: {target.engine.title} has no server to watch", hint="Name processes: --process PID")
    monitor = Monitor(
        target,
        processes=watched,
        own_process=False,
        file=output,
        every_s=every_s,
        pool_size=pool_size,
        listener=_write_json if is_json else write_samples(),
    )
    monitor.check()
    if is_json:
        _write_json({"kind": "facts", **monitor.facts})
    was_interrupted = _watch(monitor, duration_s)
    summary = monitor.stop()
    if is_json:
        _write_json({"kind": "summary", **asdict(summary)})
    else:
        write_result(render_monitor(summary))
    if was_interrupted and duration_s is not None:
        return ExitCode.INTERRUPTED
    return _exit_code(summary, has_database=target.engine.has_server)


def _watch(monitor: "Monitor", duration_s: float | None) -> bool:
    """Return when the time is over, or with True when Ctrl-C (or SIGTERM) ended it before."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        monitor.start()
        threading.Event().wait(duration_s)
    except KeyboardInterrupt:
        return True
    finally:
        signal.signal(signal.SIGTERM, before)
    return False


def _exit_code(summary: "MonitorSummary", *, has_database: bool) -> int:
    if has_database and not summary.answered_count:
        return ExitCode.UNKNOWN
    is_critical = any(alert.level == "critical" for alert in summary.alerts)
    return ExitCode.THRESHOLD if is_critical else ExitCode.OK


def _write_json(record: dict[str, Any]) -> None:
    write_json(record if "kind" in record else {"kind": "sample", **record}, is_line=True, default=str)

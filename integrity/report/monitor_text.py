"""What a monitor saw as text: one line a sample while it watches, alerts and tables at its end. Reads its summary."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple
from typing import Any

from integrity.events import Event, Listener
from integrity.monitor.limits import show
from integrity.monitor.processes import OWN, SERVER
from integrity.monitor.sampler import MonitorOpened, SampleTaken
from integrity.monitor.summary import MonitorSummary, ProcessSummary
from integrity.numbers import counted
from integrity.report.layout import fold, lay_table
from integrity.report.terminal import write_json, write_note, write_result
from integrity.report.values import printable
from integrity.report.values import show as show_value

TABLES_SHOWN = 8
BLOCKING_SHOWN = 12
LINE_WIDTH = 160


def monitor_listener(*, is_json: bool) -> Listener:
    """Return what tells of a watch while it goes on: as lines on stderr, or each record as JSON on stdout."""
    last: Mapping[str, Any] = {}

    def write(event: Event) -> None:
        nonlocal last
        if isinstance(event, SampleTaken):
            if is_json:
                _write_record({"kind": "sample", **event.sample})
            else:
                write_note(describe_sample(event.sample, last))
            last = event.sample
        elif isinstance(event, MonitorOpened) and is_json:
            _write_record({"kind": "facts", **event.facts})

    return write


def write_summary(summary: MonitorSummary, *, is_json: bool) -> None:
    """Write what a watch ends with to stdout."""
    if is_json:
        _write_record({"kind": "summary", **asdict(summary)})
    else:
        write_result(render_monitor(summary))


def _write_record(record: Mapping[str, Any]) -> None:
    write_json(record, is_line=True, default=str)


_SPAN_S_LEAST = 0.1
"""Over less than that a rate is no rate: the last sample is taken at once when the monitor is stopped."""


def describe_sample(sample: Mapping[str, Any], last: Mapping[str, Any]) -> str:
    """Return one line on a sample; rates are since the last one."""
    words = [f"{sample['elapsed_s']:6.1f} s"]
    database = sample.get("database")
    if database and "error" in database:
        words.append(f"the database cannot be asked: {printable(database['error'])[:LINE_WIDTH]}")
    elif database:
        activity = database.get("activity")
        if activity:
            words.append(
                f"{counted(activity['connections'], 'connection')}, {activity['busy']} busy, "
                f"{activity['lock_waiters']} wait for locks"
            )
        before = (last.get("database") or {}).get("database")
        span_s = sample["elapsed_s"] - last["elapsed_s"] if last else 0
        now = database.get("database")
        if now and before and span_s >= _SPAN_S_LEAST:
            rates = {name: max(0, now[name] - before[name]) / span_s for name in ("commits", "rollbacks", "wal_bytes")}
            words.append(
                f"{rates['commits']:.0f} commits/s, {rates['rollbacks']:.0f} rollbacks/s, "
                f"{rates['wal_bytes'] / 1e6:.1f} MB/s of log"
            )
    for process in sample.get("processes", ()):
        if not process["is_alive"]:
            words.append(f"{process['name']} has ended")
        elif "cpu_share" in process:
            words.append(f"{process['name']} {show(process['cpu_share'], 'share')} CPU {_bytes(process['rss_bytes'])}")
    return "  ".join(words)


def render_monitor(summary: MonitorSummary) -> str:
    """Return the text that a monitor ends with."""
    blocks = [_figures(summary), *_tables(summary)]
    if summary.blocking:
        lines = [printable(line)[:LINE_WIDTH] for line in summary.blocking]
        more = [f"… and {len(lines) - BLOCKING_SHOWN} more"] if len(lines) > BLOCKING_SHOWN else []
        blocks.append("\n".join(["the longest wait for a lock:", *("  " + line for line in lines[:BLOCKING_SHOWN]), *more]))
    blocks.append(render_logs(summary))
    if summary.notes:
        blocks.append("\n".join(f"not seen: {printable(note)}" for note in summary.notes))
    blocks.append(render_alerts(summary))
    return "\n\n".join(block for block in blocks if block)


def render_alerts(summary: MonitorSummary) -> str:
    """Return the alerts, one a line with its source, and what was looked at."""
    count = summary.sample_count
    looked = f"{counted(count, 'sample')} in {summary.elapsed_s:.0f} s"
    if summary.database is None:
        looked += ", none of a database"
    elif summary.answered_count < count:
        looked += f", the database answered in {summary.answered_count}"
    lines = [f"{alert.level:8}  {printable(alert.sentence)}  ({alert.source})" for alert in summary.alerts]
    said = counted(len(lines), "finding") if lines else "nothing to report"
    return "\n".join([*lines, f"monitor: {said}; {looked}"])


def render_statements(summary: MonitorSummary) -> str:
    """Return the statements that took the most of the server's time meanwhile; empty where it does not count them."""
    rows = [
        [show(row.share, "share"), f"{row.calls:,}", f"{row.mean_ms:.2f}", show_value(row.statement, width=90)]
        for row in summary.statements
    ]
    if not rows:
        return ""
    table = _table(rows, ["share of time", "calls", "mean ms", "statement"], "right", last="left")
    named = [row.names for row in summary.statements if row.names]
    return f"{table}\n{fold(_NAMED_APART.format(', '.join(dict.fromkeys(named))))}" if named else table


_NAMED_APART = (
    "What names {} is of this run's own tables of that name, or of whoever else works there: PostgreSQL counts statements "
    "that differ by schema alone as one, and keeps the text of the first."
)


def _figures(summary: MonitorSummary) -> str:
    lines = []
    database = summary.database
    if database is not None:
        lines.append(
            f"at most {counted(database.connections_most or 0, 'connection')}, {database.busy_most or 0:.0f} busy, "
            f"{database.lock_waiters_most or 0:.0f} waiting for locks; "
            f"oldest transaction {database.oldest_transaction_s or 0:.1f} s"
        )
        if database.commits_per_s is not None:
            hit = database.cache_hit_share
            lines.append(
                f"{database.commits_per_s:.0f} commits/s, {database.rollbacks_per_s:.0f} rollbacks/s, "
                f"deadlocks: {database.deadlocks}, {database.rows_written_per_s:.0f} rows written/s, "
                f"{_bytes(database.wal_bytes_per_s)}/s of log, cache hits {'-' if hit is None else show(hit, 'share')}"
            )
        if database.size_bytes is not None:
            lines.append(
                f"{_bytes(database.size_bytes)} on disk, {_bytes(database.grown_bytes)} more than at first; "
                f"checkpoints: {database.checkpoints}"
            )
    return "\n".join([*lines, *_processes(summary.processes), *_redis(summary)])


def _redis(summary: MonitorSummary) -> list[str]:
    found = summary.redis
    if found is None:
        return []
    cpu = "-" if found.cpu_share_most is None else show(found.cpu_share_most, "share")
    hits = "-" if found.hit_share is None else show(found.hit_share, "share")
    return [
        f"redis {printable(found.name)}: at most {cpu} CPU, {_bytes(found.used_bytes_most)}, "
        f"{counted(found.connections_most, 'client')}; hits {hits}, {found.policy}"
    ]


def render_logs(summary: MonitorSummary) -> str:
    """Return what was added to logs, with examples; empty: none was watched."""
    lines = []
    for log in summary.logs:
        counts = ", ".join(f"{found.pattern} {found.count:,}" for found in log.findings) or "no line of a failure"
        lines.append(f"log {printable(log.file)}: {_bytes(log.read_bytes)} added: {counts}")
        lines += [f"  {printable(line)}" for found in log.findings for line in found.examples]
    return "\n".join(lines)


def render_named_processes(summary: MonitorSummary) -> str:
    """Return a line on each process that was named; empty: none was."""
    return "\n".join(_processes([process for process in summary.processes if process.name not in (OWN, SERVER)]))


def _processes(processes: Sequence[ProcessSummary]) -> list[str]:
    lines = []
    for process in processes:
        if process.cpu_share_most is None or process.cpu_share_mean is None:
            continue
        descriptors = process.descriptors_most
        anew = f", started anew {counted(process.restarts, 'time')}" if process.restarts else ""
        held = "" if descriptors is None else f", {counted(descriptors, 'descriptor')}"
        lines.append(
            f"{process.name} (pid {process.pid}): CPU {show(process.cpu_share_mean, 'share')} on average, "
            f"{show(process.cpu_share_most, 'share')} at most, of all cores; {_bytes(process.rss_bytes_most)}{held}{anew}"
        )
    return lines


def _tables(summary: MonitorSummary) -> list[str]:
    blocks = []
    rows = [[show_value(value) for value in astuple(row)] for row in summary.tables[:TABLES_SHOWN]]
    if rows:
        headers = ["table", "sequential scans", "rows by them", "index scans", "rows written", "rows"]
        blocks.append(_table(rows, headers, "left"))
    statements = render_statements(summary)
    if statements:
        blocks.append(statements)
    return blocks


def _table(rows: Sequence[Sequence[str]], headers: Sequence[str], first: str, last: str = "right") -> str:
    align = (first, *("right",) * (len(headers) - 2), last)
    return lay_table(rows, headers, align=align)


def _bytes(value: float | None) -> str:
    return "-" if value is None else show(value, "bytes")

"""A run as text: the live view while it runs, the tables at its end. Reads what a run tells and its result."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

from integrity.engines.known import find_engine
from integrity.events import Event, Listener
from integrity.load.forecast import describe, find_doubts, find_warning
from integrity.load.profile import Profile
from integrity.load.request import RunAdvanced, RunPrepared, RunRequest
from integrity.load.spared import describe_spared
from integrity.numbers import counted
from integrity.report.breakdown_text import render_breakdown
from integrity.report.drain_text import explain_drain
from integrity.report.fault_text import render_fault, render_unknown_outcomes
from integrity.report.figures import (
    NONE,
    explain_none,
    list_statistics,
    show_limit,
    show_ms,
    show_number,
    show_statistic,
    shower_of,
)
from integrity.report.layout import fold, lay_command, lay_table
from integrity.report.monitor_text import render_alerts, render_logs, render_named_processes, render_statements
from integrity.report.shape_text import render_shape
from integrity.report.terminal import (
    name_database,
    note_writer,
    open_console,
    visible,
    write_json,
    write_note,
    write_result,
)
from integrity.runs.effects import time_covered
from integrity.runs.result import RunResult, ThresholdResult, Unfinished
from integrity.runs.samples import Counts
from integrity.typed import typed

LINE_EVERY_S = 5.0


def write_headline(event: Event) -> None:
    """Say what is run, when nothing is left that would refuse it."""
    if isinstance(event, RunPrepared):
        asked, profile = event.request, event.request.profile
        over = f"over HTTP to {asked.over}, " if asked.over is not None else ""
        said = (
            f"{asked.system.name} {asked.profile_name}: {profile.title}; {counted(profile.clients, 'client')} on "
            f"{counted(profile.connection_count, 'connection')}{_by_several(asked)}, {_planned_length(profile)}, "
            f"seed {asked.seed}, "
            f"{_planted(asked)}, {over}{name_database(str(asked.target))}"
        )
        write_note(fold(said))
        if warning := find_warning(profile):
            write_note(fold(f"warning: {warning}"))
        if spared := describe_spared(profile):
            write_note(fold(f"{asked.profile_name} is shortened, so it passes though these are not measured: {spared}."))
        doubts = find_doubts(profile, processes=asked.processes)
        for line in (*describe(profile), *(f"{asked.profile_name} {doubt}." for doubt in doubts)):
            write_note(fold(line))


def _by_several(asked: RunRequest) -> str:
    return f" of {asked.processes} processes" if asked.processes > 1 else ""


def _planted(asked: RunRequest) -> str:
    if asked.system.is_requested:
        return "an application of your own"
    if asked.over is not None:
        return "the bugs that its server has"
    return f"bug {asked.bug.name}" if asked.bug else "no bug"


def _planned_length(profile: Profile) -> str:
    return f"{profile.duration_s:g} s" if profile.shortened is None else profile.shortened.mark


@contextmanager
def show_progress(stream: TextIO | None = None) -> Iterator[Listener]:
    """Yield a listener that shows how runs are doing: a live table on a terminal, else a line now and then.

    It is to be told before those that write something: the table makes room for them.
    """
    if not (stream or sys.stderr).isatty():
        yield _line_writer(note_writer(stream))
        return
    from rich.live import Live

    live = Live(console=open_console(stream), refresh_per_second=4, transient=True)

    def show(event: Event) -> None:
        if isinstance(event, RunAdvanced):
            live.start()
            live.update(_live_table(event))
        else:
            live.stop()

    try:
        yield show
    finally:
        live.stop()


def _line_writer(write_line: Callable[[str], None]) -> Listener:
    next_at_s, phase = LINE_EVERY_S, "running"

    def write(event: Event) -> None:
        nonlocal next_at_s, phase
        if isinstance(event, RunPrepared):
            next_at_s, phase = LINE_EVERY_S, "running"
        if not isinstance(event, RunAdvanced) or (event.elapsed_s < next_at_s and event.phase == phase):
            return
        next_at_s, phase = event.elapsed_s + LINE_EVERY_S, event.phase
        write_line(_headline(event))

    return write


def _headline(progress: RunAdvanced) -> str:
    """Return a line of at most 80 letters; errors and the calls of clients made to die are the table's three columns."""
    counts = list(progress.operations.values())
    died = sum(each.abandoned for each in counts)
    wrong = sum(each.unavailable + each.failed + each.unknown for each in counts) - died
    parts = (
        progress.phase,
        f"{progress.elapsed_s:.0f}/{progress.duration_s:.0f} s",
        counted(sum(each.calls for each in counts), "call"),
        f"{progress.calls_per_s:.0f}/s",
        counted(wrong, "error"),
        f"{died:,} died" if died else "",
        f"p95 {show_ms(progress.recent_of_all.p95_ms)} ms",
    )
    return "  ".join(filter(None, parts))


def _live_table(progress: RunAdvanced) -> Any:
    from rich.table import Table

    table = Table(title=_headline(progress), title_justify="left", box=None)
    table.add_column("operation")
    for name in ("calls", "ok", "declined", "unavailable", "failed", "unknown", "retries", "p50 ms", "p95 ms", "p99 ms"):
        table.add_column(name, justify="right")
    for name, count in progress.operations.items():
        recent = progress.recent[name]
        table.add_row(
            visible(name),
            *map(str, (*_outcomes(count), count.retries)),
            *map(show_ms, (recent.p50_ms, recent.p95_ms, recent.p99_ms)),
        )
    return table


def write_run(result: RunResult, *, is_json: bool) -> None:
    """Write what came of a run to stdout."""
    if is_json:
        write_json(result.to_json())
        if not result.is_answered:
            write_note("\n".join(_unanswered(result)))
    else:
        write_result(render_run(result))


def render_run(result: RunResult) -> str:
    """Return the text that a run ends with."""
    blocks = [
        _operations(result),
        *_notes(result),
        *render_breakdown(result),
        *render_shape(result),
        *map(render_fault, result.faults),
    ]
    if result.thresholds:
        blocks.append(_thresholds(result.thresholds))
    if result.faults:
        blocks.append(fold(_what_is_judged(result)))
    if result.too_few_beside_faults:
        blocks.append(fold(f"Not judged beside faults: {', '.join(result.too_few_beside_faults)}."))
    if result.monitor is not None:
        told = (render_alerts, render_named_processes, render_logs, render_statements)
        blocks += [text for text in (render(result.monitor) for render in told) if text]
    blocks.append(_ending(result))
    return "\n\n".join(blocks)


def _what_is_judged(result: RunResult) -> str:
    """Say of a run with faults what its thresholds are of."""
    if result.left_out:
        seconds = sum(each.to_us - each.from_us for each in result.left_out) / 1_000_000
        return (
            f"The thresholds leave out {seconds:.1f} s in which faults were in force, and a second behind each; those "
            "beside faults are of what did not need what was broken there."
        )
    seconds = time_covered((each.from_s, each.to_s) for each in result.faults)
    return (
        f"The thresholds leave out nothing: faults were in force for {seconds:.1f} s of {result.elapsed_s:.1f} s, which is "
        "most of the run, so that what they did is what was run."
    )


def _operations(result: RunResult) -> str:
    engine = find_engine(result.database.partition(":")[0])
    again = "busy" if engine.has_one_writer else "retries"
    headers = ["operation", "calls", "ok", "declined", "unavailable", "failed", "unknown", again, "calls/s"]
    headers += ["p50 ms", "p95 ms", "p99 ms", "max ms"]
    rows = [
        [
            row.operation,
            *map(show_number, (*_outcomes(row), row.retries, row.calls_per_s)),
            show_statistic("p50", row.p50_ms, row.ok + row.declined),
            show_statistic("p95", row.p95_ms, row.ok + row.declined),
            show_statistic("p99", row.p99_ms, row.ok + row.declined),
            show_ms(row.max_ms),
        ]
        for row in result.operations
    ]
    table = lay_table(rows, headers, align=("left", *("right",) * (len(headers) - 1)))
    note = explain_none(("p50", "p95", "p99"), [row.ok + row.declined for row in result.operations])
    return f"{table}\n{fold(note)}" if note else table


def _outcomes(count: Counts) -> tuple[int, ...]:
    """Return how many calls there were, and how they ended, in the order of the columns."""
    return count.calls, count.ok, count.declined, count.unavailable, count.failed, count.unknown


def _owed(result: RunResult) -> Iterator[str]:
    """Say what was left open, and what an audit will make of it."""
    if result.owed is None:  # of an earlier version
        return
    left = ", ".join(f"{count} that {operation} takes up" for operation, count in result.owed.open.items())
    if result.settled_at_us is None:
        what = f"still owed: {left}; " if left else ""
        yield f"Not settled at its end: {what}what waits for that is not judged as stuck."
    elif left:
        yield f"Left open for good: {left}; it was asked for in vain, and is judged as stuck."


def _unfinished(unfinished: Unfinished) -> str:
    if unfinished.reason:
        return f"What was accepted and is unfinished is not known: {unfinished.reason}."
    left = ", ".join(f"{count:,} {visible(what)}" for what, count in unfinished.counts.items() if count)
    return f"Accepted and unfinished at the end, by the rows: {left or 'nothing'}."


def _over_http(result: RunResult) -> Iterator[str]:
    """Say of a run whose calls went to a server that they did, and what of that server is not known."""
    if result.over:
        yield fold(f"The calls went over HTTP to {visible(result.over)}; what is judged is in the database.")
    if result.unheard:
        said = "Not all that was done is known, so that nobody can say who asked for some rows"
        yield fold(f"{said}: {visible(result.unheard)}.")


def _notes(result: RunResult) -> list[str]:
    lines = [*_over_http(result), *(f"not run: {each.operation}: {visible(each.reason)}" for each in result.not_run)]
    total = result.total
    if total.abandoned:
        lines.append(f"{total.abandoned} of the failed and unknown calls are clients that were made to die half way.")
    lines += [
        f"{row.operation} settled by webhook: {counted(row.count, 'time')}, "
        f"{list_statistics({'mean': row.mean_ms, 'p95': row.p95_ms}, row.count)}, from the intended start."
        for row in result.settled
    ]
    lines += [
        f"{row.operation}: {counted(row.received, 'event')} received, {row.missed} missed, lag "
        f"{list_statistics({'p50': row.p50_ms, 'p95': row.p95_ms, 'p99': row.p99_ms}, row.received)}"
        f"{f', p99 {show_ms(row.client_p99_ms)} ms of the client that waits longest' if row.client_p99_ms else ''}; "
        f"opened {counted(row.opened, 'time')}, {row.broken} broken off."
        for row in result.streams
    ]
    arrivals = result.arrivals
    if arrivals:
        lines.append(
            f"open loop: {counted(arrivals.offered, 'call')} offered, {arrivals.sent} sent, {arrivals.not_sent} not sent; "
            f"{show_number(arrivals.offered_per_s)}/s of {show_number(arrivals.planned_per_s)}/s planned."
        )
        lines += _shared(result.clients, arrivals.think_time_s)
        late_ms, share = show_ms(arrivals.dispatch_lag_p99_ms), result.generator.cpu_share
        lines.append(
            f"latency counts from the intended start; the generator was late by {late_ms} ms at p99 of "
            f"{counted(arrivals.sent, 'call')}, and used {share:.0%} of all cores."
        )
        if result.time_scale != 1:
            lines.append(f"compressed {result.time_scale:g} times: the same arrivals in {result.duration_s:.0f} s.")
    else:
        lines.append("closed loop: a stalled system is asked less, so these latencies hide stalls.")
    if result.reconnects:
        connections = counted(result.reconnects, "connection was", "connections were")
        lines.append(f"{connections} made again (lost, or of clients that died).")
    settled = render_unknown_outcomes(result.unknown_outcomes) if result.unknown_outcomes else ""
    if settled:
        lines.append(settled)
    if result.undelivered:
        whose = ", ".join(f"{count} of {name}" for name, count in (result.owed.of_services if result.owed else {}).items())
        lines.append(
            f"{counted(result.undelivered, 'webhook was', 'webhooks were')} still owed when the run gave up on them"
            + (f": {whose}." if whose else ".")
        )
    if ending := explain_drain(result.drain):
        lines.append(ending)
    lines += _owed(result)
    if result.unfinished is not None:
        lines.append(_unfinished(result.unfinished))
    blocks = ["\n".join(map(fold, lines))]
    if result.reasons:
        rows = [[each.operation, each.count, each.reason] for each in result.reasons]
        blocks.append(lay_table(rows, ["operation", "declined", "because"]))
    if result.errors:
        blocks += _locked(result)
        rows = [[row.operation, row.count, row.error] for row in result.errors]
        blocks.append(lay_table(rows, ["operation", "count", "error"]))
    return blocks


def _locked(result: RunResult) -> list[str]:
    """Say once what many calls may have been lost to, where a database has one writer."""
    lost = sum(row.count for row in result.errors if row.error.startswith("40001 "))
    if not lost or not find_engine(result.database.partition(":")[0]).has_one_writer:
        return []
    calls = counted(lost, "call was", "calls were")
    told = f"{calls} given up: the database stayed locked by its one writer for longer than a connection waits."
    hint = "hint: Write in short transactions, or ask for fewer --clients; an application would lose such calls, too."
    return [f"{fold(told)}\n{fold(f'  {hint}', hanging='  ')}"]


def _thresholds(thresholds: Sequence[ThresholdResult]) -> str:
    rows = []
    for row in thresholds:
        if row.state == "passed" and row.statistic in ("answered", "received"):
            continue  # what was touched has its row above
        show = shower_of(row.statistic)
        measured = NONE if row.measured is None else show(row.measured)
        why = row.reason or row.source
        if row.left_out:
            why = f"{why}; leaves out {row.left_out}"
        rows.append([row.state, row.subject, measured, show_limit(row), row.sample_count, why])
    return lay_table(rows, ["threshold", "of", "measured", "limit", "samples", "why"])


def _ending(result: RunResult) -> str:
    states = [row.state for row in result.thresholds]
    said = ", ".join(
        f"{states.count(state)} {state}"
        for state in ("passed", "warning", "failed", "not measured", "unknown")
        if state in states
    )
    state = "interrupted; what was done is recorded and loaded" if result.state == "interrupted" else "finished"
    if result.shortened is not None:
        state += f", shortened: {result.shortened.mark}"
    if result.critical:
        said = f"{said or 'none'}; {counted(len(result.critical), 'critical finding')} of the monitor"
    bug = f" with bug {result.bug}" if result.bug else ""
    lines = [
        fold(f"{result.system} {result.profile}{bug}, seed {result.seed}: {state}; thresholds: {said or 'none'}"),
        f"run folder: {result.folder}",
    ]
    if result.app is not None:
        lines.insert(1, fold(f"the application was at {result.app.shown}"))
    if result.state == "interrupted":
        lines.append(lay_command(typed(f"run --resume {result.run_id}"), label="to go on: "))
    lines += [lay_command(typed("validate"), label="next: ")] if result.is_answered else _unanswered(result)
    return "\n".join(lines)


def _unanswered(result: RunResult) -> list[str]:
    """Return that nothing worked, why not most often, and what shows where."""
    total = result.total
    if not total.calls:
        return [
            fold("No call was made, so nothing was measured."),
            lay_command(typed("health"), label="next: "),
        ]
    ends = {"failed": total.failed, "unavailable": total.unavailable, "of unknown outcome": total.unknown}
    told = ", ".join(f"{count:,} {word}" for word, count in ends.items() if count)
    lines = [fold(f"No call was answered: {told}. Nothing was measured, and nothing is said of the data.")]
    operation = ""
    if result.errors:
        most = max(result.errors, key=lambda each: each.count)
        operation = f" {most.operation}"
        lines.append(fold(f"Most often, {counted(most.count, 'time')}: {most.operation}: {most.error}", hanging="  "))
    return [
        *lines,
        lay_command(typed(f"race {result.system}{operation}"), label="next, one call by itself: "),
    ]


def _shared(clients: int, think_time_s: float | None) -> Iterator[str]:
    """Say what the rate makes of each client: worked out of both, and no setting of anybody's."""
    if think_time_s is None:
        return
    if think_time_s < 0:
        few = counted(clients, "client is", "clients are")
        yield f"{few} too few for that rate: each would have to call again before it was answered."
    else:
        between = f"{show_number(think_time_s)} s from an answer to the next call"
        yield f"shared by {counted(clients, 'client')}, that leaves each {between} (worked out from the rate, not set)."

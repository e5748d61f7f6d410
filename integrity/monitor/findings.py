"""What a monitor found, in words with the figure: pure functions over the samples that it took.

One alert a thing, with its worst value and when that was. What had no sample gives none: `find_alerts` says what was seen,
and a summary says how much was looked at.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from integrity.monitor.blocking import PREPARED, describe_blocker, find_roots, what
from integrity.monitor.limits import CRITICAL, WARN, Limit, limit_of, show
from integrity.monitor.log_summary import sum_up_logs
from integrity.monitor.processes import SERVER
from integrity.monitor.redis_findings import find_of_redis
from integrity.monitor.sample import Sample
from integrity.monitor.scraping import CONNECTIONS, GIVEN_UP, LAG_S, POOL
from integrity.monitor.series import Peak, figures, find_peak, last_rows, moving_mean, rise, rise_of_rows
from integrity.numbers import counted

CPU_SAMPLES = 5
CONTENTION_SAMPLES_LEAST = 5
SCANS_LEAST = 10
BLOCKS_LEAST = 1_000
ROWS_LEAST = 10_000
TRANSACTIONS_LEAST = 100
PIDS_SHOWN = 3

MonitorFacts = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Alert:
    """Something worth a word.

    Args:
        level: "critical" or "warn".
        name: of its limit in LIMITS, or "unreachable", "process-ended", "process-restarted", "log-unread", or of a pattern
            of a log, e.g. "log-fatal".
        subject: a table, a process or a log, where there are several; else empty.
        sentence: all of it in words, with the figure.
        value: the worst, in the limit's unit.
        limit: that it went over; None for what is never right.
        at_s: when it was worst, from the first sample on; None for what counts over all samples.
        source: who asks for the limit.
    """

    level: str
    name: str
    subject: str
    sentence: str
    value: float
    limit: float | None
    at_s: float | None
    source: str


def find_alerts(facts: MonitorFacts, samples: Sequence[Sample]) -> list[Alert]:
    """Return what the samples show, critical first.

    Args:
        facts: of the server and the monitor, as its file begins with them.
        samples: in the order in which they were taken.
    """
    found = [alert for rule in _RULES for alert in rule(facts, samples)]
    return sorted(found, key=lambda alert: alert.level != CRITICAL)


def _of_peak(
    name: str, facts: MonitorFacts, peak: Peak | None, words: Callable[[Peak], str], subject: str = ""
) -> Iterator[Alert]:
    """Yield an alert when the peak is over the limit of that name."""
    limit = limit_of(name, facts)
    if peak is not None and (level := limit.level(peak.value)) is not None:
        sentence = f"{words(peak)} at {peak.at_s:.0f} s, {_beyond(limit, level)}"
        yield Alert(level, name, subject, sentence, round(peak.value, 4), limit.at(level), peak.at_s, limit.source)


def _of_whole(name: str, facts: MonitorFacts, value: float, words: str, subject: str = "") -> Iterator[Alert]:
    """Yield an alert when a figure over all samples is over the limit of that name."""
    limit = limit_of(name, facts)
    if (level := limit.level(value)) is not None:
        yield Alert(level, name, subject, words, round(value, 4), limit.at(level), None, limit.source)


def _beyond(limit: Limit, level: str) -> str:
    side = "under" if limit.is_least else "over"
    return f"{side} {show(limit.at(level), limit.unit)}"


def _unreachable(facts: MonitorFacts, samples: Sequence[Sample]) -> Iterator[Alert]:
    failed = [sample for sample in samples if "error" in (sample.get("database") or {})]
    if failed:
        first, count = failed[0], len(failed)
        sentence = (
            f"the database could not be asked in {count} of {counted(len(samples), 'sample')}, "
            f"first at {first['elapsed_s']:.0f} s: {first['database']['error']}"
        )
        yield Alert(CRITICAL, "unreachable", "", sentence, count, 0, first["elapsed_s"], "our own: it is to be there")


def _connections(facts: MonitorFacts, samples: Sequence[Sample]) -> Iterator[Alert]:
    slots = facts["max_connections"] - facts["reserved_connections"] if "max_connections" in facts else 0
    if slots > 0:
        peak = find_peak(figures(samples, "activity", lambda activity: (activity["connections"] + 1) / slots))
        yield from _of_peak(
            "connections",
            facts,
            peak,
            lambda peak: f"connections near exhaustion: {peak.value * slots:.0f} of {slots} ({show(peak.value, 'share')})",
        )


def _pool(facts: MonitorFacts, samples: Sequence[Sample]) -> Iterator[Alert]:
    size = facts.get("pool_size")
    if size:
        peak = find_peak(figures(samples, "activity", lambda activity: activity["busy"] / size))
        yield from _of_peak(
            "pool",
            facts,
            peak,
            lambda peak: f"pool near exhaustion: {peak.value * size:.0f} of {size} busy ({show(peak.value, 'share')})",
        )


def _lock_waits(facts: MonitorFacts, samples: Sequence[Sample]) -> Iterator[Alert]:
    """Lock contention on X by Y: one alert for each thing that is waited for."""
    worst: dict[str, tuple[float, float, Mapping[str, Any], int]] = {}
    for sample in samples:
        pairs = (sample.get("database") or {}).get("blocking") or ()
        roots = find_roots(pairs)
        for pair in pairs:
            subject = what(pair)
            if subject in worst and worst[subject][0] >= pair["waited_s"]:
                continue
            # Who holds all of them up, rather than the next in the queue.
            root = next((root for root, behind in roots.items() if pair["pid"] in behind), pair["blocker"])
            by = next((other for other in pairs if other["blocker"] == root), pair)
            worst[subject] = (pair["waited_s"], sample["elapsed_s"], by, len(roots.get(root, ())) or 1)
    limit = limit_of("lock-wait", facts)
    critical_s = facts.get("deadlock_timeout_ms", 1000) / 1000 * 5
    for subject, (waited_s, at_s, by, count) in sorted(worst.items(), key=lambda item: -item[1][0]):
        if waited_s > limit.warn:
            level = CRITICAL if waited_s > critical_s else WARN
            most = critical_s if level == CRITICAL else limit.warn
            waiting = counted(count, "session waits", "sessions wait")
            sentence = (
                f"lock contention on {subject}: {waiting}, the longest {waited_s:.1f} s at {at_s:.0f} s, "
                f"behind {describe_blocker(by)}"
            )
            yield Alert(level, "lock-wait", subject, sentence, round(waited_s, 3), most, at_s, limit.source)


def _lock_contention(facts: MonitorFacts, samples: Sequence[Sample]) -> Iterator[Alert]:
    """Many short waits: none of them is long, and yet more sessions wait than work."""
    busy = figures(samples, "activity", lambda activity: activity["busy"] or None)
    if len(busy) < CONTENTION_SAMPLES_LEAST:
        return
    waiters = sum(value for _, value in figures(samples, "activity", lambda activity: activity["lock_waiters"]))
    share = waiters / sum(value for _, value in busy)
    counts: dict[str, int] = {}
    for sample in samples:
        for pair in (sample.get("database") or {}).get("blocking") or ():
            counts[what(pair)] = counts.get(what(pair), 0) + 1
    most = max(counts, key=counts.__getitem__, default="")
    where = f", mostly on {most}" if most else ""
    words = f"lock contention: on average {show(share, 'share')} of the busy sessions wait for a lock{where}"
    yield from _of_whole("lock-contention", facts, share, words, most)


def _transactions(facts: MonitorFacts, samples: Sequence[Sample]) -> Iterator[Alert]:
    yield from _of_peak(
        "idle-in-transaction",
        facts,
        find_peak(figures(samples, "activity", lambda activity: activity["longest_idle_in_transaction_s"])),
        lambda peak: f"a session sat idle in a transaction for {show(peak.value, 's')}",
    )
    yield from _of_peak(
        "long-transaction",
        facts,
        find_peak(figures(samples, "activity", lambda activity: activity["oldest_transaction_s"])),
        lambda peak: f"a transaction was {show(peak.value, 's')} old",
    )
    peak = find_peak(figures(samples, "activity", lambda activity: activity["prepared"]))
    blocks = any(pair["blocker"] == PREPARED for s in samples for pair in (s.get("database") or {}).get("blocking") or ())
    held = ", and sessions wait for its locks" if blocks else ""
    yield from _of_peak(
        "prepared-transaction", facts, peak, lambda peak: f"{counted(peak.value, 'prepared transaction')}{held}"
    )


def _counters(facts: MonitorFacts, samples: Sequence[Sample]) -> Iterator[Alert]:
    commits, rollbacks = (rise(samples, "database", name) for name in ("commits", "rollbacks"))
    if commits + rollbacks >= TRANSACTIONS_LEAST:
        share = rollbacks / (commits + rollbacks)
        words = f"rollbacks: {rollbacks:,.0f} of {commits + rollbacks:,.0f} transactions ({show(share, 'share')})"
        yield from _of_whole("rollbacks", facts, share, words)
    deadlocks = rise(samples, "database", "deadlocks")
    many = counted(deadlocks, "deadlock")
    yield from _of_whole("deadlocks", facts, deadlocks, f"{many}; the server ended one transaction in each")
    hit, read = (rise(samples, "database", name) for name in ("blocks_hit", "blocks_read"))
    if hit + read >= BLOCKS_LEAST:
        share = hit / (hit + read)
        words = f"low cache hits: {show(share, 'share')} of {hit + read:,.0f} blocks, {read:,.0f} read from outside"
        yield from _of_whole("cache-hit", facts, share, words)
    spilled = rise(samples, "database", "temp_bytes")
    yield from _of_whole(
        "temporary-files", facts, spilled, f"temporary files: {show(spilled, 'bytes')} did not fit into work_mem"
    )


def _tables(facts: MonitorFacts, samples: Sequence[Sample]) -> Iterator[Alert]:
    risen = rise_of_rows(samples, "tables", "table_name")
    last = last_rows(samples, "tables", "table_name")
    for table, counters in sorted(risen.items(), key=lambda item: -item[1]["sequential_rows"]):
        scans, rows = counters["sequential_scans"], counters["sequential_rows"]
        if scans >= SCANS_LEAST:
            many = f"{counted(scans, 'scan')} read {counted(rows, 'row')}"
            words = f"sequential scans on {table}: {many}, {rows / scans:,.0f} each"
            yield from _of_whole("sequential-scans", facts, rows / scans, words, table)
    for table, row in sorted(last.items()):
        count = row["rows_live"] + row["rows_dead"]
        if count >= ROWS_LEAST:
            share = row["rows_dead"] / count
            words = f"dead rows in {table}: {row['rows_dead']:,} of {count:,} ({show(share, 'share')})"
            yield from _of_whole("dead-rows", facts, share, words, table)


def _processes(facts: MonitorFacts, samples: Sequence[Sample]) -> Iterator[Alert]:
    for name in dict.fromkeys(process["name"] for sample in samples for process in sample.get("processes", ())):
        series = [(s["elapsed_s"], p) for s in samples for p in s.get("processes", ()) if p["name"] == name]
        yield from _process(name, series, facts)


def _process(name: str, series: Sequence[tuple[float, Mapping[str, Any]]], facts: MonitorFacts) -> Iterator[Alert]:
    is_named = name in facts.get("named_processes", ())
    cores = facts.get("cores", 1)

    def read(figure: str) -> list[tuple[float, float]]:
        return [(at_s, process[figure]) for at_s, process in series if figure in process]

    if is_named or name == SERVER:
        yield from _of_peak(
            "process-cpu" if is_named else "database-cpu",
            facts,
            find_peak(moving_mean(read("cpu_share"), CPU_SAMPLES)),
            lambda peak: f"CPU of {name}: {show(peak.value, 'share')} of {counted(cores, 'core')}",
            name,
        )
    if is_named:
        yield from _of_peak(
            "process-memory",
            facts,
            find_peak(read("rss_bytes")),
            lambda peak: f"memory of {name}: {show(peak.value, 'bytes')}",
            name,
        )
    yield from _of_peak(
        "descriptors",
        facts,
        find_peak(read("descriptors_share")),
        lambda peak: f"descriptors of {name}: {show(peak.value, 'share')} of a process's limit",
        name,
    )
    yield from _ends(name, series, is_named=is_named)


def _ends(name: str, series: Sequence[tuple[float, Mapping[str, Any]]], *, is_named: bool) -> Iterator[Alert]:
    """Yield what became of a process that did not last; one that is named was there when it was named."""
    source = "our own: it is to be there"
    changes = [
        (at_s, after.get("was_pid", before["pid"]), after["pid"])
        for (_, before), (at_s, after) in pairwise([(0.0, {**series[0][1], "restarts": 0}), *series])
        if after.get("restarts", 0) > before.get("restarts", 0)
    ]
    if changes:
        first_s, was, _ = changes[0]
        count = series[-1][1]["restarts"]
        often = "" if count == 1 else f"{counted(count, 'time')}, first "
        pids = ", ".join(str(pid) for _, _, pid in changes[:PIDS_SHOWN]) + (", …" if len(changes) > PIDS_SHOWN else "")
        sentence = f"process {name} (pid {was}) had ended and was started anew {often}at {first_s:.0f} s, as pid {pids}"
        yield Alert(CRITICAL, "process-restarted", name, sentence, count, 0, first_s, source)
    series = series[-1:] if changes else series  # the ends between are told already
    ended = [(at_s, each["pid"]) for at_s, each in series if not each["is_alive"] and not each.get("was_gone")]
    if ended and (is_named or len(ended) < len(series)):
        at_s, pid = ended[0]
        sentence = f"process {name} (pid {pid}) had ended at {at_s:.0f} s"
        yield Alert(CRITICAL, "process-ended", name, sentence, 1, 0, at_s, source)


def _logs(_facts: MonitorFacts, samples: Sequence[Sample]) -> Iterator[Alert]:
    for log in sum_up_logs(samples):
        for found in log.findings:
            first_s = found.spans[0][0]
            lines = f"{counted(found.count, 'line')} with {found.pattern}, first at {first_s:.0f} s"
            sentence = f"log {log.file}: {lines}: {found.examples[0]}"
            yield Alert(
                found.level, found.name, log.file, sentence, found.count, 0, first_s, "our own: a sound one has none"
            )
        if log.unread:
            at_s = samples[-1]["elapsed_s"]
            yield Alert(
                WARN, "log-unread", log.file, f"log {log.file}: {log.unread}", 1, 0, at_s, "our own: it is to be read"
            )


def _metrics(facts: MonitorFacts, samples: Sequence[Sample]) -> Iterator[Alert]:
    """What the application tells of itself; a figure that it does not tell is held to nothing."""
    told = [sample for sample in samples if "metrics" in sample]
    failed = [sample for sample in samples if "metrics_error" in sample]
    if failed and "metrics_of" in facts:
        first = failed[0]
        sentence = (
            f"metrics could not be read in {len(failed)} of {counted(len(samples), 'sample')}, first at "
            f"{first['elapsed_s']:.0f} s: {first['metrics_error']}"
        )
        source = "our own: they were asked for"
        yield Alert(WARN if told else CRITICAL, "metrics-unread", "", sentence, len(failed), 0, first["elapsed_s"], source)
    lags = [(s["elapsed_s"], s["metrics"][LAG_S] * 1000) for s in told if LAG_S in s["metrics"]]
    words = "the server's event loop was late by"
    yield from _of_peak("server-loop-lag", facts, find_peak(lags), lambda peak: f"{words} {show(peak.value, 'ms')}")
    in_use = find_peak(pool_shares(samples))
    pool = "the server's pool near exhaustion:"
    yield from _of_peak("server-pool", facts, in_use, lambda peak: f"{pool} {show(peak.value, 'share')} in use")
    given_up = _risen_since_first(told, GIVEN_UP)
    words = f"the server gave up {counted(given_up, 'webhook or job', 'webhooks and jobs')}"
    yield from _of_whole("server-tasks", facts, given_up, words)
    left = _risen_since_first(told, CONNECTIONS)
    words = f"the server still counts {counted(left, 'connection')} of clients that are gone"
    yield from _of_whole("server-connections", facts, left, words)


def pool_shares(samples: Sequence[Sample]) -> list[tuple[float, float]]:
    """Return how much of the server's pool was in use, at which second."""
    return [
        (sample["elapsed_s"], in_use / size)
        for sample in samples
        if (metrics := sample.get("metrics"))
        and (size := metrics.get(f'{POOL}{{state="size"}}'))
        and (in_use := metrics.get(f'{POOL}{{state="in_use"}}')) is not None
    ]


def _risen_since_first(told: Sequence[Sample], name: str) -> float:
    """Return by how much a figure is higher at last than at first; 0 where it is lower, as of a server started anew."""
    values = [sample["metrics"][name] for sample in told if name in sample["metrics"]]
    return max(0.0, values[-1] - values[0]) if values else 0.0


def _left_behind(facts: MonitorFacts, samples: Sequence[Sample]) -> Iterator[Alert]:
    """What is left of a named process: descriptors that are not back at their start, and what the kernel ended."""
    told = [sample for sample in samples if "metrics" in sample]
    opened = _risen_since_first(told, f'{POOL}{{state="open"}}')
    for name in facts.get("named_processes", ()):
        series = [p for s in samples for p in s.get("processes", ()) if p["name"] == name]
        held = [(p["pid"], p["descriptors"]) for p in series if "descriptors" in p]
        if told and len({pid for pid, _ in held}) == 1:  # of others nobody knows how large their pools are
            left = held[-1][1] - held[0][1] - opened
            words = f"{counted(left, 'descriptor')} more of {name} than at first, when all clients are gone"
            yield from _of_whole("descriptors-left", facts, left, words, name)
        kills = [p["oom_kills"] for p in series if "oom_kills" in p]
        killed = kills[-1] - kills[0] if kills else 0
        words = f"the kernel ended {counted(killed, 'process', 'processes')} beside {name} for want of memory"
        yield from _of_whole("oom-kill", facts, killed, words, name)


def _redis(facts: MonitorFacts, samples: Sequence[Sample]) -> Iterator[Alert]:
    for level, name, sentence, value, limit, at_s, source in find_of_redis(facts, samples):
        yield Alert(level, name, "", sentence, value, limit, at_s, source)


def _lateness(facts: MonitorFacts, samples: Sequence[Sample]) -> Iterator[Alert]:
    answered = [(s["elapsed_s"], s["database"]["took_ms"]) for s in samples if "took_ms" in (s.get("database") or {})]
    yield from _of_peak(
        "answer", facts, find_peak(answered), lambda peak: f"the server took {show(peak.value, 'ms')} to answer the monitor"
    )
    lags = [(s["elapsed_s"], lag_ms) for s in samples if (lag_ms := s.get("loop_lag_ms")) is not None]
    yield from _of_peak(
        "loop-lag", facts, find_peak(lags), lambda peak: f"our own event loop was late by {show(peak.value, 'ms')}"
    )


_RULES: Sequence[Callable[[MonitorFacts, Sequence[Sample]], Iterator[Alert]]] = (
    _unreachable,
    _connections,
    _pool,
    _lock_waits,
    _lock_contention,
    _transactions,
    _counters,
    _tables,
    _processes,
    _logs,
    _metrics,
    _left_behind,
    _redis,
    _lateness,
)

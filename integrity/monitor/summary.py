"""A summary of samples: peaks and rates in figures, what was looked at and what could not be. Pure."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from integrity.database.made import OURS
from integrity.monitor.blocking import draw
from integrity.monitor.findings import Alert, MonitorFacts, find_alerts, pool_shares
from integrity.monitor.log_summary import LogSummary, sum_up_logs
from integrity.monitor.questions import is_own
from integrity.monitor.redis_findings import lookups_of
from integrity.monitor.sample import Sample
from integrity.monitor.series import figures, find_peak, last_rows, rise, rise_of_rows

SHOWN = 5


@dataclass(frozen=True, slots=True)
class DatabaseSummary:
    """Peaks of sessions and waits, rates of counters over the whole span; None: without a sample, or without a span."""

    connections_most: float | None
    busy_most: float | None
    lock_waiters_most: float | None
    idle_in_transaction_most: float | None
    oldest_transaction_s: float | None
    commits_per_s: float | None
    rollbacks_per_s: float | None
    deadlocks: int
    rows_written_per_s: float | None
    wal_bytes_per_s: float | None
    cache_hit_share: float | None
    checkpoints: int
    size_bytes: int | None
    grown_bytes: int | None
    answer_ms_mean: float


@dataclass(frozen=True, slots=True)
class TableSummary:
    """By what a table's counters rose, and how many rows it had at last."""

    table: str
    sequential_scans: int
    sequential_rows: int
    index_scans: int
    rows_written: int
    rows_live: int | None


@dataclass(frozen=True, slots=True)
class StatementSummary:
    """How often a statement was called, and how long that took.

    Args:
        share: of the time of all statements meanwhile.
        names: the schema that it names, where a run's calls work in others; empty: it does not. See `named_apart`.
    """

    statement: str
    calls: int
    total_ms: float
    mean_ms: float
    share: float
    names: str = ""


@dataclass(frozen=True, slots=True)
class ProcessSummary:
    """Peak and mean of a process; None: not measured. It was started anew `restarts` times, and pid is the last one's."""

    name: str
    pid: int
    is_alive: bool
    cpu_share_mean: float | None
    cpu_share_most: float | None
    rss_bytes_most: int | None
    descriptors_most: int | None
    restarts: int = 0


@dataclass(frozen=True, slots=True)
class RedisSummary:
    """Peaks of a Redis; hit_share: of what was looked up meanwhile; None: not measured, or nothing was."""

    name: str
    cpu_share_most: float | None
    used_bytes_most: int
    connections_most: int
    hit_share: float | None
    policy: str


@dataclass(frozen=True, slots=True)
class MonitorSummary:
    """What samples come to.

    Args:
        answered_count: of the samples, those in which the database answered.
        notes: what could not be looked at.
        database: None without one, or without an answer of it.
        tables, statements: the busiest first.
        blocking: the worst moment's trees, as lines.
        server_pool_share_most: in use of the pool that a server tells of, at its peak; None: none tells.
        redis: None without one, or without an answer of it.
        alerts: critical first.
    """

    sample_count: int = 0
    answered_count: int = 0
    elapsed_s: float = 0.0
    notes: tuple[str, ...] = ()
    database: DatabaseSummary | None = None
    tables: tuple[TableSummary, ...] = ()
    statements: tuple[StatementSummary, ...] = ()
    blocking: tuple[str, ...] = ()
    processes: tuple[ProcessSummary, ...] = ()
    logs: tuple[LogSummary, ...] = ()
    server_pool_share_most: float | None = None
    redis: RedisSummary | None = None
    alerts: tuple[Alert, ...] = ()


def summarize(facts: MonitorFacts, samples: Sequence[Sample]) -> MonitorSummary:
    """Return what the samples come to."""
    answered = [sample for sample in samples if "activity" in (sample.get("database") or {})]
    elapsed_s = samples[-1]["elapsed_s"] - samples[0]["elapsed_s"] if samples else 0.0
    return MonitorSummary(
        sample_count=len(samples),
        answered_count=len(answered),
        elapsed_s=round(elapsed_s, 3),
        notes=tuple(facts.get("notes", ())),
        database=_database(answered) if answered else None,
        tables=tuple(_tables(samples)),
        statements=tuple(_statements(samples)),
        blocking=tuple(_worst_blocking(samples)),
        processes=tuple(_processes(samples)),
        logs=tuple(sum_up_logs(samples)),
        server_pool_share_most=round(peak.value, 4) if (peak := find_peak(pool_shares(samples))) is not None else None,
        redis=_redis(samples),
        alerts=tuple(find_alerts(facts, samples)),
    )


def summarize_until(facts: MonitorFacts, samples: Sequence[Sample], *, until_s: float) -> MonitorSummary:
    """Return what the samples of its first seconds come to."""
    return summarize(facts, [sample for sample in samples if sample["elapsed_s"] <= until_s])


_NAMED = re.compile(r'\b(?:from|join|into|update|only|using)\s+"?(\w+)"?\."?\w', re.IGNORECASE)


def named_apart(summary: MonitorSummary, schemas: Collection[str]) -> MonitorSummary:
    """Return the summary of a run whose calls work in these schemas, with the mark on statements that name others alone.

    Since version 18 PostgreSQL counts statements that are the same but for their tables' schemas as one, and keeps the text
    of the first: a run's own inserts stand under the name of a table that it never touched.
    """

    def apart(row: StatementSummary) -> StatementSummary:
        named = dict.fromkeys(_NAMED.findall(row.statement))
        return row if not named or named.keys() & {*schemas, OURS} else replace(row, names=next(iter(named)))

    return replace(summary, statements=tuple(map(apart, summary.statements)))


def _database(samples: Sequence[Sample]) -> DatabaseSummary:
    span_s = samples[-1]["elapsed_s"] - samples[0]["elapsed_s"]

    def peak(name: str) -> float | None:
        found = find_peak(figures(samples, "activity", lambda activity: activity[name]))
        return None if found is None else round(found.value, 3)

    def per_s(name: str) -> float | None:
        return round(rise(samples, "database", name) / span_s, 1) if span_s > 0 else None

    hit, read = rise(samples, "database", "blocks_hit"), rise(samples, "database", "blocks_read")
    sizes = [value for _, value in figures(samples, "size", lambda size: size["size_bytes"])]
    return DatabaseSummary(
        connections_most=peak("connections"),
        busy_most=peak("busy"),
        lock_waiters_most=peak("lock_waiters"),
        idle_in_transaction_most=peak("idle_in_transaction"),
        oldest_transaction_s=peak("oldest_transaction_s"),
        commits_per_s=per_s("commits"),
        rollbacks_per_s=per_s("rollbacks"),
        deadlocks=int(rise(samples, "database", "deadlocks")),
        rows_written_per_s=_sum(per_s("rows_inserted"), per_s("rows_updated"), per_s("rows_deleted")),
        wal_bytes_per_s=per_s("wal_bytes"),
        cache_hit_share=round(hit / (hit + read), 4) if hit + read else None,
        checkpoints=int(rise(samples, "checkpoints", "timed") + rise(samples, "checkpoints", "requested")),
        size_bytes=int(sizes[-1]) if sizes else None,
        grown_bytes=int(sizes[-1] - sizes[0]) if sizes else None,
        answer_ms_mean=round(sum(sample["database"]["took_ms"] for sample in samples) / len(samples), 2),
    )


def _sum(*values: float | None) -> float | None:
    known = [value for value in values if value is not None]
    return round(sum(known), 1) if known else None


def _tables(samples: Sequence[Sample]) -> list[TableSummary]:
    last = last_rows(samples, "tables", "table_name")
    found = [
        TableSummary(
            table=name,
            sequential_scans=int(counters["sequential_scans"]),
            sequential_rows=int(counters["sequential_rows"]),
            index_scans=int(counters["index_scans"]),
            rows_written=int(sum(counters[f"rows_{kind}"] for kind in ("inserted", "updated", "deleted"))),
            rows_live=last[name]["rows_live"],
        )
        for name, counters in rise_of_rows(samples, "tables", "table_name").items()
    ]
    busy = [row for row in found if row.sequential_scans or row.index_scans or row.rows_written]
    return sorted(busy, key=lambda row: -(row.sequential_rows + row.index_scans + row.rows_written))


def _statements(samples: Sequence[Sample]) -> list[StatementSummary]:
    last = last_rows(samples, "statements", "statement_id")
    rises = {
        name: counters
        for name, counters in rise_of_rows(samples, "statements", "statement_id").items()
        if counters["calls"] > 0 and not is_own(str(last[name]["statement"]))
    }
    together_ms = sum(counters["total_ms"] for counters in rises.values())
    found = [
        StatementSummary(
            statement=" ".join(str(last[name]["statement"]).split()),
            calls=int(counters["calls"]),
            total_ms=round(counters["total_ms"], 1),
            mean_ms=round(counters["total_ms"] / counters["calls"], 3),
            share=round(counters["total_ms"] / together_ms, 4) if together_ms else 0.0,
        )
        for name, counters in rises.items()
    ]
    return sorted(found, key=lambda row: -row.total_ms)[:SHOWN]


def _worst_blocking(samples: Sequence[Sample]) -> list[str]:
    worst: Sequence[Mapping[str, Any]] = ()
    for sample in samples:
        pairs = (sample.get("database") or {}).get("blocking") or ()
        if _longest_s(pairs) > _longest_s(worst):
            worst = pairs
    return draw(worst)


def _longest_s(pairs: Sequence[Mapping[str, Any]]) -> float:
    return max((pair["waited_s"] for pair in pairs), default=-1.0)


def _redis(samples: Sequence[Sample]) -> RedisSummary | None:
    answered = [sample["redis"] for sample in samples if "error" not in sample.get("redis", {"error": ""})]
    if not answered:
        return None
    shares = [each["cpu_share"] for each in answered if "cpu_share" in each]
    hits, misses = lookups_of(answered)
    return RedisSummary(
        answered[-1]["name"],
        max(shares, default=None),
        max(each["used_bytes"] for each in answered),
        max(each["connections"] for each in answered),
        round(hits / (hits + misses), 4) if hits + misses else None,
        answered[-1]["policy"],
    )


def _processes(samples: Sequence[Sample]) -> list[ProcessSummary]:
    series: dict[str, list[Mapping[str, Any]]] = {}
    for sample in samples:
        for process in sample.get("processes", ()):
            series.setdefault(process["name"], []).append(process)
    found = []
    for name, measured in series.items():
        shares = [process["cpu_share"] for process in measured if "cpu_share" in process]
        memory = [process["rss_bytes"] for process in measured if "rss_bytes" in process]
        found.append(
            ProcessSummary(
                name=name,
                pid=measured[-1]["pid"],
                is_alive=measured[-1]["is_alive"],
                cpu_share_mean=round(sum(shares) / len(shares), 4) if shares else None,
                cpu_share_most=max(shares, default=None),
                rss_bytes_most=max(memory, default=None),
                descriptors_most=max((p["descriptors"] for p in measured if "descriptors" in p), default=None),
                restarts=measured[-1].get("restarts", 0),
            )
        )
    return found

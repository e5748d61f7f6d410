"""A summary of samples: peaks and rates in figures, what was looked at and what could not be. Pure, and fit for JSON."""

from collections.abc import Mapping, Sequence
from typing import Any

from integrity.monitor.blocking import draw
from integrity.monitor.findings import Facts, find_alerts
from integrity.monitor.series import Sample, figures, find_peak, last_rows, rise, rise_of_rows

SHOWN = 5


def summarize(facts: Facts, samples: Sequence[Sample]) -> dict[str, Any]:
    """Return what the samples come to; a figure without a sample is None.

    Returns:
        sample_count, answered_count: samples, and those in which the database answered.
        database: peaks of sessions and waits, rates of counters; None without a database.
        tables, statements: the busiest, by what they rose.
        blocking: the worst moment's trees, as lines.
        processes: peak and mean of each.
        alerts: as find_alerts returns them.
    """
    answered = [sample for sample in samples if "activity" in (sample.get("database") or {})]
    elapsed_s = samples[-1]["elapsed_s"] - samples[0]["elapsed_s"] if samples else 0.0
    return {
        "sample_count": len(samples),
        "answered_count": len(answered),
        "elapsed_s": round(elapsed_s, 3),
        "notes": list(facts.get("notes", ())),
        "database": _database(answered) if answered else None,
        "tables": _tables(samples),
        "statements": _statements(samples),
        "blocking": _worst_blocking(samples),
        "processes": _processes(samples),
        "alerts": [alert.as_dict() for alert in find_alerts(facts, samples)],
    }


def _database(samples: Sequence[Sample]) -> dict[str, Any]:
    span_s = samples[-1]["elapsed_s"] - samples[0]["elapsed_s"]

    def peak(name: str) -> float | None:
        found = find_peak(figures(samples, "activity", lambda activity: activity[name]))
        return None if found is None else round(found.value, 3)

    def per_s(name: str) -> float | None:
        return round(rise(samples, "database", name) / span_s, 1) if span_s > 0 else None

    hit, read = rise(samples, "database", "blocks_hit"), rise(samples, "database", "blocks_read")
    sizes = [value for _, value in figures(samples, "size", lambda size: size["size_bytes"])]
    return {
        "connections_most": peak("connections"),
        "busy_most": peak("busy"),
        "lock_waiters_most": peak("lock_waiters"),
        "idle_in_transaction_most": peak("idle_in_transaction"),
        "oldest_transaction_s": peak("oldest_transaction_s"),
        "commits_per_s": per_s("commits"),
        "rollbacks_per_s": per_s("rollbacks"),
        "deadlocks": int(rise(samples, "database", "deadlocks")),
        "rows_written_per_s": _sum(per_s("rows_inserted"), per_s("rows_updated"), per_s("rows_deleted")),
        "wal_bytes_per_s": per_s("wal_bytes"),
        "cache_hit_share": round(hit / (hit + read), 4) if hit + read else None,
        "checkpoints": int(rise(samples, "checkpoints", "timed") + rise(samples, "checkpoints", "requested")),
        "size_bytes": int(sizes[-1]) if sizes else None,
        "grown_bytes": int(sizes[-1] - sizes[0]) if sizes else None,
        "answer_ms_mean": round(sum(sample["database"]["took_ms"] for sample in samples) / len(samples), 2),
    }


def _sum(*values: float | None) -> float | None:
    known = [value for value in values if value is not None]
    return round(sum(known), 1) if known else None


def _tables(samples: Sequence[Sample]) -> list[dict[str, Any]]:
    risen = rise_of_rows(samples, "tables", "table_name")
    last = last_rows(samples, "tables", "table_name")
    found: list[dict[str, Any]] = [
        {
            "table": name,
            **{key: int(counters[key]) for key in ("sequential_scans", "sequential_rows", "index_scans")},
            "rows_written": int(sum(counters[f"rows_{kind}"] for kind in ("inserted", "updated", "deleted"))),
            "rows_live": last[name]["rows_live"],
        }
        for name, counters in risen.items()
    ]
    busy = [row for row in found if row["sequential_scans"] or row["index_scans"] or row["rows_written"]]
    return sorted(busy, key=lambda row: -sum(row[key] for key in ("sequential_rows", "index_scans", "rows_written")))


def _statements(samples: Sequence[Sample]) -> list[dict[str, Any]]:
    risen = rise_of_rows(samples, "statements", "statement_id")
    last = last_rows(samples, "statements", "statement_id")
    found: list[dict[str, Any]] = [
        {
            "statement": " ".join(str(last[name]["statement"]).split()),
            "calls": int(counters["calls"]),
            "total_ms": round(counters["total_ms"], 1),
            "mean_ms": round(counters["total_ms"] / counters["calls"], 3),
        }
        for name, counters in risen.items()
        if counters["calls"]
    ]
    return sorted(found, key=lambda row: -row["total_ms"])[:SHOWN]


def _worst_blocking(samples: Sequence[Sample]) -> list[str]:
    worst: Sequence[Mapping[str, Any]] = ()
    for sample in samples:
        pairs = (sample.get("database") or {}).get("blocking") or ()
        if _longest_s(pairs) > _longest_s(worst):
            worst = pairs
    return draw(worst)


def _longest_s(pairs: Sequence[Mapping[str, Any]]) -> float:
    return max((pair["waited_s"] for pair in pairs), default=-1.0)


def _processes(samples: Sequence[Sample]) -> list[dict[str, Any]]:
    series: dict[str, list[Mapping[str, Any]]] = {}
    for sample in samples:
        for process in sample.get("processes", ()):
            series.setdefault(process["name"], []).append(process)
    found = []
    for name, measured in series.items():
        shares = [process["cpu_share"] for process in measured if "cpu_share" in process]
        memory = [process["rss_bytes"] for process in measured if "rss_bytes" in process]
        found.append(
            {
                "name": name,
                "pid": measured[-1]["pid"],
                "is_alive": measured[-1]["is_alive"],
                "cpu_share_mean": round(sum(shares) / len(shares), 4) if shares else None,
                "cpu_share_most": max(shares, default=None),
                "rss_bytes_most": max(memory, default=None),
                "descriptors_most": max((p["descriptors"] for p in measured if "descriptors" in p), default=None),
            }
        )
    return found

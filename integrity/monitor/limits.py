"""Limits that a monitor's figures are held against, each with its reason: our own, or those of a system's plan."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import isfinite
from types import MappingProxyType
from typing import Any

from integrity.errors import UsageError
from integrity.project import SETTINGS_FILE, Project
from integrity.suggestion import suggest
from integrity.systems.planned_limit import PlannedLimit

WARN = "warn"
CRITICAL = "critical"

SPARE_CONNECTIONS = 3  # that a run leaves free: for loading, and for whoever looks on


@dataclass(frozen=True, slots=True)
class Limit:
    """From where on a figure is worth a word.

    Args:
        figure: what is measured, in words.
        unit: "share" (of 1), "s", "bytes", "ms" or "count".
        warn, critical: it is over a limit when it is above; None: never that bad by itself.
        is_least: it is a floor: over the limit is below.
        middle: between the two, where somebody asks for three.
        source: who asks for it.
    """

    figure: str
    unit: str
    warn: float
    critical: float | None
    source: str
    is_least: bool = False
    middle: float | None = None

    def level(self, value: float) -> str | None:
        """Return "critical", "warn" or None."""
        if self.critical is not None and self._is_over(value, self.critical):
            return CRITICAL
        return WARN if self._is_over(value, self.warn) else None

    def at(self, level: str) -> float:
        """Return the limit of that level."""
        return self.critical if level == CRITICAL and self.critical is not None else self.warn

    def passed(self, value: float) -> float:
        """Return the worst of the limits that a value is over, which is over one."""
        worst_first = (limit for limit in (self.critical, self.middle) if limit is not None)
        return next((limit for limit in worst_first if self._is_over(value, limit)), self.warn)

    def _is_over(self, value: float, limit: float) -> bool:
        return value < limit if self.is_least else value > limit


_OURS = "our own"

LIMITS: Mapping[str, Limit] = MappingProxyType(
    {
        "connections": Limit(
            "sessions of all databases, of max_connections without the reserved ones",
            "share", 0.80, 0.95, f"{_OURS}: a peak needs some left, and at 100% nobody can connect any more",
        ),
        "pool": Limit(
            "busy sessions of this database, of the pool's size",
            "share", 0.70, 0.95, f"{_OURS}: calls begin to wait for a connection",
        ),
        "database-cpu": Limit(
            "CPU of the server's processes, of all cores, over 5 samples",
            "share", 0.70, 0.85, f"{_OURS}: from there on, waiting grows faster than load",
        ),
        "process-cpu": Limit(
            "CPU of a named process and its children, of all cores, over 5 samples",
            "share", 0.70, 0.80, f"{_OURS}: from there on, waiting grows faster than load",
        ),
        "process-memory": Limit(
            "resident memory of a named process and its children",
            "bytes", 1.6e9, 1.8e9, f"{_OURS}: a process of 2 GB is near its end",
        ),
        "descriptors": Limit(
            "open descriptors of a process, of its limit",
            "share", 0.80, 0.95, f"{_OURS}: at 100% it can open nothing any more",
        ),
        "lock-wait": Limit(
            "longest wait for a lock; critical: five times the server's deadlock_timeout",
            "s", 1.0, 5.0, f"{_OURS}: a second is felt; PostgreSQL itself looks for a deadlock after deadlock_timeout",
        ),
        "lock-contention": Limit(
            "busy sessions that wait for a lock, mean over the samples",
            "share", 0.50, None, f"{_OURS}: more sessions wait than work",
        ),
        "idle-in-transaction": Limit(
            "longest time that a session sat in a transaction and did nothing",
            "s", 5.0, None, f"{_OURS}: it holds its locks and what vacuum would clean up",
        ),
        "long-transaction": Limit(
            "age of the oldest transaction",
            "s", 30.0, None, f"{_OURS}: vacuum cleans up nothing that is younger",
        ),
        "prepared-transaction": Limit(
            "prepared transactions that nobody has ended",
            "count", 0, None, f"{_OURS}: they hold their locks through restarts",
        ),
        "rollbacks": Limit(
            "transactions rolled back, of all (a business no is one, too)",
            "share", 0.50, None, f"{_OURS}: more work is thrown away than kept",
        ),
        "deadlocks": Limit(
            "deadlocks that the server resolved", "count", 0, None, f"{_OURS}: each is a call that was thrown away",
        ),
        "sequential-scans": Limit(
            "rows read by one scan of a whole table, where it was scanned 10 times or more",
            "count", 10_000, None, f"{_OURS}: an index is missing, or not used",
        ),
        "cache-hit": Limit(
            "blocks found in the server's buffers, of all asked for (from 1,000 on)",
            "share", 0.95, 0.80, f"{_OURS}: what is asked for does not fit into the server's memory", is_least=True,
        ),
        "temporary-files": Limit(
            "bytes of sorts and hashes that did not fit into work_mem", "bytes", 100e6, None, f"{_OURS}",
        ),
        "dead-rows": Limit(
            "dead rows of a table, of all (from 10,000 on)", "share", 0.20, None, f"{_OURS}: vacuum does not keep up",
        ),
        "answer": Limit(
            "time that the server took to answer the monitor", "ms", 1000, 5000, f"{_OURS}: it takes some milliseconds",
        ),
        "server-loop-lag": Limit(
            "how late the server's own event loop says it was",
            "ms", 100, None, f"{_OURS}: all that it answers is as late",
        ),
        "server-pool": Limit(
            "connections of the server's pool that are in use, of its size",
            "share", 0.70, None, f"{_OURS}: requests begin to wait for one",
        ),
        "server-tasks": Limit(
            "background work that the server gave up",
            "count", 0, 0, f"{_OURS}: nobody will do it any more",
        ),
        "server-connections": Limit(
            "connections that the server counts when all clients are gone, over those at first",
            "count", 0, 16, f"{_OURS}: what is left of each that came and went runs out one day",
        ),
        "descriptors-left": Limit(
            "descriptors of a named process over those at first, when all clients are gone, without its pool's",
            "count", 16, 64, f"{_OURS}: what is left of each that came and went runs out one day",
        ),
        "oom-kill": Limit(
            "processes of its cgroup that the kernel ended for want of memory", "count", 0, 0, f"{_OURS}: none may be",
        ),
        "redis-cpu": Limit(
            "CPU of a Redis, of the one core that it uses, over 5 samples",
            "share", 0.50, 0.80, f"{_OURS}, as the plan of streams has it: 50, 65, 80%", middle=0.65,
        ),
        "redis-memory": Limit(
            "memory that a Redis uses", "bytes", 300e6, 450e6, f"{_OURS}, as the plan of streams has it", middle=400e6,
        ),
        "redis-memory-share": Limit(
            "memory that a Redis uses, of its maxmemory", "share", 0.60, None, f"{_OURS}, as the plan of votes has it",
        ),
        "redis-connections": Limit(
            "clients of a Redis, of its maxclients", "share", 0.80, 0.95, f"{_OURS}: at 100% it refuses whoever comes",
        ),
        "redis-hits": Limit(
            "look-ups of a Redis that found something (from 1,000 on)",
            "share", 0.80, None, f"{_OURS}, as the plan of votes has it", is_least=True,
        ),
        "loop-lag": Limit(
            "lag of our own event loop at its worst within a second", "ms", 100, None, f"{_OURS}: latencies include it",
        ),
    }
)  # fmt: skip


def read_limits(project: Project) -> dict[str, PlannedLimit]:
    """Return the limits of the project's settings, by name.

    Raises:
        UsageError: there is no limit of that name, or its two are in no order.
    """
    found = {}
    for name, given in project.settings.monitor.limits.items():
        place = f"{project.folder / SETTINGS_FILE}: monitor.limits.{name}"
        if name not in LIMITS:
            raise UsageError(
                f"{place}: there is no such limit", hint=suggest(name, LIMITS, always=f"Known: {', '.join(LIMITS)}.")
            )
        ours = LIMITS[name]
        warn = ours.warn if given.warn is None else given.warn
        critical = ours.critical if given.critical is None else given.critical
        if not all(map(isfinite, (warn, warn if critical is None else critical))):
            raise UsageError(f"{place}: a limit is a number", hint="Leave it out to have the monitor's own.")
        if critical is not None and (critical > warn if ours.is_least else critical < warn):
            raise UsageError(
                f"{place}: it is critical at {critical:g}, before it warns at {warn:g}",
                hint="Set warn and critical together.",
            )
        found[name] = PlannedLimit(warn, critical, f"{SETTINGS_FILE}: monitor.limits")
    return found


def show(value: float, unit: str) -> str:
    """Return the value in its unit."""
    if unit == "share":
        return f"{value * 100:.0f}%" if value >= 0.1 or value == 0 else f"{value * 100:.1f}%"
    if unit == "bytes":
        return f"{value / 1e9:.2f} GB" if value >= 1e9 else f"{value / 1e6:.1f} MB"
    return f"{value:,.0f}" if unit == "count" else f"{value:,.0f} {unit}" if value >= 100 else f"{value:,.1f} {unit}"


def limit_of(name: str, facts: Mapping[str, Any]) -> Limit:
    """Return the limit of that name: as the project or the plan of the system has it that is run, else our own.

    Args:
        facts: of the monitor; "limits" are those of the project and the plan, by name.
    """
    planned = facts.get("limits", {}).get(name)
    return replace(LIMITS[name], **planned) if planned else LIMITS[name]

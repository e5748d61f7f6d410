"""What a run used of its surroundings, as the monitor saw it: the figures that thresholds of resources are about."""

from collections.abc import Mapping
from typing import Any

from integrity.monitor.processes import SERVER
from integrity.monitor.summary import MonitorSummary


def find_resources(summary: MonitorSummary, facts: Mapping[str, Any]) -> dict[str, float]:
    """Return the figures by the names of their statistics; what nobody saw is left out.

    Args:
        summary, facts: of the monitor; without a database they hold only processes.
    """
    found: dict[str, float] = {}
    database = summary.database
    slots = facts.get("max_connections", 0) - facts.get("reserved_connections", 0)
    if slots > 0 and database is not None and database.connections_most is not None:
        found["connections_share"] = database.connections_most / slots
    if facts.get("pool_size") and database is not None and database.busy_most is not None:
        found["pool_share"] = database.busy_most / facts["pool_size"]
    if summary.server_pool_share_most is not None:  # of a run over HTTP, whose own connections are another matter
        found["pool_share"] = summary.server_pool_share_most
    server = next((process for process in summary.processes if process.name == SERVER), None)
    if server is not None and server.cpu_share_mean is not None:
        found["database_cpu_share"] = server.cpu_share_mean
    return found


def count_samples(summary: MonitorSummary) -> dict[str, int]:
    """Return of how many samples the figures are, by the same names."""
    told = summary.sample_count if summary.server_pool_share_most is not None else summary.answered_count
    answered = {"connections_share": summary.answered_count, "pool_share": told}
    return {**answered, "database_cpu_share": summary.sample_count}

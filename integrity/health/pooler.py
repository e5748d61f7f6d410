"""A pooler between us and the server: which one there is, or whether one is advisable."""

from collections.abc import Mapping
from typing import Any

from integrity.engines.target import Target
from integrity.health.check import HealthCheck, ok, warning
from integrity.health.server import Server
from integrity.numbers import counted

NAME = "pooler"
SHARE_TAKEN = 0.5
"""Of the connections that the server has: from there on a peak may find none, and a pooler needs few for many clients."""
SHARE_IDLE = 0.5
"""Of those that are taken: a pooler gives these to others. Where most work, it would only make them wait."""


def check_pooler(target: Target, server: Server, facts: Mapping[str, Any]) -> HealthCheck:
    """Return what is known of the pooler that is there, or whether the server's connections ask for one."""
    if server.is_pooled:
        return _describe(target, server)
    taken, slots, idle = facts["slots_used"], facts["slots"], facts["slots_idle"]
    said = f"none is seen; {taken} of {counted(slots, 'connection')} taken, {idle} of them idle"
    if taken < slots * SHARE_TAKEN:
        return ok(NAME, f"{said}: none is needed")
    if idle >= taken * SHARE_IDLE:
        hint = "Put one before the server, e.g. PgBouncer in transaction mode: idle connections go to others."
        return warning(NAME, f"{said}: one is advisable", hint)
    if not facts["can_see_all"]:
        return warning(NAME, f"{said} as far as this role may see", "grant pg_read_all_stats")
    return ok(NAME, f"{said}: they work, and a pooler would make some of them wait")


def _describe(target: Target, server: Server) -> HealthCheck:
    """Its own console says more, where it is PgBouncer's and lets us in."""
    version = server.ask_pooler(target, "show version")
    pools = server.ask_pooler(target, "show pools")
    works = "run, monitor and validate work through it; races, seeds of tables of yours and copies need the server itself"
    if version is None or pools is None:
        return ok(NAME, f"one is between us and the server, which and in what mode is not known; {works}")
    own = [pool for pool in pools if pool["database"] == target.url.database]
    waiting = sum(pool["cl_waiting"] for pool in own)
    modes = "/".join(sorted({pool["pool_mode"] for pool in own})) or "unknown"
    sessions = sum(pool["sv_active"] + pool["sv_idle"] + pool["sv_used"] for pool in own)
    name = next(iter(version[0].values()))
    said = f"{name} in {modes} mode, {counted(sessions, 'session')} of the server behind it; {works}"
    if waiting:
        waits = counted(waiting, "client waits", "clients wait")
        return warning(NAME, f"{said}; {waits} for a session", "Raise its default_pool_size.")
    return ok(NAME, said)

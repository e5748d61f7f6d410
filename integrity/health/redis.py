"""Checks of a Redis before a run: it answers, what it uses of what it may, and by what it evicts."""

from collections.abc import Iterator

from integrity.health.check import HealthCheck, failed, ok, warning
from integrity.monitor.limits import LIMITS, show
from integrity.monitor.redis import name_of, read_info
from integrity.monitor.redis_findings import POLICY
from integrity.numbers import counted


def check_redis_server(url: str) -> Iterator[HealthCheck]:
    """Yield the checks."""
    place = f"redis {name_of(url)}"
    try:
        info = read_info(url)
    except OSError as error:
        yield failed(place, f"it does not answer: {error}", "Check that it runs, and --redis.")
        return
    clients, most_clients = int(info["connected_clients"]), int(info.get("maxclients", 0))
    yield ok(place, f"{info['redis_version']}, {counted(clients, 'client')} of {most_clients:,}")
    used, most = int(info["used_memory"]), int(info.get("maxmemory", 0))
    yield _memory(used, most)
    policy = str(info.get("maxmemory_policy", ""))
    if policy == POLICY:
        yield ok("redis policy", policy)
    else:
        hint = f"redis-cli config set maxmemory-policy {POLICY}"
        yield warning("redis policy", f"{policy}: the plan of votes asks for {POLICY}", hint)


def _memory(used: int, most: int) -> HealthCheck:
    limit = LIMITS["redis-memory-share"]
    if not most:
        found = f"{show(used, 'bytes')} used, and no maxmemory: it is never full, and evicts nothing"
        return warning("redis memory", found, "redis-cli config set maxmemory 512mb")
    found = f"{show(used, 'bytes')} of {show(most, 'bytes')} ({show(used / most, 'share')})"
    if limit.level(used / most) is None:
        return ok("redis memory", found)
    return warning("redis memory", f"{found}, over {show(limit.warn, 'share')}", "Raise maxmemory, or let keys end sooner.")

"""Redis: a cache or a fan-out beside the database, asked what it uses (INFO); nothing in it is read or changed.

The client is an extra, integrity[redis].
"""

import time
from typing import Any
from urllib.parse import urlsplit

from integrity.errors import UsageError, quote_url
from integrity.monitor.sample import RedisSample

TIMEOUT_S = 2.0
SCHEMES = ("redis", "rediss")
EXTRA = "Install it: pip install 'integrity[redis]'."


def check_redis(url: str, *, place: str) -> str:
    """Return the URL.

    Raises:
        UsageError: it is none of Redis, or there is no client.
    """
    try:
        split = urlsplit(url)
        is_one = split.scheme in SCHEMES and bool(split.hostname) and split.port != 0
    except ValueError:
        is_one = False
    if not is_one:
        raise UsageError(f"{place}: {quote_url(url)} is no URL of Redis", hint="Write it as redis://127.0.0.1:6379/0.")
    try:
        import redis  # noqa: F401
    except ImportError:
        raise UsageError(f"{place}: the client of Redis is not installed", hint=EXTRA) from None
    return url


def name_of(url: str) -> str:
    """Return where it is, without its password."""
    split = urlsplit(url)
    return f"{split.hostname}:{split.port or 6379}"


def read_info(url: str) -> dict[str, Any]:
    """Return what a Redis says of itself, on a connection of its own.

    Raises:
        OSError: it does not, with the reason.
    """
    import redis

    timeouts = {"socket_timeout": TIMEOUT_S, "socket_connect_timeout": TIMEOUT_S}
    try:
        with redis.Redis.from_url(url, **timeouts, client_name="integrity-monitor") as client:
            return dict(client.info())
    except redis.RedisError as error:
        raise OSError(str(error) or type(error).__name__) from None


class RedisWatch:
    """Takes samples of a Redis."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._cpu: tuple[float, float] | None = None

    def sample(self) -> RedisSample:
        """Return what it uses; why not, where it does not say."""
        began_s = time.monotonic()
        try:
            info = read_info(self._url)
        except OSError as error:
            self._cpu = None
            return {"name": name_of(self._url), "error": str(error)}
        cpu_s = float(info["used_cpu_sys"]) + float(info["used_cpu_user"])
        sample: RedisSample = {
            "name": name_of(self._url),
            "took_ms": round((time.monotonic() - began_s) * 1000, 2),
            "used_bytes": int(info["used_memory"]),
            "most_bytes": int(info.get("maxmemory", 0)),
            "policy": str(info.get("maxmemory_policy", "")),
            "connections": int(info["connected_clients"]),
            "connections_most": int(info.get("maxclients", 0)),
            "hits": int(info["keyspace_hits"]),
            "misses": int(info["keyspace_misses"]),
            "evicted": int(info["evicted_keys"]),
        }
        if self._cpu is not None and cpu_s >= self._cpu[1]:
            sample["cpu_share"] = round((cpu_s - self._cpu[1]) / max(0.001, began_s - self._cpu[0]), 4)
        self._cpu = began_s, cpu_s
        return sample

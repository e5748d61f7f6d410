"""Statistics: what a threshold can be about, and on how many samples each of them says anything.

A percentile needs so many samples that five stand beyond it: a p99 500, a p95 100. A mean and a median need ten. A share of
1% needs a hundred: of fewer, one more or less decides. A limit of 0 needs one sample, and so does the greatest of all:
the first that is over it decides, and what passes says of how many.
"""

import math
from dataclasses import dataclass
from enum import Enum, auto


class Kind(Enum):
    """What a statistic is about."""

    LATENCY = auto()
    SHARE = auto()
    RATE = auto()
    COUNT = auto()
    RESOURCE = auto()
    RECOVERY = auto()


@dataclass(frozen=True, slots=True)
class Statistic:
    """One statistic.

    Args:
        what: it is, in words.
        samples_least: on which it says something; 0: that depends on the limit.
        of_rows: whether rows that a query finds have it: "only", "too" or "".
    """

    kind: Kind
    what: str
    samples_least: int = 0
    of_rows: str = ""


RATE_SAMPLES_LEAST = 100
"""Of a rate: that many calls vary by a tenth by chance alone."""

STATISTICS = {
    "mean": Statistic(Kind.LATENCY, "mean latency of calls that were answered, from the intended start", 10, "too"),
    "p50": Statistic(Kind.LATENCY, "latency that half of the answered calls keep", 10, "too"),
    "p95": Statistic(Kind.LATENCY, "latency that 95% of the answered calls keep", 100, "too"),
    "p99": Statistic(Kind.LATENCY, "latency that 99% of the answered calls keep", 500, "too"),
    "max": Statistic(Kind.LATENCY, "latency of the slowest call that was answered", 1, "too"),
    "own_p50": Statistic(Kind.LATENCY, "latency without the waits for outside services, of half that asked", 10),
    "own_p95": Statistic(Kind.LATENCY, "latency without the waits for outside services, of 95% that asked", 100),
    "write_p50": Statistic(Kind.LATENCY, "time of a commit that wrote, until it was answered, of half of them", 10),
    "write_p95": Statistic(Kind.LATENCY, "time of a commit that wrote, until it was answered, of 95%", 100),
    "settled_mean": Statistic(Kind.LATENCY, "mean time until the first webhook that followed was acknowledged", 10),
    "settled_p95": Statistic(Kind.LATENCY, "time until the first webhook that followed, of 95% that had one", 100),
    "lag_p50": Statistic(Kind.LATENCY, "time from when the system says it was sent to its receipt, of half of it", 10),
    "lag_p95": Statistic(Kind.LATENCY, "time from when the system says it was sent to its receipt, of 95%", 100),
    "lag_p99": Statistic(Kind.LATENCY, "time from when the system says it was sent to its receipt, of 99%", 500),
    "lag_max": Statistic(Kind.LATENCY, "the longest time from when the system says it was sent to its receipt", 1),
    "client_lag_p99": Statistic(
        Kind.LATENCY, "lag that 99% of what a client received keep, of the client with the longest", 1
    ),
    "missed_share": Statistic(Kind.SHARE, "events that a stream passed over, of all that came or were passed over"),
    "broken_share": Statistic(Kind.SHARE, "open streams that ended by themselves, of all that were opened"),
    "failure_share": Statistic(Kind.SHARE, "unavailable, failed and unknown calls, of those sent by clients that lived on"),
    "declined_share": Statistic(Kind.SHARE, "calls that were declined, of all that were sent"),
    "checks_share": Statistic(Kind.SHARE, "checks of answers that held, of all that were made"),
    "achieved_share": Statistic(Kind.SHARE, "calls that were answered, of all that were to be made"),
    "reached_share": Statistic(Kind.SHARE, "rows that reached the state that their query asks for", 0, "only"),
    "answered_per_s": Statistic(Kind.RATE, "calls answered a second", RATE_SAMPLES_LEAST),
    "answered": Statistic(Kind.COUNT, "calls that were answered", 1),
    "received": Statistic(Kind.COUNT, "events that streams brought", 1),
    "connections_share": Statistic(Kind.RESOURCE, "connections at their peak, of those that the server allows", 1),
    "pool_share": Statistic(Kind.RESOURCE, "busy connections at their peak, of the profile's", 1),
    "database_cpu_share": Statistic(Kind.RESOURCE, "CPU of the database on average, of all cores", 1),
    "generator_cpu_share": Statistic(Kind.RESOURCE, "CPU of the load generator on average, of all cores", 1),
    "recovery_s": Statistic(Kind.RECOVERY, "time from the end of a spike or fault until all was as before, the longest", 1),
    "counter_off": Statistic(Kind.RESOURCE, "how far a server's counter and the rows that it counts are apart", 1),
    "rss_mb": Statistic(Kind.RESOURCE, "memory of the load generator at its peak", 1),
}


def samples_least(statistic: str, limit: float) -> int:
    """Return on how many samples a statistic may pass a limit.

    Args:
        limit: of a share: the largest that passes, or what is left over the least that does.
    """
    fixed = STATISTICS[statistic].samples_least
    if fixed:
        return fixed
    return max(1, math.ceil(1 / limit - 1e-9)) if limit > 0 else 1

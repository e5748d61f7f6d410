"""A sample of the monitor, as its file has it: a mapping, written once a second and held against this when it is read back.

What the database answers to a question stands under the question's name, in columns that the question's query names.
"""

import sys
from collections.abc import Mapping, Sequence
from typing import Any, NotRequired

if sys.version_info >= (3, 12):
    from typing import TypedDict
else:  # of the one before, pydantic cannot tell which keys may be left out
    from typing_extensions import TypedDict

Row = Mapping[str, Any]


class DatabaseSample(TypedDict, total=False):
    """What the database did; each question that was asked, and answered.

    Args:
        error: why it could not be asked; nothing else but took_ms is there then.
        missed: question -> why it was not answered.
    """

    error: str
    took_ms: float
    missed: dict[str, str]
    activity: Row
    database: Row
    size: Row
    checkpoints: Row
    io: Sequence[Row]
    blocking: Sequence[Row]
    tables: Sequence[Row]
    statements: Sequence[Row]


class ProcessSample(TypedDict):
    """What a process used; of one that has ended nothing but that.

    Args:
        restarts: how often it ended so far and was started anew; left out: never.
        was_pid: of the one that had ended, where it was started anew since the last sample.
        was_gone: it had ended before this watch, which was told by an earlier one.
        cpu_share: of all cores, since the last sample.
        own_bytes: of its memory, what is not shared: a cache that fills is, a leak is not.
        descriptors_share: of its limit; looked at now and then.
        oom_kills: that its group of processes (cgroup) has had, for want of memory; looked at now and then.
    """

    name: str
    pid: int
    is_alive: bool
    restarts: NotRequired[int]
    was_pid: NotRequired[int]
    was_gone: NotRequired[bool]
    processes: NotRequired[int]
    cpu_s: NotRequired[float]
    rss_bytes: NotRequired[int]
    own_bytes: NotRequired[int]
    cpu_share: NotRequired[float]
    descriptors: NotRequired[int]
    descriptors_share: NotRequired[float]
    oom_kills: NotRequired[int]


class LogSample(TypedDict):
    """What was added to a log since the last sample.

    Args:
        counts: lines, by the name of the pattern that they show.
        examples: lines of a pattern that are unlike those before; few of the whole watch.
        error: why it, or the rest of it, could not be read.
    """

    file: str
    bytes: int
    counts: dict[str, int]
    examples: dict[str, list[str]]
    error: NotRequired[str]


class RedisSample(TypedDict):
    """What a Redis used; of one that did not answer nothing but why.

    Args:
        name: where it is.
        cpu_share: of one core, which is all that it computes on, since the last sample.
        most_bytes: that it may use; 0: no limit.
        policy: by which it evicts.
    """

    name: str
    error: NotRequired[str]
    took_ms: NotRequired[float]
    cpu_share: NotRequired[float]
    used_bytes: NotRequired[int]
    most_bytes: NotRequired[int]
    policy: NotRequired[str]
    connections: NotRequired[int]
    connections_most: NotRequired[int]
    hits: NotRequired[int]
    misses: NotRequired[int]
    evicted: NotRequired[int]


class Sample(TypedDict):
    """What was seen at one moment.

    Args:
        elapsed_s: since the monitor began.
        loop_lag_ms: the worst of the run's event loop since the last sample.
        own_cpu_ms: what taking it cost.
        metrics: that the application told of itself, by the names of their series; metrics_error: why it told none.
    """

    at_us: int
    elapsed_s: float
    metrics: NotRequired[dict[str, float]]
    metrics_error: NotRequired[str]
    database: NotRequired[DatabaseSample]
    processes: NotRequired[Sequence[ProcessSample]]
    logs: NotRequired[Sequence[LogSample]]
    redis: NotRequired[RedisSample]
    loop_lag_ms: NotRequired[float | None]
    own_cpu_ms: NotRequired[float]

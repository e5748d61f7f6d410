"""Who makes calls, by which clock, and from what its calls are drawn."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any
from uuid import UUID


class Clock:
    """Microseconds since the epoch that never go back: the wall clock's reading at the start, and monotonic from there.

    Args:
        offset_ns: of another one on this machine, which it is to agree with; None: none.
    """

    def __init__(self, offset_ns: int | None = None) -> None:
        self.offset_ns = time.time_ns() - time.perf_counter_ns() if offset_ns is None else offset_ns

    def now_us(self) -> int:
        return (time.perf_counter_ns() + self.offset_ns) // 1000


class Sources:
    """A client's random sources, each for one purpose: what is drawn then does not depend on how the calls went.

    Args:
        seed: of the run.
        name: of the client.
    """

    def __init__(self, seed: int, name: str) -> None:
        self.name = name
        self.draws = Random(f"{seed}/{name}/draws")
        self.ids = Random(f"{seed}/{name}/ids")
        self.services = Random(f"{seed}/{name}/services")
        self.pauses = Random(f"{seed}/{name}/pauses")


@dataclass(slots=True)
class Client:
    """Who makes a call.

    Args:
        number: in the history. A client whose call has no known end goes on under a new number, as nobody could say when
            its last call took effect.
        operation_id: of its last call.
        troubled: requests of its calls to services that gave no answer, or refused.
    """

    number: int
    sources: Sources
    own: Mapping[str, Any] = field(default_factory=dict)
    operation_id: UUID | None = None
    troubled: int = 0

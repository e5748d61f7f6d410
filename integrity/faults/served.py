"""What a proxy in front of anybody's application tells: that it listens, and at the end what has passed."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from integrity.events import Event
from integrity.faults.pick import Pick


@dataclass(frozen=True, slots=True)
class ProxyOpened(Event):
    """It listens.

    Args:
        url: by which the application reaches its database through it; without its password.
        has_password: there is one, which the application knows.
        server: where that leads.
    """

    url: str
    has_password: bool
    server: str
    picks: Sequence[Pick]
    file: Path | None


@dataclass(frozen=True, slots=True)
class Served:
    """What has passed.

    Args:
        counts: what was done, e.g. "commits hidden from their client".
        record_count: lines that were written.
    """

    connection_count: int
    statement_count: int
    counts: dict[str, int]
    picks: Sequence[Pick]
    record_count: int = field(default=0)

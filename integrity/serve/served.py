"""What is told of a server: that it answers, and at the end what it has answered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from integrity.events import Event


@dataclass(frozen=True, slots=True)
class ServerOpened(Event):
    """Requests are answered from now on.

    Args:
        database: without its password.
        is_reachable: from other machines.
    """

    system: str
    url: str
    database: str
    bug: str | None = None
    is_reachable: bool = False


@dataclass(frozen=True, slots=True)
class ServedSystem:
    """What was served.

    Args:
        request_count: over HTTP.
        left_owed: webhooks and jobs that nobody will make any more.
    """

    system: str
    request_count: int
    left_owed: int


@dataclass(frozen=True, slots=True)
class DependenciesOpened(Event):
    """Outside parties answer from now on.

    Args:
        systems: with the parties of each.
        is_reachable: from other machines.
    """

    systems: Mapping[str, Sequence[str]]
    url: str
    is_reachable: bool = False


@dataclass(frozen=True, slots=True)
class ServedDependencies:
    """What outside parties did.

    Args:
        request_count: that they were asked.
        delivery_count: webhooks that they sent, lost_count: that were lost on the way; left_owed: not sent any more.
    """

    request_count: int
    delivery_count: int
    lost_count: int
    left_owed: int

"""What is told of a server: that it answers, and at the end what it has answered."""

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

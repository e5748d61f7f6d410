"""What a run has to know of a server."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What the settings of a run say about its server, and what it has to give.

    Args:
        version: with the engine's name, as the server prints it.
        synchronous_commit: whether an acknowledged commit survives its crash; None where there is no such setting.
        slots: for connections; None: as many as one likes.
        used: of the slots.
    """

    version: str
    synchronous_commit: str | None = None
    slots: int | None = None
    used: int = 0

"""A limit that a system's own plan sets for what serves it: its database, its processes."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PlannedLimit:
    """What a monitored run of the system is held to, in place of the monitor's own limit of that name.

    Args:
        warn, critical: in the unit of the monitor's figure; critical None: never that bad by itself.
        source: who asks for it.
    """

    warn: float
    critical: float | None
    source: str

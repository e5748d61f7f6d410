"""What is known of a kept copy of a database, whichever the engine."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Kept:
    """A copy of a database.

    Args:
        name: that it was given.
        place: the database or the folder that it is.
        taken_at: in UTC.
    """

    name: str
    place: str
    taken_at: datetime
    size_bytes: int

"""What is known of a kept copy of a database, and of what is not in it, whichever the engine."""

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


@dataclass(frozen=True, slots=True)
class Newer:
    """Something that a database got since a copy of it was made.

    Args:
        kind: as the server calls it: "extension", "event trigger", "table".
        name: in full, and as SQL spells it.
        within: the schema that it stands in, as SQL spells it; empty: none.
        schema: of a table, view or sequence, and of a schema itself: the schema's plain name; else empty.
        relation: of a table, view or sequence: its plain name; else empty.
    """

    kind: str
    name: str
    within: str = ""
    schema: str = ""
    relation: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"

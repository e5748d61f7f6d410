"""Copies of a whole database, kept under names, as each engine keeps them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar


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


T_contra = TypeVar("T_contra", contravariant=True)


class Copies(Protocol[T_contra]):
    """An engine's way to keep copies. Each act is whole or has not happened, however it ends."""

    def find_all(self, target: T_contra) -> list[Kept]:
        """Return the copies of this database, oldest first."""
        ...

    def find_forgotten(self, target: T_contra) -> list[str]:
        """Return what killed commands left beside the database; the next one that makes a copy or a scratch removes it."""
        ...

    def exists(self, target: T_contra) -> bool:
        """Return whether there may be a database that a restore replaces."""
        ...

    def take(self, target: T_contra, name: str, *, may_end_sessions: bool) -> tuple[Kept, tuple[str, ...]]:
        """Keep the database under a name; return the copy and the sessions that were ended for it.

        Args:
            may_end_sessions: those that stand in the way are ended; else they are an error.

        Raises:
            DatabaseError: somebody works in it, or the server refuses.
        """
        ...

    def restore(self, target: T_contra, copy: Kept, *, may_end_sessions: bool) -> tuple[str, ...]:
        """Put a copy in the database's place; return the sessions that were ended for it.

        Raises:
            DatabaseError: somebody works in it, or the server refuses.
        """
        ...

    def find_newer(self, target: T_contra, copy: Kept) -> Sequence[Newer]:
        """Return what the database got since the copy was made."""
        ...

    def drop(self, target: T_contra, copy: Kept) -> None:
        """Drop a copy."""
        ...

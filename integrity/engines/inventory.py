"""What a database holds, as its catalogue says it: things by kind, place and identity, and what our notes there say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

TABLE = "table"
BOOKS = "integrity"
"""The schema in which our notes stand."""

Identity = int | str
"""Of a thing, as long as nobody makes it anew: its oid, or a checksum of the statement that made it."""


@dataclass(frozen=True, slots=True)
class Object:
    """Something in a database.

    Args:
        kind: "table", "view", "function", ...
        schema: as the engine calls it; empty for what stands in none.
    """

    kind: str
    schema: str
    name: str
    identity: Identity

    def __str__(self) -> str:
        place = f"{self.schema}.{self.name}" if self.schema else self.name
        return place if self.kind == TABLE else f"{self.kind} {place}"


@dataclass(frozen=True, slots=True)
class Inventory:
    """What a database holds.

    Args:
        name: the database's own name.
        objects: tables first.
        notes: the rows of a table of our notes' name, whoever made it; empty where it has other columns.
        made_with_note: of notes that name tables and do not identify them, what was made by the very transaction that
            noted it, as rows of schema, table, identity, whether the schema was made too, and its identity; None: not told.
    """

    name: str
    objects: Sequence[Object] = ()
    notes: Mapping[str, str] = field(default_factory=dict)
    made_with_note: Sequence[tuple[Any, ...]] | None = None


def has_notes(objects: Sequence[Object]) -> bool:
    """Whether there is a table of our notes' name."""
    return any((each.kind, each.schema, each.name) == (TABLE, BOOKS, "notes") for each in objects)

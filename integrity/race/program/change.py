"""Changes: rows that a schedule left otherwise than it found them."""

from dataclasses import dataclass
from enum import Enum

from integrity.operation import Row

Fields = tuple[str | None, ...]
"""Of some columns of a row, each as the server spells it; None is null."""


class ChangeKind(Enum):
    """What became of a row, from the mark to now."""

    MADE = "made"
    CHANGED = "changed"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Change:
    """A row that is not as it was.

    Args:
        table: its name; with its schema where another has its name.
        identity: its primary key; without one, all of its columns.
        before, after: column -> value; None: there was, or is, no such row.
    """

    table: str
    kind: ChangeKind
    identity: Fields
    before: Row | None
    after: Row | None

"""A row in the making, and what is told where it cannot be made: by its place, in the language it was asked for in."""

from collections.abc import Collection
from dataclasses import dataclass, field

from sqlalchemy import Table

from integrity.database.names import name_of
from integrity.errors import UsageError, quote
from integrity.sql.place import WrittenAt
from integrity.systems.stage import Expression, Ref

Cell = Ref | Expression


@dataclass(slots=True)
class MadeRow:
    """A row that is made.

    Args:
        cells: all that it has so far.
        written_at: where it was asked for, or what needs it; in no file: in Python.
        asked: those that somebody gave.
        spelled: the names of their columns, as somebody wrote them.
        anew: columns that get a value though they could be without: of a copy, which is to have another one.
    """

    name: str
    table: Table
    cells: dict[str, Cell]
    written_at: WrittenAt = field(default_factory=WrittenAt)
    is_made: bool = False
    is_in_the_making: bool = False
    asked: dict[str, Cell] = field(default_factory=dict)
    spelled: dict[str, str] = field(default_factory=dict)
    anew: Collection[str] = ()

    def fault(self, reason: str, *words: str, hint: str | None = None) -> UsageError:
        """Return the error that it cannot be made, with its line and a caret.

        Args:
            words: as WrittenAt.describe takes them.
        """
        is_needed = self.name.startswith(f"{self.table.name} ")  # by one that is wanted
        what = f"a row of {name_of(self.table)}" if is_needed else f"row {quote(self.name)}"
        return UsageError(self.written_at.describe(f"{what}: {reason}", *words), hint=hint)

    def give_one(self, column: str = "column") -> str:
        """Return how somebody gives a row of its table a value, in the language that this one was asked for in."""
        table = name_of(self.table)
        if self.written_at.path.endswith(".sql"):
            return f"Give it one: -- row name: {table}({column} = value)."
        return f'Give it one: WantedRow("name", "{table}", {{"{column}": "value"}}) in its `rows`; or give it a `stage`.'

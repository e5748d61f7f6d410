"""What was written: files to go on with, and a project of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from integrity.verdict import InvariantVerdict


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A file of a project.

    Args:
        name: its path in the project.
        says: what it is for.
        is_new: False: it was there, and is as it was.
        verdict: of an invariant: what the database says to it; None: it was not asked.
        race: of an operation: what `integrity race` takes to race it.
    """

    name: str
    says: str
    is_new: bool = True
    verdict: InvariantVerdict | None = None
    race: str = ""

    @property
    def stem(self) -> str:
        """The name by which commands know it: its path below its folder, without its suffix."""
        return self.name.partition("/")[2].rpartition(".")[0]


@dataclass(frozen=True, slots=True)
class NewProject:
    """A project.

    Args:
        table_count: tables of its database; None: there is no database yet.
        load: what brings tables into that, to be typed.
        variable: of the environment, in which the password must stand; empty: none.
        race: what `integrity race` takes to race something of it; empty: there is nothing to race.
        own: operations, and systems in Python, that the project had already: none was drafted beside them.
        table: that one can be written about; empty: none.
        refused: the column that an operation would take from, did the database take its rows; empty: no name tells one.
    """

    folder: Path
    files: Sequence[WrittenFile]
    table_count: int | None = None
    variable: str = ""
    race: str = ""
    table: str = ""
    own: Sequence[str] = ()
    load: str = ""
    refused: str = ""

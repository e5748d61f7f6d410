"""How each column of a table is made: planner.py decides it before anything is written.

numbered   told apart by the row's number: keys and codes
ranked     counted within rows that are alike in other columns: the lines of an order
spaced     the two ends of spans that must not overlap
taken      a foreign key's: the parent's values
pooled     drawn from rows that the server has accepted
drawn      numbers and times that nothing is asked of
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from integrity.seeds.schema.computed import spelled_out
from integrity.seeds.schema.dice import Dice
from integrity.seeds.schema.numbering import Numbering, seed_of
from integrity.seeds.schema.pools import Pool
from integrity.seeds.schema.tables import Check, Column, Reference, SchemaTable, Unique
from integrity.seeds.schema.wishes import Wishes

if TYPE_CHECKING:
    import psycopg


@dataclass(frozen=True, slots=True)
class Spans:
    """What keeps spans apart: within rows alike in some columns, each begins where the last has ended.

    Args:
        alike: the columns that are compared for equality.
        start, end: the columns of the two ends; the same one: it is a range.
    """

    name: str
    alike: tuple[str, ...]
    start: str
    end: str


@dataclass(slots=True)
class Plan:
    """How a table's columns are made.

    Args:
        count: the rows that are wanted.
        is_named: somebody asked for that many: fewer are an error.
        conditions: checks over columns that are not drawn from one pool, to be seen to when rows are put together.
        uniques: those that rows have to be picked for.
        ranked: column -> those within which it counts, and its way of numbering.
    """

    table: SchemaTable
    count: int
    is_named: bool
    numbered: dict[str, Numbering] = field(default_factory=dict)
    ranked: dict[str, tuple[tuple[str, ...], Numbering]] = field(default_factory=dict)
    spaced: list[Spans] = field(default_factory=list)
    taken: list[Reference] = field(default_factory=list)
    pools: list[Pool] = field(default_factory=list)
    drawn: list[Column] = field(default_factory=list)
    conditions: list[Check] = field(default_factory=list)
    uniques: list[Unique] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    @property
    def parents_columns(self) -> set[str]:
        return {name for reference in self.taken for name in reference.gives(self.table.full_name)}

    @property
    def left_null(self) -> set[str]:
        """The columns of foreign keys that refer to nothing here."""
        references = (*self.table.references, *self.table.outside)
        names = {name for reference in references if reference not in self.taken for name in reference.columns}
        return {name for name in names - self.parents_columns if not self.table.columns[name].is_required}


def checks_of(table: SchemaTable) -> list[Check]:
    """Return all checks of a table, those of its columns' domains among them."""
    domains = [
        Check(f"{column.name}: its domain", text, (column.name,)) for column in table.written for text in column.checks
    ]
    return [*(spelled_out(table, check) for check in table.checks), *domains]


@dataclass(frozen=True, slots=True)
class Ground:
    """What all tables are planned on.

    Args:
        sizes: table -> rows, of all that are filled; those that hold rows already are not among them.
    """

    connection: "psycopg.Connection[Any]"
    tables: Mapping[str, SchemaTable]
    sizes: Mapping[str, int]
    wishes: Wishes
    seed: int

    def dice(self, table: SchemaTable, about: str) -> Dice:
        """Return dice of the seed's, the table's and what they are for."""
        return Dice(self.seed, seed_of(table.full_name), seed_of(about))

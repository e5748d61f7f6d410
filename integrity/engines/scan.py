"""Scans: what is asked of a table's rows for several invariants at once, as trees; an engine says each answer in its words.

Trees are sqlglot's, and speak of the columns of a source's tables. What a file says itself stays as the file has it: Words.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from integrity.sql.name import in_quotes

if TYPE_CHECKING:
    from sqlglot import exp

ROW = "audited"
"""What a scan calls its table's row, so that the checks of files with different aliases fit into one statement."""


@dataclass(frozen=True, slots=True)
class Words:
    """An expression word by word as a file has it, in PostgreSQL's dialect, with `:name` for its parameters."""

    text: str


@dataclass(frozen=True, slots=True)
class Lookup:
    """A table that is left-joined and adds at most one row to each of the source's."""

    alias: str
    table: "exp.Table"
    on: "exp.Expr"


@dataclass(frozen=True, slots=True)
class Source:
    """A table, whose rows are called ROW, and what is looked up for them."""

    table: "exp.Table"
    lookups: tuple[Lookup, ...] = ()

    def __str__(self) -> str:
        """Its from clause, as files have it."""
        joins = "".join(
            f" left join {in_words(lookup.table)} as {in_quotes(lookup.alias)} on {in_words(lookup.on)}"
            for lookup in self.lookups
        )
        return f"{in_words(self.table)} as {ROW}{joins}"


@dataclass(frozen=True, slots=True)
class RowCount:
    """How many rows make the condition true."""

    condition: "Words | exp.Expr"


@dataclass(frozen=True, slots=True)
class NullCount:
    """How many of the rows that meet the condition have a null in one of the expressions."""

    expressions: "tuple[exp.Expr, ...]"
    condition: "exp.Expr | None"


@dataclass(frozen=True, slots=True)
class HashKey:
    """One column of a key, and its type as the catalogue names it, one of the engine's `hashed_types`."""

    column: "exp.Expr"
    type: str


@dataclass(frozen=True, slots=True)
class WeightedSum:
    """The sum of a value times a weight of its row's key, over the rows that meet the condition.

    Args:
        keys: a row with a null in one has no key and counts for nothing.
        seed: draws the weights, of WEIGHT_BITS each.
    """

    value: "exp.Expr"
    keys: tuple[HashKey, ...]
    condition: "exp.Expr | None"
    seed: int


Answer = RowCount | NullCount | WeightedSum
"""One column of a scan: an aggregate over all of its rows."""

WEIGHT_BITS = 31  # a value of up to 2^32 times a weight fits a bigint; more overflows, loudly, and the query decides


def scan_of(source: Source, columns: Sequence[str]) -> str:
    """Return the query that answers all columns with one reading, and says how many rows it read."""
    answers = "".join(f",\n    {column} as answer_{number}" for number, column in enumerate(columns))
    return f"select\n    count(*) as rows_read{answers}\nfrom {source}"


def count_of(rows: RowCount) -> str:
    """Return the column, in words that every engine takes."""
    return f"count(*) filter (where {in_words(rows.condition)}\n)"


def in_words(expression: "Words | exp.Expr") -> str:
    """Return the expression's text, as files have it."""
    return expression.text if isinstance(expression, Words) else expression.sql(dialect="postgres")

"""Tables as rows for them have to be: columns, and everything that the server will hold their rows to.

Expressions (checks, predicates, defaults) are the server's own text. `catalogue.py` reads them; nothing here knows a
connection.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from integrity.sql.name import quoted


@dataclass(frozen=True, slots=True)
class Type:
    """What a column's values are: a domain counts as what it is made of.

    Args:
        name: as SQL casts to it, e.g. "character varying(20)".
        base: the plain name in the catalogue, e.g. "varchar"; of an array that of its elements.
        category: PostgreSQL's letter: N number, S text, D time, E enum, A array, ...
        send: the function that sends a value in the form of binary COPY.
        modifier: the catalogue's number for a length or precision; -1: none.
        labels: of an enum.
        is_array: its values are arrays of `base`.
        is_builtin: PostgreSQL's own.
    """

    name: str
    base: str
    category: str
    send: str
    modifier: int = -1
    labels: tuple[str, ...] = ()
    is_array: bool = False
    is_builtin: bool = True

    @property
    def length_most(self) -> int | None:
        """Characters in a value at most, of text that has a limit."""
        if self.base in ("varchar", "bpchar") and self.modifier > 4:
            return self.modifier - 4
        return {"char": 1, "name": 63}.get(self.base)

    @property
    def precision(self) -> tuple[int, int]:
        """Digits of a numeric in all, and those behind the point."""
        if self.modifier < 4:
            return 12, 2
        return (self.modifier - 4) >> 16, (((self.modifier - 4) & 0x7FF) ^ 1024) - 1024


@dataclass(frozen=True, slots=True)
class Column:
    """A column.

    Args:
        default: the server's text, of a generated one that of its expression; empty: none.
        is_generated: the server computes it: it is never written.
        sequence: the sequence that numbers it, as "schema.name"; empty: none.
        checks: of its domains, said of the column.
    """

    name: str
    type: Type
    is_required: bool = False
    default: str = ""
    is_generated: bool = False
    sequence: str = ""
    checks: tuple[str, ...] = ()

    def required(self) -> "Column":
        """Return the column as one that is never null."""
        return replace(self, is_required=True)


@dataclass(frozen=True, slots=True)
class Check:
    """What each row must not say no to.

    Args:
        name: the constraint's; of a partitioned table "partitions".
        columns: those that it is about.
    """

    name: str
    text: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unique:
    """What no two rows may have in common.

    Args:
        columns: those that it is about, also those within expressions.
        predicate: of which rows it holds; empty: of all.
        has_expressions: it is about what is made of the columns, and not only about them.
        takes_nulls: two rows with a null in it do not count as alike.
    """

    name: str
    columns: tuple[str, ...]
    predicate: str = ""
    has_expressions: bool = False
    takes_nulls: bool = True
    is_primary: bool = False


@dataclass(frozen=True, slots=True)
class Reference:
    """A foreign key.

    Args:
        parent: whose rows are referred to: the table's whole name.
        columns, parent_columns: in the same order.
        definition: as `alter table ... add constraint` takes it.
        is_whole: match full: all of its columns are null, or none.
    """

    name: str
    columns: tuple[str, ...]
    parent: str
    parent_columns: tuple[str, ...]
    definition: str = ""
    is_whole: bool = False

    def gives(self, table: str) -> tuple[str, ...]:
        """Return the columns that have the parent's values; one of its own table that refers to itself has its own."""
        pairs = zip(self.columns, self.parent_columns, strict=True)
        return tuple(name for name, other in pairs if self.parent != table or name != other)


@dataclass(frozen=True, slots=True)
class Exclusion:
    """An exclusion constraint: pairs of (what is compared, the operator, the columns in it)."""

    name: str
    parts: tuple[tuple[str, str, tuple[str, ...]], ...]
    predicate: str = ""


@dataclass(frozen=True)
class SchemaTable:
    """A table that may be filled.

    Args:
        oid: its identity.
        is_owned: the role may alter it.
        is_filled: it holds rows already.
        is_closed: it is made of partitions and has none, so that it takes no row.
        outside: its foreign keys to tables of other schemas than were asked for.
    """

    schema: str
    name: str
    oid: int
    columns: Mapping[str, Column]
    checks: Sequence[Check] = ()
    uniques: Sequence[Unique] = ()
    references: Sequence[Reference] = ()
    exclusions: Sequence[Exclusion] = ()
    is_owned: bool = True
    is_filled: bool = False
    is_closed: bool = False
    outside: Sequence[Reference] = ()

    @property
    def full_name(self) -> str:
        """With its schema, as people read it."""
        return f"{self.schema}.{self.name}"

    @cached_property
    def located(self) -> str:
        """With its schema, as SQL has it."""
        return f"{quoted(self.schema)}.{quoted(self.name)}"

    @cached_property
    def written(self) -> tuple[Column, ...]:
        """The columns that rows are given."""
        return tuple(column for column in self.columns.values() if not column.is_generated)

"""Facts about tables, read from the catalogue within the snapshot: what a plan may rely on.

A unique index counts only where it proves something: valid, checked at every commit, over plain columns with the columns'
own collation and the types' own equality, and on a table whose rows it covers all. NOT NULL counts where the server checks
it at every write: not on a foreign table, nor on one that others inherit from, which may have dropped it. Whether a
constraint was *validated* is no such fact for foreign keys: a restore or a replica writes past their triggers
(session_replication_role, disable trigger) and leaves them marked valid. So references are always asked; unique indexes
cannot be bypassed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, order=True)
class TableName:
    """A table as a query names it; without a schema it is looked for in the search path."""

    schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}" if self.schema else self.name


@dataclass(frozen=True, slots=True)
class Column:
    """A column.

    Args:
        type: PostgreSQL's internal name (int8, text, uuid, ...), of a domain that of its base type; one of another's making
            with its schema.
        is_not_null: every row has a value in it.
        collation: its oid; 0 for a type without.
    """

    type: str
    is_not_null: bool
    collation: int = 0


@dataclass(frozen=True, slots=True)
class UniqueIndex:
    """An index that proves that no two rows share its columns' values.

    Args:
        columns: its key columns.
        predicate: of a partial index, as the server prints it; empty: it covers all rows.
        is_nulls_distinct: two rows with a null are not the same to it (the default).
    """

    name: str
    columns: tuple[str, ...]
    predicate: str
    is_nulls_distinct: bool


@dataclass(frozen=True, slots=True)
class Table:
    """What is known about a table or view.

    Args:
        rows_estimate: of the last analyze; None when there was none.
        bytes: of its main file at the last vacuum or analyze; asking for more would wait for a locked table.
        is_stored: it is a table that holds its columns' values, so that to read one cannot fail: no view, no foreign table,
            nothing that is calculated when it is read.
    """

    rows_estimate: int | None = None
    bytes: int = 0
    columns: Mapping[str, Column] = field(default_factory=dict)
    unique_indexes: tuple[UniqueIndex, ...] = ()
    is_stored: bool = False


Facts = Mapping[TableName, Table]


def is_own(type_name: str) -> bool:
    """Whether a column's type is of another's making, and so what is done with it."""
    return "." in type_name

"""What drafts are fitted to: a database's tables, with what their columns hold and refer to, from its catalogue alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

from integrity.drafts.labels import labels_of
from integrity.engines.inventory import BOOKS
from integrity.engines.known import find_engine
from integrity.engines.places import DEFAULT_SCHEMA, schema_of
from integrity.engines.schemas import schema_from
from integrity.engines.target import Target
from integrity.errors import UsageError
from integrity.numbers import counted
from integrity.sql.name import quoted
from integrity.suggestion import suggest

if TYPE_CHECKING:
    from sqlalchemy import Column, Index, Table

    from integrity.systems.reflect import Reflected


class Holds(Enum):
    """What a column holds, as far as drafts ask."""

    NUMBERS = "numbers"
    TIMES = "times"
    WORDS = "words"  # text, and enums
    UUIDS = "uuids"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Reference:
    """A foreign key.

    Args:
        columns: of the table that has it.
        table: schema and name of the one that it refers to.
        keys: the columns there.
    """

    columns: tuple[str, ...]
    table: tuple[str, str]
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FoundTable:
    """A table of the database.

    Args:
        columns: by name, in their order.
        key: the columns of its primary key; empty: it has none.
        uniques: what else no two rows share: the columns of each unique constraint and index.
        needed: the columns that a new row must be given.
        labels: of the columns of words that take some words alone: these.
    """

    schema: str
    name: str
    columns: Mapping[str, Holds]
    key: tuple[str, ...] = ()
    references: tuple[Reference, ...] = ()
    uniques: tuple[tuple[str, ...], ...] = ()
    needed: frozenset[str] = frozenset()
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def place(self) -> tuple[str, str]:
        return self.schema, self.name

    @property
    def sql(self) -> str:
        """As a query names it: with its schema where that is not the default one."""
        name = quoted(self.name)
        return name if self.schema == DEFAULT_SCHEMA else f"{quoted(self.schema)}.{name}"

    @property
    def words(self) -> str:
        """As people name it."""
        return self.name if self.schema == DEFAULT_SCHEMA else f"{self.schema}.{self.name}"

    def column(self, name: str) -> str:
        """Return a column as a query names it that reads the table."""
        return f"{quoted(self.name)}.{quoted(name)}"

    @property
    def referring(self) -> frozenset[str]:
        """The columns that are of some foreign key."""
        return frozenset(column for reference in self.references for column in reference.columns)


def find_tables(target: Target) -> list[FoundTable]:
    """Return the tables of a database, but for our own notes; by schema and name, the default schema's first.

    Raises:
        Unreachable: no connection.
        DatabaseError: the catalogue cannot be read.
    """
    metadata = read_metadata(target)
    return tables_in(metadata, target) if metadata is not None else []


def read_metadata(target: Target) -> "Reflected | None":
    """Return what the catalogue says of those tables; None: there is none. See find_tables."""
    from integrity.database.contents import find_schemas
    from integrity.systems.reflect import reflect

    there = {schema_from(target.dialect, schema) for schema in find_schemas(target)} - {BOOKS}
    schemas = sorted(there, key=lambda schema: (schema != DEFAULT_SCHEMA, schema))
    if not schemas:
        return None
    try:
        return reflect(target, schemas)
    except UsageError:  # views alone
        return None


def tables_in(metadata: "Reflected", target: Target) -> list[FoundTable]:
    """Return the tables that were read, in the order of find_tables."""
    found = [_found(table, metadata, target.dialect) for table in metadata.tables.values()]
    schemas = list(metadata.places)
    return sorted(
        (table for table in found if table.schema in schemas), key=lambda table: (schemas.index(table.schema), table.name)
    )


def _found(table: "Table", metadata: "Reflected", dialect: str) -> FoundTable:
    from sqlalchemy import UniqueConstraint

    uniques = [each.columns for each in table.constraints if isinstance(each, UniqueConstraint)]
    uniques += [each.columns for each in table.indexes if each.unique and not _is_partial(each)]
    return FoundTable(
        schema_from(dialect, schema_of(table)),
        table.name,
        {column.name: _holds(column.type, column.name, dialect) for column in table.columns},
        tuple(column.name for column in table.primary_key.columns),
        tuple(
            Reference(
                tuple(element.parent.name for element in constraint.elements),
                (schema_from(dialect, schema_of(constraint.referred_table)), constraint.referred_table.name),
                tuple(element.column.name for element in constraint.elements),
            )
            for constraint in sorted(table.foreign_key_constraints, key=lambda each: str(each.name))
        ),
        tuple(sorted({tuple(column.name for column in columns) for columns in uniques} - {()})),
        frozenset(column.name for column in table.columns if not _has_value(column, dialect)),
        {column.name: labels for column in table.columns if (labels := labels_of(column, metadata))},
    )


def _has_value(column: "Column[Any]", dialect: str) -> bool:
    """Whether a new row has a value in it that nobody gave."""
    counted_up = find_engine(dialect).column_types.get("key")  # without being told to, where it says of which type
    is_rowid = counted_up is not None and column.primary_key and isinstance(column.type, counted_up)
    made = column.server_default is not None or column.identity is not None or column.computed is not None
    return bool(column.nullable) or made or is_rowid


def _is_partial(index: "Index") -> bool:
    """Whether it covers some rows alone, or what is worked out from columns."""
    is_plain = len(index.columns) == len(index.expressions)
    return not is_plain or any(kind.get("where") is not None for kind in index.dialect_options.values())


_TIMES = ("_at", "_on", "date", "time", "since", "until")


def _holds(kind: Any, name: str, dialect: str) -> Holds:
    from sqlalchemy import types
    from sqlalchemy.dialects.postgresql import DOMAIN

    while isinstance(kind, DOMAIN):
        kind = kind.data_type
    # Where types bind nothing there is none of times either: the column's name alone tells one.
    if not find_engine(dialect).spelling.is_typed and name.lower().endswith(_TIMES) and not isinstance(kind, types.Integer):
        return Holds.TIMES
    kinds: tuple[tuple[Any, Holds], ...] = (
        (types.Boolean, Holds.OTHER),
        (types.Integer | types.Numeric, Holds.NUMBERS),
        (types.Uuid, Holds.UUIDS),
        (types.DateTime | types.Date, Holds.TIMES),
        (types.String | types.Enum, Holds.WORDS),
    )
    return next((holds for classes, holds in kinds if isinstance(kind, classes)), Holds.OTHER)


def named_table(tables: Sequence[FoundTable], name: str, *, place: str) -> FoundTable:
    """Return the table of that name, with its schema or without.

    Args:
        place: where the name was written.

    Raises:
        UsageError: there is none, or several schemas have one.
    """
    found = [table for table in tables if name in (table.words, table.name, f"{table.schema}.{table.name}")]
    exact = [table for table in found if name in (table.words, f"{table.schema}.{table.name}")]
    if len(exact or found) == 1:
        return (exact or found)[0]
    if found:
        spelled = " and ".join(table.words for table in found)
        raise UsageError(
            f"{place}: {name!r} is the name of {counted(len(found), 'table')}", hint=f"There are {spelled}: say which."
        )
    known = [table.words for table in tables]
    listed = ", ".join(known[:LISTED_MOST]) + (f" and {len(known) - LISTED_MOST} more" if len(known) > LISTED_MOST else "")
    otherwise = f"There are: {listed}." if known else "The database holds no table; --database URL names another."
    raise UsageError(f"{place}: there is no table {name!r}", hint=suggest(name, known, otherwise=otherwise))


LISTED_MOST = 20

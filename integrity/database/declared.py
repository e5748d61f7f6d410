"""What a metadata declares of its tables beside their columns: constraints and indexes, and what each is called."""

from collections.abc import Iterator

from sqlalchemy import (
    CheckConstraint,
    Constraint,
    ForeignKeyConstraint,
    Index,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
)

from integrity.database.names import name_of
from integrity.engines.known import find_engine

Item = Constraint | Index


def declared_items(metadata: MetaData, dialect: str = "") -> list[tuple[Table, Item]]:
    """Return the metadata's constraints and indexes in an order in which they can be made: foreign keys last.

    Args:
        dialect: those that the engine can have; empty: all. Where a schema is a file, nothing refers to another.
    """
    kinds: dict[type, int] = {
        PrimaryKeyConstraint: 0,
        UniqueConstraint: 1,
        CheckConstraint: 2,
        Index: 3,
        ForeignKeyConstraint: 4,
    }
    is_of_files = bool(dialect) and not find_engine(dialect).has_schemas
    items: list[tuple[Table, Item]] = []
    for table in metadata.sorted_tables:
        # A table without a primary key has one of no columns in SQLAlchemy.
        items += [
            (table, item)
            for item in table.constraints
            if not _is_empty_key(item) and not (is_of_files and _leaves_its_schema(table, item))
        ]
        items += [(table, index) for index in table.indexes]
    return sorted(items, key=lambda pair: (kinds[type(pair[1])], item_name(*pair)))


def item_name(table: Table, item: Item) -> str:
    """Return "table.name", the table with its schema where another has its name."""
    return f"{name_of(table)}.{own_name(table, item)}"


def own_name(table: Table, item: Item) -> str:
    """Return a constraint's own name; of a primary key without one the name that PostgreSQL gives it by itself."""
    name = item.name or (f"{table.name}_pkey" if isinstance(item, PrimaryKeyConstraint) else None)
    assert name is not None, f"a constraint of {table.name} without a name"
    return str(name)


def columns_of(item: Constraint) -> Iterator[str]:
    """Yield the names of the columns that a constraint is about."""
    yield from (column.name for column in getattr(item, "columns", ()))


def _is_empty_key(item: Constraint) -> bool:
    return isinstance(item, PrimaryKeyConstraint) and not list(item.columns)


def _leaves_its_schema(table: Table, item: Constraint) -> bool:
    return isinstance(item, ForeignKeyConstraint) and item.referred_table.schema != table.schema

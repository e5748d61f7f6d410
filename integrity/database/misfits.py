"""Misfits: what a database lacks of what is declared, and could not get any more, as its rows break it by now.

A bug that leaves a constraint out lets in what the constraint refuses. Whether it did is asked of the rows.
"""

from collections.abc import Collection
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    ColumnElement,
    ForeignKeyConstraint,
    Index,
    MetaData,
    PrimaryKeyConstraint,
    Select,
    Table,
    UniqueConstraint,
    and_,
    exists,
    func,
    literal,
    not_,
    select,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.elements import Grouping

from integrity.database.declared import Item, declared_items, item_name
from integrity.database.names import schemas_of
from integrity.engines.purpose import Purpose
from integrity.engines.target import Target
from integrity.engines.transaction import refusal


def find_misfits(target: Target, metadata: MetaData, missing: Collection[str]) -> list[str]:
    """Return which of the missing constraints and indexes the rows do not allow, as "table.name"; only reads.

    Raises:
        DatabaseError: the rows may not be read.
    """
    asked = {
        item_name(table, item): question
        for table, item in declared_items(metadata, target.dialect)
        if item_name(table, item) in missing and (question := _question(table, item, target.dialect)) is not None
    }
    engine = target.sqlalchemy_engine(schemas_of(metadata), purpose=Purpose.OWN)
    try:
        with engine.connect().execution_options(schema_translate_map=target.engine.schema_names) as connection:
            return sorted(name for name, question in asked.items() if connection.execute(question).first() is not None)
    except DBAPIError as error:
        raise refusal(target, error.orig) from None
    finally:
        engine.dispose()


def _question(table: Table, item: Item, dialect: str) -> Select[Any] | None:
    """Return what finds a row, or several, that the item does not allow; None: it allows all."""
    if isinstance(item, CheckConstraint):
        return select(literal(1)).select_from(table).where(not_(Grouping(item.sqltext))).limit(1)
    if isinstance(item, ForeignKeyConstraint):
        parent = item.referred_table.alias()
        pairs = [(element.parent, parent.c[element.column.name]) for element in item.elements]
        has_parent = exists(select(literal(1)).select_from(parent).where(*(child == key for child, key in pairs)))
        is_whole = and_(*(child.is_not(None) for child, _ in pairs))
        return select(literal(1)).select_from(table).where(is_whole, not_(has_parent)).limit(1)
    if isinstance(item, UniqueConstraint | PrimaryKeyConstraint):
        return _twice(table, list(item.columns), item.dialect_options[dialect].get("nulls_not_distinct"))
    if isinstance(item, Index) and item.unique:
        options = item.dialect_options[dialect]
        return _twice(table, list(item.expressions), options.get("nulls_not_distinct"), options.get("where"))
    return None


def _twice(table: Table, keys: list[Any], nulls_are_alike: object, where: ColumnElement[bool] | None = None) -> Select[Any]:
    """Return what finds a key that two rows have; one with a null is like no other, unless that is said."""
    conditions = [] if nulls_are_alike else [key.is_not(None) for key in keys]
    conditions += [] if where is None else [where]
    found = select(literal(1)).select_from(table).where(*conditions)
    return found.group_by(*keys).having(func.count() > 1).limit(1)

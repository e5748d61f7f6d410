"""Rows that others refer to: the columns of a parent that a foreign key takes over, by the row's number."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from psycopg import sql

from integrity.engines.columns import Array, ColumnValues, CopyKind
from integrity.seeds.schema.numbers import chosen, kind_of
from integrity.seeds.schema.tables import Column, SchemaTable

if TYPE_CHECKING:
    import psycopg

HELD_MOST = 100_000
"""Of a table that is left as it is, so many rows are referred to at most."""

_WIDTHS = {
    CopyKind.BIGINT: ">i8",
    CopyKind.INTEGER: ">i4",
    CopyKind.SMALLINT: ">i2",
    CopyKind.UUID: "V16",
}


def read_held(connection: "psycopg.Connection[Any]", table: SchemaTable, names: Sequence[str]) -> dict[str, ColumnValues]:
    """Return some columns of the rows that a table holds; rows with a null in one of them are left out."""
    columns = [table.columns[name] for name in names]
    sent = [sql.SQL("{}({})").format(sql.SQL(column.type.send), sql.Identifier(column.name)) for column in columns]
    present = [sql.SQL("{} is not null").format(sql.Identifier(name)) for name in names]
    query = sql.SQL("select {} from {} where {} limit {}").format(
        sql.SQL(", ").join(sent),
        sql.Identifier(table.schema, table.name),
        sql.SQL(" and ").join(present),
        sql.Literal(HELD_MOST),
    )
    rows = connection.execute(query, binary=True).fetchall()
    return {column.name: _column(column, [bytes(row[place]) for row in rows]) for place, column in enumerate(columns)}


def _column(column: Column, forms: list[bytes]) -> ColumnValues:
    kind = kind_of(column.type)
    if kind in _WIDTHS:
        values = np.frombuffer(b"".join(forms), _WIDTHS[kind])
        return ColumnValues(column.name, kind, values if kind is CopyKind.UUID else values.astype(np.int64))
    known: dict[bytes, int] = {}
    places = np.array([known.setdefault(form, len(known)) for form in forms], np.int64)
    return chosen(column.name, list(known), places)


def taken(column: Column, parent: ColumnValues, places: Array, nulls: Array) -> ColumnValues:
    """Return a column that takes over a parent's: of these rows of it.

    Args:
        places: anything where the row is null.
    """
    rows = parent.rows(np.where(nulls, 0, places)) if len(parent) else parent.rows(np.zeros(0, np.int64))
    if not len(parent):
        rows = ColumnValues(parent.name, parent.kind, np.zeros(len(places), np.int64), None, np.array([b""]), np.array([0]))
    is_null = nulls if rows.nulls is None else nulls | rows.nulls
    kind = kind_of(column.type) if rows.kind in _WIDTHS else rows.kind
    return ColumnValues(column.name, kind, rows.values, is_null if is_null.any() else None, rows.labels, rows.sizes)


def codes_of(column: ColumnValues) -> Array:
    """Return a number for each value of a column, alike for values that are; -1 for nulls."""
    if column.labels is not None or column.values.dtype.kind in "iub":
        codes = column.values.astype(np.int64)
    else:
        raw = column.values
        if raw.dtype.kind == "V":
            raw = raw.view(f"S{raw.dtype.itemsize}")
        _, codes = np.unique(raw, return_inverse=True)
    return codes if column.nulls is None else np.where(column.nulls, -1, codes)


def codes_together(one: ColumnValues, other: ColumnValues) -> tuple[Array, Array]:
    """Return numbers for the values of two columns, alike for values that are."""
    values = [_plain(one), _plain(other)]
    if values[0].dtype.kind == "S" or values[1].dtype.kind == "S":
        width = max(each.dtype.itemsize for each in values)
        values = [each.astype(f"S{width}") for each in values]
    _, codes = np.unique(np.concatenate(values), return_inverse=True)
    split = codes[: len(one)], codes[len(one) :]
    return split[0] if one.nulls is None else np.where(one.nulls, -1, split[0]), split[1]


def _plain(column: ColumnValues) -> Array:
    values = column.values if column.labels is None else column.labels[column.values]
    return values.view(f"S{values.dtype.itemsize}") if values.dtype.kind == "V" else values


def fold(codes: Sequence[Array]) -> Array:
    """Return a number for each row, alike for rows that have the same codes; -1 codes are like any other."""
    folded = codes[0]
    for more in codes[1:]:
        _, left = np.unique(folded, return_inverse=True)
        _, right = np.unique(more, return_inverse=True)
        folded = left.astype(np.int64) * (int(right.max(initial=0)) + 1) + right
    return folded


def referred(tables: Mapping[str, SchemaTable]) -> dict[str, list[str]]:
    """Return table -> the columns of it that foreign keys refer to."""
    found: dict[str, list[str]] = {name: [] for name in tables}
    for table in tables.values():
        for reference in table.references:
            found[reference.parent] += [each for each in reference.parent_columns if each not in found[reference.parent]]
    return found


def suits(column: Column, parent: Column) -> bool:
    """Return whether a parent's values can be written to the column as they are."""
    one, other = kind_of(column.type), kind_of(parent.type)
    if one in _WIDTHS and other in _WIDTHS:
        return (one is CopyKind.UUID) is (other is CopyKind.UUID)
    return one is other and (one is not CopyKind.BYTES or column.type.base == parent.type.base)

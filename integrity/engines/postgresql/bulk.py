"""Bulk loading of PostgreSQL, at about the speed of the server's own COPY of a file: binary COPY, encoded by numpy.

Its rows are as long as their values, but rows with the same nulls and the same lengths of text have the same layout, so the
rows of a chunk are grouped by layout and each group is encoded as one array with a big-endian structured type. Within a
chunk rows are therefore written group by group. Where there are many layouts the chunk is one such array, and what its
shorter values leave unused is cut out.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from psycopg import sql

from integrity.engines.columns import (
    POSTGRESQL_EPOCH_DAYS,
    POSTGRESQL_EPOCH_US,
    Array,
    ColumnValues,
    CopyKind,
    chunks,
    encoded_texts,
)

if TYPE_CHECKING:
    import psycopg

LAYOUTS_MOST = 65_536  # numpy sorts 16-bit numbers by radix, ten times faster than wider ones
LAYOUTS_AT_ONCE = 64  # of more, a chunk is encoded as rows of one width whose unused bytes are then cut out
HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
TRAILER = b"\xff\xff"

_FIXED = {
    CopyKind.BIGINT: ">i8",
    CopyKind.INTEGER: ">i4",
    CopyKind.SMALLINT: ">i2",
    CopyKind.BOOLEAN: "u1",
    CopyKind.UUID: "V16",
    CopyKind.TIMESTAMPTZ: ">i8",
    CopyKind.REAL: ">f4",
    CopyKind.DOUBLE: ">f8",
    CopyKind.DATE: ">i4",
}


def load(
    connection: "psycopg.Connection[Any]", schema: str, table: str, columns: Sequence[ColumnValues], *, is_new: bool
) -> int:
    """See Engine.load; rows of a new table are written as frozen: nothing has to read and mark them again later."""
    copy = sql.SQL("copy {} ({}) from stdin (format binary{})").format(
        sql.Identifier(schema, table),
        sql.SQL(", ").join(sql.Identifier(column.name) for column in columns),
        sql.SQL(", freeze" if is_new else ""),
    )
    with connection.cursor() as cursor, cursor.copy(copy) as stream:
        stream.write(HEADER)
        for chunk in chunks(columns):
            for encoded in encode(chunk):
                stream.write(encoded)
        stream.write(TRAILER)
    return len(columns[0])


def encode(columns: Sequence[ColumnValues]) -> Iterator[bytes]:
    """Yield the rows in the binary COPY format, those of one layout together, without header and trailer."""
    sizes = [_sizes(column) for column in columns]
    layouts, layout_count = np.zeros(len(columns[0]), np.int64), 1
    for size in sizes:
        if isinstance(size, np.ndarray):
            layouts = layouts * (int(size.max()) + 2) + (size + 1)
            layout_count *= int(size.max()) + 2
            if layout_count > LAYOUTS_MOST:  # number those that occur anew, so that columns of long text fit as well
                found, layouts = np.unique(layouts, return_inverse=True)
                layout_count = len(found)
    order = np.argsort(layouts.astype(np.uint16) if layout_count <= LAYOUTS_MOST else layouts, kind="stable")
    counts = np.bincount(layouts)
    ends = np.cumsum(counts[counts > 0])
    if len(ends) > LAYOUTS_AT_ONCE:
        yield _encode_cut(columns, sizes)
        return
    for start, end in zip([0, *ends[:-1]], ends, strict=True):
        rows = order[start:end] if len(ends) > 1 else slice(None)
        first = order[start]
        yield _encode_group(
            [column.rows(rows) for column in columns],
            [int(size[first]) if isinstance(size, np.ndarray) else size for size in sizes],
        )


def _encode_group(columns: Sequence[ColumnValues], sizes: Sequence[int]) -> bytes:
    """Return the rows, all of one layout: each value's length in bytes, -1 for null, and the value."""
    fields = [("count", ">i2")]
    constants = {"count": len(columns)}
    values: dict[str, ColumnValues] = {}
    for number, (column, size) in enumerate(zip(columns, sizes, strict=True)):
        fields.append((f"size{number}", ">i4"))
        constants[f"size{number}"] = size
        length = size
        if column.kind is CopyKind.JSONB and size > 0:
            fields.append((f"version{number}", "u1"))
            constants[f"version{number}"] = 1  # of jsonb's binary form
            length = size - 1
        if length > 0:
            fields.append((f"value{number}", _FIXED.get(column.kind, f"S{length}")))
            values[f"value{number}"] = column
    template = np.zeros((), fields)
    for name, constant in constants.items():
        template[name] = constant
    group = np.full(len(columns[0]), template)  # then only the values are left to write
    for name, column in values.items():
        group[name] = _binary_values(column)
    return group.tobytes()


def _encode_cut(columns: Sequence[ColumnValues], sizes: Sequence[Array | int]) -> bytes:
    """Return the rows in their order: encoded with room for the longest value of each column, what is unused cut out."""
    fields, longest = [("count", ">i2")], {}
    for number, (column, size) in enumerate(zip(columns, sizes, strict=True)):
        fields.append((f"size{number}", ">i4"))
        longest[number] = max(0, int(np.max(size)))
        length = longest[number]
        if column.kind is CopyKind.JSONB and length > 0:
            fields.append((f"version{number}", "u1"))
            length -= 1
        if length > 0:
            fields.append((f"value{number}", _FIXED.get(column.kind, f"S{length}")))
    rows = np.zeros(len(columns[0]), fields)
    kept = np.ones((len(rows), rows.dtype.itemsize), np.bool_)
    offsets = {name: int(place[1]) for name, place in (rows.dtype.fields or {}).items()}
    rows["count"] = len(columns)
    for number, (column, size) in enumerate(zip(columns, sizes, strict=True)):
        rows[f"size{number}"] = size
        if f"value{number}" in offsets:
            rows[f"value{number}"] = _binary_values(column)
        if f"version{number}" in offsets:
            rows[f"version{number}"] = 1
        if isinstance(size, np.ndarray):
            start = offsets[f"size{number}"] + 4
            kept[:, start : start + longest[number]] = np.arange(longest[number]) < size[:, np.newaxis]
    return rows.view(np.uint8).reshape(kept.shape)[kept].tobytes()


def _sizes(column: ColumnValues) -> Array | int:
    """Return the length of each value in bytes, -1 for null; one number when it is the same for all."""
    sizes: Array | int
    if column.kind in _FIXED:
        sizes = np.dtype(_FIXED[column.kind]).itemsize
    elif column.sizes is not None:
        sizes = column.sizes if column.labels is None else column.sizes[column.values]
    else:
        lengths = np.char.str_len(column.values if column.labels is None else column.labels)
        sizes = lengths if column.labels is None else lengths[column.values]
        if column.kind is CopyKind.JSONB:
            sizes = sizes + 1
    return sizes if column.nulls is None else np.where(column.nulls, -1, sizes)


def _binary_values(column: ColumnValues) -> Array:
    if column.kind is CopyKind.TIMESTAMPTZ:
        return column.values - POSTGRESQL_EPOCH_US
    if column.kind is CopyKind.DATE:
        return column.values - POSTGRESQL_EPOCH_DAYS
    return encoded_texts(column)

"""Bulk loading: columns of numpy arrays into a table, at about the speed of the server's own COPY of a file.

PostgreSQL is sent binary COPY. Its rows are as long as their values, but rows with the same nulls and the same lengths of
text have the same layout, so the rows of a chunk are grouped by layout and each group is encoded as one array with a
big-endian structured type. Within a chunk rows are therefore written group by group; chunks keep their order. Where there
are many layouts the chunk is one such array, and what its shorter values leave unused is cut out. SQLite is sent
executemany.

Columns, chunks and encoding know nothing of a connection; `load` does.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any
from uuid import UUID

import numpy as np
from psycopg import sql

if TYPE_CHECKING:
    import sqlite3

    import psycopg

Array = np.ndarray[Any, Any]

CHUNK_ROWS = 65_536  # measured: 16k to 128k are alike, a million is a third slower
LAYOUTS_MOST = 65_536  # numpy sorts 16-bit numbers by radix, ten times faster than wider ones
LAYOUTS_AT_ONCE = 64  # of more, a chunk is encoded as rows of one width whose unused bytes are then cut out
POSTGRESQL_EPOCH_US = 946_684_800_000_000  # 2000-01-01, from which PostgreSQL counts
POSTGRESQL_EPOCH_DAYS = 10_957
HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
TRAILER = b"\xff\xff"


class CopyKind(Enum):
    """Types of columns, by their names in PostgreSQL."""

    BIGINT = "bigint"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    UUID = "uuid"
    TEXT = "text"
    TIMESTAMPTZ = "timestamptz"
    JSONB = "jsonb"
    SMALLINT = "smallint"
    REAL = "real"
    DOUBLE = "double precision"
    DATE = "date"
    BYTES = "any"  # of any type, each value as the server itself would send it


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


@dataclass(frozen=True, slots=True, eq=False)
class ColumnValues:
    """A column's values. Made by the functions below, which say what the arrays hold.

    Args:
        values: one a row; where the row is null, anything.
        nulls: True where the row is null; None: nowhere.
        labels: if given, values are numbers into it: a text column with few different texts.
        sizes: of BYTES, which may end in zero bytes: the length of each label, or value where there are no labels.
    """

    name: str
    kind: CopyKind
    values: Array
    nulls: Array | None = None
    labels: Array | None = None
    sizes: Array | None = None

    def __len__(self) -> int:
        return len(self.values)

    def rows(self, where: slice | Array) -> "ColumnValues":
        """Return the column of these rows."""
        nulls = None if self.nulls is None else self.nulls[where]
        sizes = self.sizes if self.sizes is None or self.labels is not None else self.sizes[where]
        return ColumnValues(self.name, self.kind, self.values[where], nulls, self.labels, sizes)


def bigints(name: str, values: Array, nulls: Array | None = None) -> ColumnValues:
    """Return a column of 64-bit integers."""
    return ColumnValues(name, CopyKind.BIGINT, values, nulls)


def integers(name: str, values: Array, nulls: Array | None = None) -> ColumnValues:
    """Return a column of 32-bit integers.

    Raises:
        OverflowError: a value is larger; numpy would cut it without a word.
    """
    if len(values) and (values.min() < -(2**31) or values.max() >= 2**31):
        raise OverflowError(f"column {name}: a value does not fit an integer of 32 bits")
    return ColumnValues(name, CopyKind.INTEGER, values, nulls)


def booleans(name: str, values: Array, nulls: Array | None = None) -> ColumnValues:
    """Return a column of booleans."""
    return ColumnValues(name, CopyKind.BOOLEAN, values, nulls)


def uuids(name: str, values: Array, nulls: Array | None = None) -> ColumnValues:
    """Return a column of UUIDs, given as 16 bytes each (dtype V16)."""
    return ColumnValues(name, CopyKind.UUID, values, nulls)


def timestamps(name: str, values: Array, nulls: Array | None = None) -> ColumnValues:
    """Return a column of instants, given as microseconds since 1970 (int64)."""
    return ColumnValues(name, CopyKind.TIMESTAMPTZ, values, nulls)


def texts(name: str, values: Sequence[str] | Array, nulls: Array | None = None) -> ColumnValues:
    """Return a column of texts, given as str or as UTF-8 (dtype S)."""
    return ColumnValues(name, CopyKind.TEXT, _utf8(values), nulls)


def labels(name: str, texts_: Sequence[str], values: Array, nulls: Array | None = None) -> ColumnValues:
    """Return a column of texts of which there are few: each value is the place of its text in `texts_`."""
    return ColumnValues(name, CopyKind.TEXT, values, nulls, _utf8(texts_))


def documents(name: str, values: Sequence[str] | Array, nulls: Array | None = None) -> ColumnValues:
    """Return a column of JSON documents, given as text."""
    return ColumnValues(name, CopyKind.JSONB, _utf8(values), nulls)


def sent(name: str, forms: Sequence[bytes], values: Array, nulls: Array | None = None) -> ColumnValues:
    """Return a column of any type: each value is the place of its form in `forms`, which are as the server sends them."""
    sizes = np.array([len(form) for form in forms], np.int64)
    return ColumnValues(name, CopyKind.BYTES, values, nulls, np.array(forms, f"S{max(1, *sizes, 1)}"), sizes)


def load(
    connection: "psycopg.Connection[Any] | sqlite3.Connection",
    schema: str,
    table: str,
    columns: Sequence[ColumnValues],
    *,
    is_new: bool = False,
) -> int:
    """Append rows to a table; return how many.

    Args:
        columns: of equal lengths.
        is_new: the table was made in the open transaction: PostgreSQL then writes its rows as frozen, so that nothing has
            to read and mark them again later.
    """
    import sqlite3

    names = [column.name for column in columns]
    if isinstance(connection, sqlite3.Connection):
        marks = ", ".join("?" * len(names))
        quoted = ", ".join(f'"{name}"' for name in names)
        statement = f'insert into "{schema}"."{table}" ({quoted}) values ({marks})'
        for chunk in chunks(columns):
            connection.executemany(statement, zip(*(_python_values(column) for column in chunk), strict=True))
        return len(columns[0])
    copy = sql.SQL("copy {} ({}) from stdin (format binary{})").format(
        sql.Identifier(schema, table),
        sql.SQL(", ").join(map(sql.Identifier, names)),
        sql.SQL(", freeze" if is_new else ""),
    )
    with connection.cursor() as cursor, cursor.copy(copy) as stream:
        stream.write(HEADER)
        for chunk in chunks(columns):
            for encoded in encode(chunk):
                stream.write(encoded)
        stream.write(TRAILER)
    return len(columns[0])


def chunks(columns: Sequence[ColumnValues]) -> Iterator[list[ColumnValues]]:
    """Yield the columns cut into chunks of rows."""
    for start in range(0, len(columns[0]), CHUNK_ROWS):
        yield [column.rows(slice(start, start + CHUNK_ROWS)) for column in columns]


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
    return column.values if column.labels is None else column.labels[column.values]


def _python_values(column: ColumnValues) -> list[Any]:
    """Return the values as SQLite stores them: uuid, jsonb and timestamptz as text."""
    values: list[Any]
    match column.kind:
        case CopyKind.UUID:
            data = column.values.tobytes()
            values = [str(UUID(bytes=data[start : start + 16])) for start in range(0, len(data), 16)]
        case CopyKind.TIMESTAMPTZ:
            instants = np.datetime_as_string(column.values.astype("datetime64[us]"))
            values = [instant.replace("T", " ") for instant in instants.tolist()]
        case CopyKind.TEXT | CopyKind.JSONB:
            values = [value.decode() for value in _binary_values(column).tolist()]
        case CopyKind.BOOLEAN:
            values = column.values.astype(np.int64).tolist()
        case _:
            values = column.values.tolist()
    if column.nulls is None:
        return values
    return [None if is_null else value for value, is_null in zip(values, column.nulls.tolist(), strict=True)]


def _utf8(values: Sequence[str] | Array) -> Array:
    """Return the texts as UTF-8 bytes (dtype S, at least one byte wide). numpy cuts zero bytes off; text has none."""
    array = np.asarray(values)
    if array.dtype.kind == "S":
        return array
    return np.char.encode(array.astype(np.str_), "utf-8") if len(array) else np.empty(0, "S1")

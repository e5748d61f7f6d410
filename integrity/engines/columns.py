"""Columns: what is loaded into a table, as numpy arrays, whatever the engine; each has its own way to load them.

Chunks keep their order, and so do rows within one as far as the engine's way lets them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

POSTGRESQL_EPOCH_US = 946_684_800_000_000  # 2000-01-01, from which PostgreSQL counts
POSTGRESQL_EPOCH_DAYS = 10_957
CHUNK_ROWS = 65_536  # measured: 16k to 128k are alike, a million is a third slower


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

    @property
    def size(self) -> int:
        """Bytes of memory."""
        return sum(each.nbytes for each in (self.values, self.nulls, self.labels, self.sizes) if each is not None)

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


def encoded_texts(column: ColumnValues) -> Array:
    """Return the values, each label's text in its place."""
    return column.values if column.labels is None else column.labels[column.values]


def chunks(columns: Sequence[ColumnValues]) -> Iterator[list[ColumnValues]]:
    """Yield the columns cut into chunks of rows."""
    for start in range(0, len(columns[0]), CHUNK_ROWS):
        yield [column.rows(slice(start, start + CHUNK_ROWS)) for column in columns]


def _utf8(values: Sequence[str] | Array) -> Array:
    """Return the texts as UTF-8 bytes (dtype S, at least one byte wide). numpy cuts zero bytes off; text has none."""
    array = np.asarray(values)
    if array.dtype.kind == "S":
        return array
    return np.char.encode(array.astype(np.str_), "utf-8") if len(array) else np.empty(0, "S1")

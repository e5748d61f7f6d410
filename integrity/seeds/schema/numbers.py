"""Columns of numbers, times and the like, made from arrays of integers: what each type's values are."""

from collections.abc import Mapping

import numpy as np

from integrity.engines.columns import Array, ColumnValues, CopyKind, sent
from integrity.seeds.schema.tables import Type
from integrity.seeds.source import Source

KINDS: Mapping[str, CopyKind] = {
    "int8": CopyKind.BIGINT,
    "int4": CopyKind.INTEGER,
    "int2": CopyKind.SMALLINT,
    "oid": CopyKind.INTEGER,
    "bool": CopyKind.BOOLEAN,
    "uuid": CopyKind.UUID,
    "timestamptz": CopyKind.TIMESTAMPTZ,
    "timestamp": CopyKind.TIMESTAMPTZ,  # the same bytes: microseconds
    "date": CopyKind.DATE,
    "float4": CopyKind.REAL,
    "float8": CopyKind.DOUBLE,
    "text": CopyKind.TEXT,
    "varchar": CopyKind.TEXT,
    "bpchar": CopyKind.TEXT,
    "citext": CopyKind.TEXT,
    "name": CopyKind.TEXT,
    "json": CopyKind.TEXT,
    "jsonb": CopyKind.JSONB,
}
"""By the plain names of types; all others travel as the server sends them."""

INTEGERS: Mapping[str, int] = {"int2": 2**15 - 1, "int4": 2**31 - 1, "int8": 2**62}
"""Types of whole numbers, and the largest that we write."""

NUMERIC_GROUP = 10_000


def kind_of(type_: Type) -> CopyKind:
    """Return how values of a type travel."""
    if type_.is_array:
        return CopyKind.BYTES
    return CopyKind.TEXT if type_.labels else KINDS.get(type_.base, CopyKind.BYTES)


def numerics(name: str, units: Array, scale: int, nulls: Array | None = None) -> ColumnValues:
    """Return a column of numerics that are units of 10**-scale, none below zero.

    PostgreSQL takes leading groups of zeros, so that all values have one length.
    """
    behind = -(-max(scale, 0) // 4)
    units = units * 10 ** (4 * behind - max(scale, 0))
    count = max(1, -(-len(str(int(units.max(initial=0)))) // 4))
    count = max(count, behind + 1)
    form = np.zeros(len(units), [("head", ">i2", 4), ("groups", ">i2", count)])
    form["head"] = (count, count - behind - 1, 0, max(scale, 0))
    for place in range(count):
        form["groups"][:, place] = units // NUMERIC_GROUP ** (count - 1 - place) % NUMERIC_GROUP
    width = form.dtype.itemsize
    return ColumnValues(name, CopyKind.BYTES, form.view(f"S{width}"), nulls, None, np.full(len(units), width, np.int64))


def whole(name: str, kind: CopyKind, values: Array, nulls: Array | None = None) -> ColumnValues:
    """Return a column of a fixed width whose values are at hand."""
    return ColumnValues(name, kind, values, nulls)


def digits(numbers: Array, width: int, alphabet: bytes) -> Array:
    """Return numbers written in an alphabet, in a fixed width (dtype S)."""
    letters = np.frombuffer(alphabet, np.uint8)
    written = np.empty((len(numbers), width), np.uint8)
    left = numbers.astype(np.int64)
    for place in range(width - 1, -1, -1):
        written[:, place] = letters[left % len(alphabet)]
        left = left // len(alphabet)
    return written.reshape(-1).view(f"S{width}") if width else np.full(len(numbers), b"", "S1")


def framed(before: bytes, middle: Array, after: bytes) -> Array:
    """Return texts of a fixed width between two others (dtype S)."""
    width = middle.dtype.itemsize
    written = np.empty((len(middle), len(before) + width + len(after)), np.uint8)
    written[:, : len(before)] = np.frombuffer(before, np.uint8)
    written[:, len(before) : len(before) + width] = middle.view(np.uint8).reshape(-1, width)
    written[:, len(before) + width :] = np.frombuffer(after, np.uint8)
    return written.reshape(-1).view(f"S{written.shape[1]}")


def spans(name: str, base: str, starts: Array, ends: Array, nulls: Array | None = None) -> ColumnValues:
    """Return a column of ranges from starts to before ends: of days, microseconds or whole numbers."""
    is_short = base in ("int4range", "daterange")
    bound, width = (">i4", 4) if is_short else (">i8", 8)
    form = np.zeros(len(starts), [("flags", "u1"), ("size", ">i4"), ("start", bound), ("size2", ">i4"), ("end", bound)])
    form["flags"], form["size"], form["size2"] = 2, width, width  # 2: the lower bound belongs to it
    form["start"], form["end"] = starts, ends
    total = form.dtype.itemsize
    return ColumnValues(name, CopyKind.BYTES, form.view(f"S{total}"), nulls, None, np.full(len(starts), total, np.int64))


def random_uuids(source: Source, count: int) -> Array:
    """Return random UUIDs of version 4 (dtype V16)."""
    ids = np.empty(count, [("high", ">u8"), ("low", ">u8")])
    ids["high"] = source.words(count) & ~np.uint64(0xF000) | np.uint64(0x4000)
    ids["low"] = source.words(count) & np.uint64(2**62 - 1) | np.uint64(1 << 63)
    return ids.view("V16")


def chosen(name: str, forms: list[bytes | None], places: Array) -> ColumnValues:
    """Return a column of few different values: each is the place of its form, None is null."""
    nulls = np.array([form is None for form in forms], np.bool_)
    column = sent(name, [form or b"" for form in forms], places)
    return (
        column if not nulls.any() else ColumnValues(name, column.kind, places, nulls[places], column.labels, column.sizes)
    )

"""Columns whose values are told apart by the row's number: keys, codes, whatever must be unique.

A type has several ways to be numbered, e.g. a text in letters or in digits only; which of them the column's checks take,
the server says.
"""

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np

from integrity.engines.columns import Array, ColumnValues, CopyKind
from integrity.seeds.schema.numbers import INTEGERS, chosen, digits, framed, kind_of, numerics
from integrity.seeds.schema.tables import Column
from integrity.seeds.source import Source

Make = Callable[[str, Array], ColumnValues]

LOWER, UPPER, DIGITS = b"abcdefghijklmnopqrstuvwxyz", b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", b"0123456789"
ALNUM = DIGITS + LOWER
HEX = DIGITS + b"abcdef"
SECOND_US = 1_000_000
SCRAMBLER = 0x2545F4914F6CDD1D  # odd, so that it maps numbers of 62 bits to such numbers one to one


@dataclass(frozen=True, slots=True)
class Numbering:
    """A way to number a column.

    Args:
        make: numbers from 0 -> the column's values.
        tell: the same of one number, as text for the server.
        capacity: how many different values there are.
        is_ordered: values grow with their numbers.
    """

    column: Column
    make: Make
    tell: Callable[[int], str]
    capacity: int
    is_ordered: bool = True


def ways(
    column: Column, count: int, *, starts: Sequence[int] = (), first_day: date, name: tuple[int, ...]
) -> Iterator[Numbering]:
    """Yield ways to give a column that many different values, the plainest first.

    Args:
        starts: where numbers may have to begin, of the column's checks.
        name: of the random numbers.
    """
    base, kind = column.type.base, column.type
    if kind.is_array or kind.labels:
        return
    if base in INTEGERS or base in ("numeric", "float4", "float8"):
        for start in dict.fromkeys((1, 0, *starts)):
            yield _number(column, start)
    elif base == "uuid":
        yield _uuid(column, name)
    elif base in ("timestamptz", "timestamp", "date"):
        for day in (first_day, date(2000, 1, 1)):
            yield _time(column, day)
    elif base in ("text", "varchar", "bpchar", "citext", "name"):
        yield from _texts(column, count)
    elif base == "bytea":
        yield Numbering(
            column,
            lambda called, numbers: ColumnValues(
                called, CopyKind.BYTES, numbers.astype(">i8").view("S8"), None, None, np.full(len(numbers), 8, np.int64)
            ),
            lambda number: f"\\x{number:016x}",
            2**62,
        )


def of_forms(column: Column, forms: Sequence[bytes], texts: Sequence[str]) -> Numbering:
    """Return the numbering by different values that are at hand."""
    return Numbering(
        column,
        lambda called, numbers: chosen(called, list(forms), numbers),
        lambda number: texts[number],
        len(forms),
        is_ordered=False,
    )


def _number(column: Column, start: int) -> Numbering:
    base = column.type.base
    if base == "numeric":
        precision, scale = column.type.precision
        step = 10 ** max(scale, 0)
        if 10 ** (precision - max(scale, 0)) > 10**9:
            return Numbering(
                column,
                lambda called, numbers: numerics(called, (numbers + max(start, 0)) * step, scale),
                lambda number: str(number + max(start, 0)),
                10**9,
            )
        capacity = 10 ** min(precision, 17)
        return Numbering(
            column,
            lambda called, numbers: numerics(called, numbers + max(start, 0) * step, scale),
            lambda number: f"{(number + max(start, 0) * step) / step:.{max(scale, 0)}f}",
            capacity - max(start, 0) * step,
        )
    most = INTEGERS.get(base, 2**24)
    return Numbering(
        column,
        lambda called, numbers: ColumnValues(called, kind_of(column.type), numbers + start),
        lambda number: str(number + start),
        most - start,
    )


def _uuid(column: Column, name: tuple[int, ...]) -> Numbering:
    high = int(Source(*name).words(1)[0]) & ~0xF000 | 0x4000

    def make(called: str, numbers: Array) -> ColumnValues:
        ids = np.empty(len(numbers), [("high", ">u8"), ("low", ">u8")])
        ids["high"] = high
        ids["low"] = (numbers.astype(np.uint64) + np.uint64(1)) * np.uint64(SCRAMBLER) & np.uint64(2**62 - 1) | np.uint64(
            1 << 63
        )
        return ColumnValues(called, CopyKind.UUID, ids.view("V16"))

    def tell(number: int) -> str:
        low = (number + 1) * SCRAMBLER & (2**62 - 1) | 1 << 63
        return f"{high:016x}{low:016x}"

    return Numbering(column, make, tell, 2**62, is_ordered=False)


def _time(column: Column, first_day: date) -> Numbering:
    start = (first_day - date(1970, 1, 1)).days
    if column.type.base == "date":
        return Numbering(
            column,
            lambda called, numbers: ColumnValues(called, CopyKind.DATE, numbers + start),
            lambda number: str(first_day + timedelta(days=number)),
            1_000_000,
        )
    start_us = start * 86_400 * SECOND_US
    return Numbering(
        column,
        lambda called, numbers: ColumnValues(called, CopyKind.TIMESTAMPTZ, numbers * SECOND_US + start_us),
        lambda number: f"{datetime.fromtimestamp(start * 86_400 + number, UTC):%Y-%m-%d %H:%M:%S+00}",
        10**10,
    )


def _texts(column: Column, count: int) -> Iterator[Numbering]:
    limit = column.type.length_most or 64
    word = "".join(each for each in column.name.lower() if each in LOWER.decode())[:8]
    frames = [(f"{word}-", ""), ("", "")]
    if "mail" in column.name.lower():
        frames.insert(0, ("user", "@example.org"))
    for before, after, alphabet in (
        *((before, after, ALNUM if limit < 12 else DIGITS) for before, after in frames),
        ("", "", LOWER),
        ("", "", UPPER),
        ("", "", DIGITS),
        ("user", "@example.org", DIGITS),
        ("https://example.org/", "", DIGITS),
        ("/", "", DIGITS),
        (word.upper() + "-", "", DIGITS),
        (word.capitalize() + " ", "", LOWER),
        ("+49301", "", DIGITS),
    ):
        room = limit - len(before) - len(after)
        width = 1
        while len(alphabet) ** width < count:
            width += 1
        if width <= room:
            yield _text(column, before.encode(), min(room, max(width, 6)), after.encode(), alphabet)
    if not column.checks:
        return
    for width in (2, 3, 4, 5, 8, 10, 12, 13, 16, 20, 32, 36, 40, 64):  # a check may want exactly so many
        for alphabet in (LOWER, UPPER, DIGITS, HEX):
            if width <= limit and len(alphabet) ** width >= count:
                yield _text(column, b"", width, b"", alphabet)


def _text(column: Column, before: bytes, width: int, after: bytes, alphabet: bytes) -> Numbering:
    def make(called: str, numbers: Array) -> ColumnValues:
        return ColumnValues(called, CopyKind.TEXT, framed(before, digits(numbers, width, alphabet), after))

    def tell(number: int) -> str:
        written: bytes = digits(np.array([number]), width, alphabet)[0]
        return (before + written + after).decode()

    capacity = min(2**62, len(alphabet) ** width)
    return Numbering(column, make, tell, capacity, is_ordered=column.type.base != "citext")


def seed_of(name: str) -> int:
    """Return a number for a name, the same everywhere."""
    return zlib.crc32(name.encode())

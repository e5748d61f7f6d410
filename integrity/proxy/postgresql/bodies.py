"""What stands in the bodies of PostgreSQL's messages, and values as people read them."""

import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

import psycopg
from psycopg.adapt import PyFormat, Transformer
from psycopg.pq import Format

VALUE_CHARACTERS_MOST = 2000
"""Of a value are shown; a row may hold a gigabyte."""

_JSON = {114: 0, 3802: 1}
"""The types json and jsonb: how many bytes come before the text."""


class Parameter(NamedTuple):
    """A value as it came over the wire: None for null; in the text or the binary format; of a type, 0: not known."""

    value: bytes | None
    is_binary: bool
    type_oid: int = 0


class Column(NamedTuple):
    """A column of an answer: its name; the table's number and the column's, 0 where it is computed; its type and format."""

    name: str
    table: int
    number: int
    type_oid: int
    is_binary: bool


class Notice(NamedTuple):
    """An error, or a notice."""

    severity: str
    sqlstate: str
    message: str


def read_text(body: bytes) -> str:
    """Return a text up to its zero."""
    return body.partition(b"\0")[0].decode("utf-8", "replace")


def read_numbers(body: bytes, *, size: int) -> tuple[int, ...]:
    """Return the numbers of so many bytes each that follow their count."""
    count = int.from_bytes(body[:2])
    return tuple(int.from_bytes(body[2 + size * n : 2 + size * (n + 1)]) for n in range(count))


def read_bind(rest: bytes, type_oids: Sequence[int]) -> tuple[tuple[Parameter, ...], tuple[int, ...]]:
    """Return the values of a Bind, behind its two names, and the formats in which it wants its rows."""
    formats = read_numbers(rest, size=2)
    place = 2 + 2 * len(formats)
    count = int.from_bytes(rest[place : place + 2])
    place += 2
    parameters = []
    for number in range(count):
        value, place = _read_value(rest, place)
        is_binary = bool(formats and formats[number if len(formats) > 1 else 0])
        parameters.append(Parameter(value, is_binary, type_oids[number] if number < len(type_oids) else 0))
    return tuple(parameters), read_numbers(rest[place:], size=2)


def read_row(body: bytes) -> tuple[bytes | None, ...]:
    """Return the values of a row."""
    values, place = [], 2
    for _ in range(int.from_bytes(body[:2])):
        value, place = _read_value(body, place)
        values.append(value)
    return tuple(values)


def _read_value(body: bytes, place: int) -> tuple[bytes | None, int]:
    length = int.from_bytes(body[place : place + 4], signed=True)
    place += 4
    return (None, place) if length < 0 else (body[place : place + length], place + length)


def read_columns(body: bytes) -> tuple[Column, ...]:
    """Return the columns of a RowDescription."""
    columns, place = [], 2
    for _ in range(int.from_bytes(body[:2])):
        end = body.index(b"\0", place)
        table, number, type_oid, _size, _modifier, format_code = struct.unpack_from(">IhIhih", body, end + 1)
        columns.append(Column(body[place:end].decode("utf-8", "replace"), table, number, type_oid, bool(format_code)))
        place = end + 19
    return tuple(columns)


def read_notice(body: bytes) -> Notice:
    """Return what an error or a notice says; its severity as no language of the server's changes it."""
    fields = {piece[:1]: piece[1:].decode("utf-8", "replace") for piece in body.split(b"\0") if piece}
    return Notice(fields.get(b"V", fields.get(b"S", "")), fields.get(b"C", ""), fields.get(b"M", ""))


def show_value(value: bytes | None, *, is_binary: bool, type_oid: int) -> str | None:
    """Return a value as PostgreSQL writes it; None for null.

    A binary one is read and written by psycopg; where that does not know its type, it is shown by its bytes.
    """
    if value is None:
        return None
    if not is_binary:
        return _shortened(value.decode("utf-8", "replace"))
    if type_oid in _JSON:
        return _shortened(value[_JSON[type_oid] :].decode("utf-8", "replace"))
    try:
        return _shortened(_written(psycopg.adapters.get_loader(type_oid, Format.BINARY), value))
    except (psycopg.Error, ValueError, OverflowError, struct.error):
        return _shortened(f"\\x{value.hex()}")


def _written(loader: Any, value: bytes) -> str:
    if loader is None:
        return f"\\x{value.hex()}"
    read = loader(0).load(value)
    written = Transformer().get_dumper(read, PyFormat.TEXT).dump(read)
    return "" if written is None else bytes(written).decode("utf-8", "replace")


def _shortened(text: str) -> str:
    rest = len(text) - VALUE_CHARACTERS_MOST
    return text if rest <= 0 else f"{text[:VALUE_CHARACTERS_MOST]}... and {rest:,} more"

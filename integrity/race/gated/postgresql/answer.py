"""Answers on the wire: what a server said to one unit, so far as a trace shows it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import psycopg
from psycopg import pq
from psycopg.abc import Buffer, Loader
from psycopg.adapt import Transformer

from integrity.proxy.message import Message
from integrity.proxy.postgresql.bodies import Column, Parameter
from integrity.race.gated.postgresql.unit import command_of
from integrity.race.program.wire import Answer, Refusal, distinct_names

ROWS_MOST = 200  # of one unit, that are kept


@dataclass(slots=True)
class Result:
    """What came back for a unit, message by message."""

    tags: list[str] = field(default_factory=list)
    refusal: Refusal | None = None
    errors: list[Message] = field(default_factory=list)
    columns: tuple[Column, ...] = ()
    type_oids: tuple[int, ...] = ()
    cells: list[tuple[bytes | None, ...]] = field(default_factory=list)

    def take(self, message: Message) -> None:
        """Take in what a message says."""
        match message.kind:
            case b"T":
                self.columns, self.cells = _read_columns(message.body), []
            case b"t":
                self.type_oids = _read_types(message.body)
            case b"D" if len(self.cells) < ROWS_MOST:
                self.cells.append(_read_cells(message.body))
            case b"C":
                self.tags.append(message.body.rstrip(b"\0").decode())
            case b"E":
                self.errors.append(message)
                self.refusal = self.refusal or read_refusal(message.body)

    def suspend(self, sql: str) -> None:
        """Note that the client has not asked for all rows of a statement: the server tells no tag then."""
        command = command_of(sql).upper()
        self.tags.append(f"{command}{' 0' if command == 'INSERT' else ''} {len(self.cells)}")

    def answer(self, columns: Sequence[Column] = ()) -> Answer:
        """Return it as the answer of a statement.

        Args:
            columns: of its rows, where the client knew them from before and did not ask again.
        """
        if self.refusal:
            return Answer(refusal=self.refusal)
        described = self.columns or tuple(columns)
        names = distinct_names([column.name for column in described])
        rows = tuple(
            {
                name: decode(Parameter(cell, column.is_binary, column.type_oid))
                for name, column, cell in zip(names, described, cells, strict=False)
            }
            for cells in self.cells
        )
        sources = tuple((column.table, column.number) for column in described)
        return Answer(rows, self.tags[-1] if self.tags else "", sources)


@lru_cache
def _loader(type_oid: int, *, is_binary: bool) -> Loader:
    return Transformer().get_loader(type_oid, pq.Format.BINARY if is_binary else pq.Format.TEXT)


def decode(value: Parameter) -> Any:
    """Return the value that came over the wire; what has no type that is known, as text, or as bytes in hexadecimal."""
    if value.value is None:
        return None
    data: Buffer = value.value
    if value.type_oid:
        try:
            return _loader(value.type_oid, is_binary=value.is_binary).load(data)
        except (psycopg.Error, ValueError):  # e.g. a date that Python has none for
            pass
    if not value.is_binary:
        return bytes(data).decode("utf-8", "replace")
    return f"\\x{bytes(data).hex()}"


def _read_columns(body: bytes) -> tuple[Column, ...]:
    count = int.from_bytes(body[:2])
    place = 2
    found = []
    for _ in range(count):
        end = body.index(b"\0", place)
        name = body[place:end].decode("utf-8", "replace")
        place = end + 1
        table, number, type_oid = (
            int.from_bytes(body[place : place + 4]),
            int.from_bytes(body[place + 4 : place + 6]),
            int.from_bytes(body[place + 6 : place + 10]),
        )
        found.append(Column(name, table, number, type_oid, body[place + 16 : place + 18] == b"\0\1"))
        place += 18
    return tuple(found)


def _read_types(body: bytes) -> tuple[int, ...]:
    return tuple(int.from_bytes(body[2 + 4 * n : 6 + 4 * n]) for n in range(int.from_bytes(body[:2])))


def _read_cells(body: bytes) -> tuple[bytes | None, ...]:
    count = int.from_bytes(body[:2])
    place = 2
    cells: list[bytes | None] = []
    for _ in range(count):
        length = int.from_bytes(body[place : place + 4], signed=True)
        place += 4
        cells.append(None if length < 0 else body[place : place + length])
        place += max(0, length)
    return tuple(cells)


def read_refusal(body: bytes) -> Refusal:
    fields = {piece[:1]: piece[1:].decode("utf-8", "replace") for piece in body.split(b"\0") if piece}
    return Refusal(fields.get(b"C", ""), fields.get(b"M", ""))

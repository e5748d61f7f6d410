"""Rows as the database spells them: evidence that no value can spoil.

Python's types are narrower than a server's: there is no infinity among its dates, and no month in its intervals. So the
server writes each value out as text. Two kinds of columns stay what JSON has a word for, by their declared type: integers
(smallint, integer, bigint, oid) and booleans. Text longer than a limit is cut by the server, and says how long it was; so
rows of a gigabyte are not carried either.

SQLite has types of values and none of columns: there a column is of integers where every value shown is one.
"""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any

from psycopg.pq.abc import PGresult

Rows = list[dict[str, Any]]

CHARACTERS_MAX = 20_000  # of a value; some 500 operation ids
CHARACTERS_MIN = 100
CHARACTERS_OF_ALL = 50_000_000

_BOOLEAN = 16
_INTEGERS = frozenset({20, 21, 23, 26})


def limit_of_a_value(row_limit: int, column_count: int) -> int:
    """Return how many characters of each value to keep, so that all of the evidence stays within memory."""
    cells = max(1, row_limit * column_count)
    return min(CHARACTERS_MAX, max(CHARACTERS_MIN, CHARACTERS_OF_ALL // cells))


def types_of(result: PGresult) -> list[int]:
    """Return the oids of the columns' types."""
    return [result.ftype(number) for number in range(result.nfields)]


def select_text(text: str, types: Sequence[int], limit: int) -> str:
    """Return a query for the rows of a query, in its order, each value as text of at most so many characters.

    Args:
        text: the query, without a semicolon.
        types: of its columns.
    """
    names = [f"c{number}" for number in range(len(types))]
    plain = [kind in _INTEGERS or kind == _BOOLEAN for kind in types]
    # format() calls the type's own output function, where a cast may be another; a row of nulls is a value to it. What is
    # counted by num_nulls is the value itself: `row(null) is null` is true.
    written = [
        name if is_plain else f"case pg_catalog.num_nulls({name}) when 0 then pg_catalog.format('%s', {name}) end as {name}"
        for name, is_plain in zip(names, plain, strict=True)
    ]
    cut = [
        name
        if is_plain
        else f"case when pg_catalog.length({name}) > {limit} then pg_catalog.left({name}, {limit}) "
        f"|| '... (' || pg_catalog.length({name}) || ' characters)' else {name} end"
        for name, is_plain in zip(names, plain, strict=True)
    ]
    # `offset 0`: the server keeps the inner queries apart, so their order stays and each value is written out once.
    inner = f"select {', '.join(written)} from ({text}\n) as answer ({', '.join(names)}) offset 0"
    return f"select {', '.join(cut)} from ({inner}) as written"


def rows_of(result: PGresult, names: Sequence[str], types: Sequence[int]) -> Rows:
    """Return the rows of what `select_text` asked for."""
    readers = [_reader(kind) for kind in types]
    return [
        {
            name: None if (value := result.get_value(row, column)) is None else read(value)
            for column, (name, read) in enumerate(zip(names, readers, strict=True))
        }
        for row in range(result.ntuples)
    ]


def names_of(result: PGresult) -> list[str]:
    """Return the columns' names, each once."""
    return distinct([(result.fname(number) or b"").decode("utf-8", "replace") for number in range(result.nfields)])


def rows_of_sqlite(cursor: sqlite3.Cursor, row_limit: int) -> Rows:
    """Return the cursor's first rows."""
    names = distinct([column[0] for column in cursor.description])
    limit = limit_of_a_value(row_limit, len(names))
    found = [tuple(_cut(value, limit) for value in row) for row in islice(_each(cursor), row_limit)]
    kept = [all(value is None or isinstance(value, int) for value in column) for column in zip(*found, strict=True)]
    return [
        {
            name: value if is_integer or value is None else str(value)
            for name, value, is_integer in zip(names, row, kept, strict=True)
        }
        for row in found
    ]


def distinct(names: Sequence[str]) -> list[str]:
    """Return the names, repeated ones numbered: two tables' `id` are the columns `id` and `id_2` of a row."""
    taken = set(names)
    given: set[str] = set()
    made = []
    for name in names:
        number, new = 1, name
        while new in given or (number > 1 and new in taken):
            number += 1
            new = f"{name}_{number}"
        given.add(new)
        made.append(new)
    return made


def _reader(kind: int) -> Callable[[bytes], Any]:
    if kind in _INTEGERS:
        return int
    return (lambda value: value == b"t") if kind == _BOOLEAN else (lambda value: value.decode("utf-8", "replace"))


def _each(cursor: sqlite3.Cursor) -> Iterable[Sequence[Any]]:
    """Yield row by row: never two large ones at once."""
    while (row := cursor.fetchone()) is not None:
        yield tuple(row)


def _cut(value: Any, limit: int) -> Any:
    """Return the value as SQLite writes it, cut to the limit; integers and null as they are."""
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, float):
        return {float("inf"): "Inf", float("-inf"): "-Inf"}.get(value, repr(value))
    if isinstance(value, bytes):
        text = f"X'{value[:limit].hex().upper()}'"
        return text if len(value) <= limit else f"{text[:limit]}... ({len(value)} bytes)"
    return value if len(value) <= limit else f"{value[:limit]}... ({len(value)} characters)"

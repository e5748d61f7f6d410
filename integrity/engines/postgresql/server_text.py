"""Rows as PostgreSQL spells them; see engines/server_text.py."""

from collections.abc import Callable, Sequence
from typing import Any

from psycopg.pq.abc import PGresult

from integrity.engines.server_text import Rows, distinct

_BOOLEAN = 16
_INTEGERS = frozenset({20, 21, 23, 26})


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


def _reader(kind: int) -> Callable[[bytes], Any]:
    if kind in _INTEGERS:
        return int
    return (lambda value: value == b"t") if kind == _BOOLEAN else (lambda value: value.decode("utf-8", "replace"))

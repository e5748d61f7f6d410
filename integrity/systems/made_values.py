"""Values for columns that nobody gave one: candidates by type, and the database says which of them its checks take.

A check is an expression in the database's own words, with its functions and types, so nothing here understands one: values
are tried on it, a few hundred at most, in a query that reads no table.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product
from typing import Any

from sqlalchemy import (
    ARRAY,
    Boolean,
    Column,
    Date,
    DateTime,
    Enum,
    Integer,
    LargeBinary,
    Numeric,
    String,
    Time,
    Uuid,
    types,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeEngine

from integrity.errors import DatabaseError
from integrity.sql.name import literal, quoted
from integrity.systems.reflect import DomainType

COMBINATIONS_MAX = 500
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?![\w.])")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_TEXT = re.compile(r"'((?:[^']|'')*)'")

AskDatabase = Callable[[str], Sequence[Sequence[Any]]]
"""Asks the database a question that reads no table of its own."""


@dataclass(frozen=True, slots=True)
class Sought:
    """A column that needs a value.

    Args:
        number: of its row among those of its table, from 1 on: two rows get different values where there are some.
        checks: that speak of it, for what they name.
        domain: that its type is.
    """

    column: "Column[Any]"
    number: int
    checks: Sequence[str]
    domain: DomainType | None


def candidates(sought: Sought) -> list[str]:
    """Return values to try, as SQL literals, the likeliest first; none for a type that is not known here."""
    checks = [*sought.checks, *(sought.domain.checks if sought.domain else ())]
    kind = _without_domain(sought.column.type)
    said = [match for check in checks for match in _TEXT.findall(check)]
    numbers = [match for check in checks for match in _NUMBER.findall(check)]
    return list(dict.fromkeys(_of_type(kind, sought.column.name, sought.number, said, numbers)))


def is_of_type(value: str, column: "Column[Any]") -> bool:
    """Return whether a literal of SQL may be a value of a column: a text, a number or a truth value."""
    kind = _without_domain(column.type)
    if value in ("true", "false"):
        return isinstance(kind, Boolean)
    if value.startswith("'"):
        return isinstance(kind, String)  # as an Enum is
    return isinstance(kind, Numeric) or (isinstance(kind, Integer) and "." not in value)


def _without_domain(kind: TypeEngine[Any]) -> TypeEngine[Any]:
    while isinstance(kind, postgresql.DOMAIN):
        kind = kind.data_type
    return kind


def _of_type(  # noqa: PLR0912  (one a kind)
    kind: TypeEngine[Any], name: str, number: int, said: Sequence[str], numbers: Sequence[str]
) -> Iterator[str]:
    match kind:
        case Enum():
            labels = [str(label) for label in kind.enums]
            yield from map(literal, labels[number - 1 :] + labels[: number - 1])
        case Boolean():
            yield from ("false", "true") if number % 2 else ("true", "false")
        case Integer():
            yield from _integers(number, numbers)
        case Numeric():
            yield from (*_integers(number, numbers), *numbers, "0.5")
        case String():
            yield from map(literal, _fitting(_texts(name, number, said), kind.length))
        case Uuid():
            yield literal(f"00000000-0000-4000-8000-{number:012d}")
        case DateTime():
            yield from (literal(f"2030-01-{1 + number % 28:02d} 12:00:00"), literal("2000-01-01 00:00:00"))
            yield from map(literal, filter(_DAY.match, said))
        case Date():
            yield from (
                literal(f"2030-01-{1 + number % 28:02d}"),
                literal("2000-01-01"),
                *map(literal, filter(_DAY.match, said)),
            )
        case Time():
            yield literal(f"{number % 24:02d}:00:00")
        case LargeBinary():
            yield from (f"'\\x{number:02x}'", "'\\x'")
        case ARRAY():
            yield "'{}'"
            for each in islice(_of_type(kind.item_type, name, number, said, numbers), 5):
                yield "'{" + each.strip("'") + "}'"
        case types.JSON():
            yield from ("'{}'", "'[]'", "'[1]'", "'{\"a\": 1}'", "'1'")
        case _:
            if make := _SPECIAL.get(str(type(kind).__name__).upper()):
                yield from make(number)


def _integers(number: int, numbers: Sequence[str]) -> Iterator[str]:
    yield from map(str, (number, 100 * number, 0))
    for each in numbers:
        whole = int(float(each))
        yield from map(str, (whole, whole + number, whole - number))
    yield from map(str, (10, 1000, 18, 1_000_000, -1, -100))


def _texts(name: str, number: int, said: Sequence[str]) -> Iterator[str]:
    """Yield texts: what the checks name, one of the column's own name, then what is often asked for, and letters."""
    if said:  # where a check lists what it takes
        turned = [each.replace("''", "'") for each in said]
        yield from turned[(number - 1) % len(turned) :] + turned[: (number - 1) % len(turned)]
    yield from (f"{name}-{number}", f"{name.lower()}{number}@example.com", f"{number}", f"{name.lower()}_{number}")
    yield from ("EUR", "USD", "DE", "US", "a", "A", "active", f"https://example.com/{number}", f"+49301234{number:04d}")
    yield from (
        f"{number:06d}",
        "1.0.0",
        "00:00",
        "2030-01-01",
        f"00000000-0000-4000-8000-{number:012d}",
        f"A{number}",
        "x",
    )
    yield from (_letters(number, length) for length in (1, 2, 3, 4, 8, 16, 32))
    yield from (_letters(number, length).upper() for length in (1, 2, 3, 4, 8, 16, 32))


def _letters(number: int, length: int) -> str:
    text = ""
    for _ in range(length):
        number, letter = divmod(number, 26)
        text = chr(ord("a") + letter) + text
    return text


def _fitting(texts: Iterator[str], length: int | None) -> Iterator[str]:
    """Yield the texts that fit, then what is left of those that do not."""
    known = list(texts)
    yield from (each for each in known if length is None or len(each) <= length)
    yield from (each[-length:] for each in known if length is not None and len(each) > length)


_SPECIAL: Mapping[str, Callable[[int], Sequence[str]]] = {
    "INTERVAL": lambda number: (f"'{number} days'",),
    "INET": lambda number: (f"'10.0.0.{number}'",),
    "CIDR": lambda number: (f"'10.{number}.0.0/16'",),
    "MACADDR": lambda number: (f"'08:00:2b:01:02:{number:02x}'",),
    "MACADDR8": lambda number: (f"'08:00:2b:01:02:03:04:{number:02x}'",),
    "MONEY": lambda number: (f"'{number}.00'",),
    "OID": lambda number: (f"{number}",),
    "HSTORE": lambda number: (f"'a=>{number}'", "''"),
    "TSVECTOR": lambda number: (f"'word{number}'",),
    "TSQUERY": lambda number: (f"'word{number}'",),
    "BIT": lambda _number: ("B'1'", "B'0'", "B'00000001'"),
    "INT4RANGE": lambda number: (f"'[{number},{number + 1})'",),
    "INT8RANGE": lambda number: (f"'[{number},{number + 1})'",),
    "NUMRANGE": lambda number: (f"'[{number},{number + 1})'",),
    "DATERANGE": lambda number: (f"'[20{20 + number}-01-01,20{20 + number}-01-02)'",),
    "TSRANGE": lambda number: (f"'[20{20 + number}-01-01,20{20 + number}-01-02)'",),
    "TSTZRANGE": lambda number: (f"'[20{20 + number}-01-01,20{20 + number}-01-02)'",),
}


def within_domain(domain: DomainType, values: Sequence[str], ask: AskDatabase) -> list[str]:
    """Return the values that a domain takes."""
    if not domain.checks:
        return list(values)
    taken = " and ".join(f"({_VALUE.sub('tried.value', check)}) is not false" for check in domain.checks)

    def question(numbers: Sequence[int]) -> str:
        rows = " union all ".join(f"select {number}, cast({values[number]} as {domain.base})" for number in numbers)
        return f"select tried.number from ({rows}) as tried (number, value) where {taken}"

    return [values[number] for number in _taken(question, range(len(values)), ask)]


_VALUE = re.compile(r"\bVALUE\b")


def combinations_taken(
    place: str, cells: Mapping[str, str], tried: Mapping[str, Sequence[str]], checks: Sequence[str], ask: AskDatabase
) -> list[dict[str, str]]:
    """Return the combinations of values that all checks take, the likeliest first.

    Args:
        place: the table, as SQL names it; empty: rows are untyped, as SQLite's are.
        cells: expressions of the other columns, as far as they are known.
        tried: column -> its candidates.
    """
    combinations = [dict(zip(tried, values, strict=True)) for values in islice(product(*tried.values()), COMBINATIONS_MAX)]
    taken = " and ".join(f"({check}) is not false" for check in checks)

    def question(numbers: Sequence[int]) -> str:
        rows = _tried(place, {number: {**cells, **combinations[number]} for number in numbers})
        return f"select tried_number from ({rows}) as tried where {taken}"

    return [combinations[number] for number in _taken(question, range(len(combinations)), ask)]


def _taken(question: Callable[[Sequence[int]], str], numbers: Sequence[int], ask: AskDatabase) -> list[int]:
    """Return the numbers that a question returns; of some that the database cannot be asked about, those of each half."""
    if not numbers:
        return []
    try:
        return sorted(row[0] for row in ask(question(numbers)))
    except DatabaseError:  # a value that is none of its type, or too great for what a check does with it
        half = len(numbers) // 2
        return [*_taken(question, numbers[:half], ask), *_taken(question, numbers[half:], ask)] if half else []


def _tried(place: str, rows: Mapping[int, Mapping[str, str]]) -> str:
    """Return a query of rows of a table with their numbers."""
    if not place:
        return " union all ".join(
            f"select {number} as tried_number, " + ", ".join(f"{value} as {quoted(name)}" for name, value in row.items())
            for number, row in rows.items()
        )
    documents = ", ".join(
        f"({number}, jsonb_build_object({', '.join(f'{literal(name)}, {value}' for name, value in row.items())}))"
        for number, row in rows.items()
    )
    return (
        f"select tried_number, typed.* from (values {documents}) as tried (tried_number, document),"
        f" lateral jsonb_populate_record(null::{place}, tried.document) as typed"
    )

"""A statement of psql's as it is sent: with a type for each value that its place gives none, and a parameter a place.

psql writes a value into the text, where 100 is an integer and '100' has the type that its place asks for. Here a value is a
parameter and has no type but that of its place; where the place asks for none, `:left - :right`, it is cast to what it
would be as a literal. A value beside a column, `id = :wallet_id`, stays as it was written, and so does a quoted one.

Only whoever sends a statement asks for this: all that is told of one, or tried with one, is in the words of its file.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any
from uuid import UUID

from integrity.operation import Statement
from integrity.sql.parameters import Mark, marks_in
from integrity.sql.tokens import Token, TokenKind, code_tokens

_COMPARED = frozenset({"=", "<", ">", "<=", ">=", "<>", "!="})
_BEFORE_COUNT = frozenset({"limit", "offset", "between"})
_OF_ANY = frozenset(
    {"concat", "concat_ws", "format", "json_build_array", "json_build_object", "jsonb_build_array", "jsonb_build_object"}
)
"""Functions to which a parameter without a type cannot be given, though a quoted literal can."""
_INTEGER_MOST = 2**31
_BIGINT_MOST = 2**63


@dataclass(frozen=True, slots=True)
class _Used:
    """A place of a value.

    Args:
        parameter: what it is sent as: of one value there are several, where places may say that it is of several types.
        is_typed: its place says of which type it is.
        is_any: its place takes values of every type, and so says of none.
    """

    name: str
    parameter: str
    start: int
    end: int
    is_typed: bool
    is_any: bool


def as_sent(statement: Statement) -> Statement:
    """Return what is sent of a statement; itself where it is none of psql's."""
    if statement.quoted is None:
        return statement
    sql, parts, at = statement.sql, [], 0
    parameters: dict[str, Any] = {}
    for used in _places_in(sql, statement.quoted):
        value = statement.parameters[used.name]
        cast = _any_type(value) if used.is_any else None if used.is_typed else _literal_type(value)
        parameters[used.parameter] = value
        parts += [sql[at : used.start], f"cast(:{used.parameter} as {cast})" if cast else f":{used.parameter}"]
        at = used.end
    return Statement("".join([*parts, sql[at:]]), parameters, statement.place)


@lru_cache(maxsize=4096)
def _places_in(sql: str, quoted: frozenset[str]) -> Sequence[_Used]:
    marks = {mark.start: mark for mark in marks_in(sql)}
    places: list[_Used] = []
    lexemes: list[Token | Mark] = []
    for token in code_tokens(sql):
        if token.start in marks:
            lexemes.append(marks[token.start])
        elif not isinstance(lexemes[-1] if lexemes else None, Mark) or token.start >= lexemes[-1].end:
            lexemes.append(token)
    texts = [each.text if isinstance(each, Token) else "" for each in lexemes]
    groups: list[str] = []  # what each open bracket stands behind
    closed = ""
    for number, each in enumerate(lexemes):
        before, behind = texts[number - 1] if number else "", texts[number + 1] if number + 1 < len(texts) else ""
        if isinstance(each, Token):
            if each.is_sign("("):
                groups.append("values" if before == "values" or (before == "," and closed == "values") else before)
            elif each.is_sign(")"):
                closed = groups.pop() if groups else ""
            continue
        group = groups[-1] if groups else ""
        in_list = (group == "in" or (group == "values" and "insert" in texts)) and before in ("(", ",")
        is_cast = behind == ":" and sql[each.end :].lstrip().startswith("::")
        is_typed = each.name in quoted or is_cast or _stands_by_column(lexemes, number)
        is_typed = is_typed or (not _is_operator(lexemes, number + 1) and (in_list or before in _BEFORE_COUNT))
        is_any = group in _OF_ANY and before in ("(", ",")
        places.append(_Used(each.name, each.name, each.start, each.end, is_typed, is_any))
    return _told_apart(places)


def _told_apart(places: Sequence[_Used]) -> list[_Used]:
    """Return the places with a parameter of its own for each that says of a type: two may say of different ones.

    Those of one value that are cast are one parameter, for they are of one type.
    """
    taken = {place.name for place in places}
    named: dict[tuple[str, str], str] = {}
    apart = []
    for number, place in enumerate(places):
        kind = "any" if place.is_any else f"place {number}" if place.is_typed else "cast"
        if (place.name, kind) not in named:
            is_first = all(name != place.name for name, _ in named)
            free = (f"{place.name}_{count}" for count in range(2, len(places) + len(taken) + 2))
            named[place.name, kind] = place.name if is_first else next(name for name in free if name not in taken)
            taken.add(named[place.name, kind])
        apart.append(replace(place, parameter=named[place.name, kind]))
    return apart


def _stands_by_column(lexemes: Sequence[Token | Mark], number: int) -> bool:
    """Whether the value is all of one side of a comparison, or of what is set, and a column the other."""
    behind_column = _is_compared(lexemes, number - 1) and _is_column(lexemes, number - 2)
    if behind_column:
        return not _is_operator(lexemes, number + 1)
    before_column = _is_compared(lexemes, number + 1) and _is_column(lexemes, number + 2)
    if before_column and not _is_operator(lexemes, number - 1):
        return not (_is_operator(lexemes, number + 3) or _is_sign(lexemes, number + 3, "("))
    return False


def _is_column(lexemes: Sequence[Token | Mark], place: int) -> bool:
    each = lexemes[place] if 0 <= place < len(lexemes) else None
    return isinstance(each, Token) and each.is_name


def _is_compared(lexemes: Sequence[Token | Mark], place: int) -> bool:
    each = lexemes[place] if 0 <= place < len(lexemes) else None
    return isinstance(each, Token) and each.kind is TokenKind.OPERATOR and each.text in _COMPARED


def _is_operator(lexemes: Sequence[Token | Mark], place: int) -> bool:
    each = lexemes[place] if 0 <= place < len(lexemes) else None
    return isinstance(each, Token) and (each.kind is TokenKind.OPERATOR or each.is_sign("["))


def _is_sign(lexemes: Sequence[Token | Mark], place: int, sign: str) -> bool:
    each = lexemes[place] if 0 <= place < len(lexemes) else None
    return isinstance(each, Token) and each.is_sign(sign)


def _literal_type(value: Any) -> str | None:
    """Return the type that the value has as a literal of SQL; None: that of its place."""
    match value:
        case bool():
            return "boolean"
        case int() if -_INTEGER_MOST <= value < _INTEGER_MOST:
            return "integer"
        case int() if -_BIGINT_MOST <= value < _BIGINT_MOST:
            return "bigint"
        case int() | Decimal():
            return "numeric"
        case float():
            return "double precision"
    return None


def _any_type(value: Any) -> str | None:
    """Return the type that the value has where any will do; None: null."""
    match value:
        case str():
            return "text"
        case UUID():
            return "uuid"
        case datetime():
            return "timestamptz"
        case date():
            return "date"
    return _literal_type(value)

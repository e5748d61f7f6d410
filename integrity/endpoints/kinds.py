"""Kinds of arguments: how a value is spelt in a URL, in a header and in JSON, and read back from there.

A value that is read has the type that the operation takes, or it is refused: what came from outside never reaches a
statement as something else.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import Any
from uuid import UUID

from integrity.domain import Domain, IntegerIn, MomentIn, NewText, NewUuid, NumericIn, OneOf
from integrity.value import Value

_LARGEST = 2**63
NUMBER_LETTERS_MOST = 400
"""Of a decimal number that is read: one of PostgreSQL's may be longer, none that an operation of ours takes."""


class Kind(Enum):
    """What an argument is; its value says so in messages."""

    INTEGER = "a whole number"
    NUMBER = "a decimal number"
    TEXT = "a text"
    UUID = "a UUID"
    MOMENT = "a time in ISO 8601"
    BOOLEAN = "true or false"
    BYTES = "base64"


class UnreadableMessage(Exception):
    """What came down a stream is none of its messages; `str` says why."""


class Unreadable(Exception):
    """A value is not of its kind."""


def spell(kind: Kind, value: Value) -> str:
    """Return the value as a URL and a header hold it, before anything in it is escaped."""
    spelt = spell_json(kind, value)
    return ("true" if spelt else "false") if kind is Kind.BOOLEAN else str(spelt)


def spell_json(kind: Kind, value: Any) -> Any:
    """Return the value as a body of JSON holds it: whole numbers, texts and booleans as such, all else as text."""
    if kind is Kind.BYTES:
        return base64.b64encode(bytes(value)).decode()
    if kind is Kind.MOMENT:
        return value.isoformat()
    return value if kind in (Kind.INTEGER, Kind.TEXT, Kind.BOOLEAN) else str(value)


def read(kind: Kind, text: str) -> Value:
    """Return the value that a text spells.

    Raises:
        Unreadable: it spells none of that kind.
    """
    if kind is Kind.INTEGER:
        if not text.removeprefix("-").isascii() or not text.removeprefix("-").isdigit() or len(text) > 20:
            raise Unreadable
        return _within(int(text))
    if kind is Kind.BOOLEAN:
        if text not in ("true", "false"):
            raise Unreadable
        return text == "true"
    return _READERS[kind](text)


def read_json(kind: Kind, value: Any) -> Value:
    """Return the value that a member of JSON spells.

    Raises:
        Unreadable: it spells none of that kind.
    """
    if kind is Kind.INTEGER:
        if type(value) is not int:
            raise Unreadable
        return _within(value)
    if kind is Kind.BOOLEAN:
        if type(value) is not bool:
            raise Unreadable
        return value
    if kind is Kind.NUMBER and type(value) in (int, float):
        return Decimal(repr(value))
    if not isinstance(value, str):
        raise Unreadable
    return _READERS[kind](value)


def kind_of(domain: Domain) -> Kind | None:
    """Return the kind of a domain's values; None: the domain does not say, as keys of rows do not."""
    if isinstance(domain, OneOf):
        return next((kind for type_, kind in _KINDS.items() if isinstance(domain.values[0], type_)), None)
    return next((kind for type_, kind in _OF_DOMAINS.items() if isinstance(domain, type_)), None)


def _within(value: int) -> int:
    if not -_LARGEST <= value < _LARGEST:
        raise Unreadable
    return value


def _text(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a pair
        raise Unreadable from None
    if "\0" in text:
        raise Unreadable  # no database holds it
    return text


def _number(text: str) -> Decimal:
    try:
        number = Decimal(text) if len(text) <= NUMBER_LETTERS_MOST else Decimal("nan")
    except InvalidOperation:
        raise Unreadable from None
    if not number.is_finite():
        raise Unreadable
    return number


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise Unreadable from None


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Unreadable from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Unreadable from None


_READERS: Mapping[Kind, Callable[[str], Value]] = {
    Kind.NUMBER: _number,
    Kind.TEXT: _text,
    Kind.UUID: _uuid,
    Kind.MOMENT: _moment,
    Kind.BYTES: _bytes,
}
_KINDS = {
    bool: Kind.BOOLEAN,
    int: Kind.INTEGER,
    str: Kind.TEXT,
    Decimal: Kind.NUMBER,
    UUID: Kind.UUID,
    datetime: Kind.MOMENT,
    bytes: Kind.BYTES,
}
_OF_DOMAINS = {
    IntegerIn: Kind.INTEGER,
    NumericIn: Kind.NUMBER,
    MomentIn: Kind.MOMENT,
    NewUuid: Kind.UUID,
    NewText: Kind.TEXT,
}

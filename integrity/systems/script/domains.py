"""Domains as a header writes them: `-- parameter amount_minor: integer 1..500`.

key of wallets                    the primary key of a row of the table
key of (select id from ...)       the first column of a row of the query
integer 1..500                    both included; `integer 100..600 by 100`
numeric 0.01..99.99               with as many digits behind the point as the bounds have
choice card, cash                 one of these words, numbers, or 'texts'
boolean                           true or false
uuid, text                        one that no row has yet
timestamp                         within the coming week; `timestamp now - 1 day..now + 30 days`
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from integrity.domain import Domain, IntegerIn, Key, KeyOf, MomentIn, NewText, NewUuid, NumericIn, OneOf
from integrity.sql.header import Moment, read_moment
from integrity.suggestion import suggest

NAME = r'[^\W\d]\w*|"(?:[^"]|"")+"'
TABLE = rf"(?:(?:{NAME})\s*\.\s*)?(?:{NAME})"
FORMS = (
    "A domain is `key of wallets`, `key of (select id from ...)`, `integer 1..500`, `numeric 0.01..99.99`, "
    "`choice card, cash`, `boolean`, `uuid`, `text` or `timestamp`."
)

_KEY_OF_TABLE = re.compile(rf"of\s+(?P<table>{TABLE})")
_KEY_OF_QUERY = re.compile(r"of\s*\(\s*(?P<query>(?:select|with)\b.+?)\s*\)", re.IGNORECASE | re.DOTALL)
_INTEGERS = re.compile(r"(?P<least>-?\d{1,18})\s*\.\.\s*(?P<most>-?\d{1,18})(?:\s+by\s+(?P<step>\d{1,18}))?")
_NUMBERS = re.compile(r"(?P<least>-?\d{1,20}(?:\.\d{1,20})?)\s*\.\.\s*(?P<most>-?\d{1,20}(?:\.\d{1,20})?)")
_CHOICE = re.compile(r"\s*(?:'(?P<text>(?:[^']|'')*)'|(?P<word>[^\s',][^',]*?))\s*(?:,|$)")
_QUERY = re.compile(r"\(\s*(?:select|with)\b|select\s", re.IGNORECASE)
_MOMENTS = re.compile(r"(?P<least>now[^.]*?)\s*\.\.\s*(?P<most>now.*)")


_FROM = re.compile(rf"\bfrom\s+(?P<table>{TABLE})", re.IGNORECASE)


class NoDomain(Exception):
    """The text is no domain; the message says why."""


@dataclass(frozen=True, slots=True)
class DeclaredDomain:
    """What a parameter is drawn from.

    Args:
        table: whose primary key it is, as SQL names it; empty: of none.
        query: that the keys are those of; empty: of none.
    """

    domain: Domain
    table: str = ""
    query: str = ""

    @property
    def tables(self) -> tuple[str, ...]:
        """The table whose keys it draws, as SQL names it: of a query the first that it reads; none if it draws none."""
        found = _FROM.search(self.query)
        return (found["table"],) if found else (self.table,) if self.table else ()


def read_domain(text: str, *, operation: str, parameter: str) -> DeclaredDomain:
    """Return the domain that a header gives a parameter.

    Raises:
        NoDomain: it is none.
    """
    word, _, rest = text.strip().partition(" ")
    if word not in _READERS:
        raise NoDomain(suggest(word, _READERS, always=FORMS))
    return _READERS[word](rest.strip(), f"new_{parameter}" if word in ("uuid", "text") else f"{operation}_{parameter}")


def plain_name(table: str) -> str:
    """Return a table's own name, without its schema and its quotes; one that is not quoted in lower case."""
    return _plain(re.findall(NAME, table)[-1])


def schema_name(table: str) -> str:
    """Return the name of the schema that a table's has in front of it, in the same way; empty if it has none."""
    first, *others = re.findall(NAME, table)
    return _plain(first) if others else ""


def _plain(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()


def tables_in(query: str) -> list[str]:
    """Return the plain names of the tables behind the `from` of a query."""
    return [plain_name(match["table"]) for match in _FROM.finditer(query)]


def _key(text: str, pool: str) -> DeclaredDomain:
    if match := _KEY_OF_TABLE.fullmatch(text):
        return DeclaredDomain(KeyOf(plain_name(match["table"])), table=match["table"])
    if match := _KEY_OF_QUERY.fullmatch(text):
        return DeclaredDomain(KeyOf(pool), query=match["query"])
    raise NoDomain("Name a table or a query: `key of wallets`, `key of (select id from wallets where is_open)`.")


def _integer(text: str, _pool: str) -> DeclaredDomain:
    match = _INTEGERS.fullmatch(text)
    if match is None or int(match["least"]) > int(match["most"]) or match["step"] == "0":
        raise NoDomain(
            "Write the least and the greatest: `integer 1..500`; only every hundredth: `integer 100..600 by 100`."
        )
    return DeclaredDomain(IntegerIn(int(match["least"]), int(match["most"]), int(match["step"] or 1)))


def _numeric(text: str, _pool: str) -> DeclaredDomain:
    match = _NUMBERS.fullmatch(text)
    if match is None or Decimal(match["least"]) > Decimal(match["most"]):
        raise NoDomain("Write the least and the greatest: `numeric 0.01..99.99`.")
    return DeclaredDomain(NumericIn(Decimal(match["least"]), Decimal(match["most"])))


def _choice(text: str, _pool: str) -> DeclaredDomain:
    if _QUERY.match(text):
        query = text if text.startswith("(") else f"({text})"
        raise NoDomain(f"A query gives keys, and is asked: `key of {query}`; of a choice the values are written.")
    values: list[Key] = []
    at = 0
    while match := _CHOICE.match(text, at) if at < len(text) else None:
        said = match["word"]
        is_number = said is not None and re.fullmatch(r"-?\d{1,18}", said)
        values.append(int(said) if is_number else said if said is not None else match["text"].replace("''", "'"))
        at = match.end()
    if not values or at < len(text):
        raise NoDomain("Name the values, a comma between them: `choice card, cash`, `choice 1, 2`, `choice 'a, b', 'c'`.")
    return DeclaredDomain(OneOf(tuple(values)))


def _timestamp(text: str, _pool: str) -> DeclaredDomain:
    match = _MOMENTS.fullmatch(text or "now..now + 7 days")
    ends = [read_moment(match[each].strip()) for each in ("least", "most")] if match else []
    least, most = (each.offset if isinstance(each, Moment) else None for each in ends or (None, None))
    if least is None or most is None or least > most:
        raise NoDomain("Write `timestamp`, or between what: `timestamp now - 1 day..now + 30 days`.")
    return DeclaredDomain(MomentIn(least, most))


def _alone(make: Callable[[str], Domain]) -> Callable[[str, str], DeclaredDomain]:
    def read(text: str, pool: str) -> DeclaredDomain:
        if text:
            raise NoDomain("Nothing stands behind `boolean`, `uuid` and `text`.")
        return DeclaredDomain(make(pool))

    return read


_READERS: Mapping[str, Callable[[str, str], DeclaredDomain]] = {
    "key": _key,
    "integer": _integer,
    "numeric": _numeric,
    "choice": _choice,
    "boolean": _alone(lambda _: OneOf((True, False))),
    "uuid": _alone(NewUuid),
    "text": _alone(NewText),
    "timestamp": _timestamp,
}
DOMAIN_WORDS = tuple(_READERS)
"""What a domain begins with."""

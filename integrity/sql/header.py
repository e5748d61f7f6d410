"""The header of a SQL file: the comment lines above its query, and what they declare.

    -- title: a wallet's balance equals the sum of its entries
    -- severity: error
    -- parameter: cutoff timestamptz = now - 15 minutes

An entry is a line of a key, a colon and a value; a line that is indented behind its dashes continues the one before. Blank
lines and plain comments may stand anywhere in it. A key that nobody knows is refused: it is a slip of the pen, and what it
was to say would be lost.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from integrity.sql.parameters import read_value
from integrity.suggestion import nearest, suggest
from integrity.value import Value
from integrity.verdict import Severity

HEADER_KEYS = {
    "title": "what must hold, or what is asked, in one sentence; needed",
    "severity": "`error` (the default) or `warning`, which leaves the exit code alone",
    "source": "where the rule comes from",
    "why": "why it matters",
    "hint": "what to look for where it is violated",
    "parameter": "`name type = default`, as often as needed; `:name` and psql's `:'name'` stand for its value",
    "limit-ms": "of a named query: how long it may take; no plan of it may read more than 1,000 rows from end to end",
    "index": "of a named query: the indexes that must serve it, with commas between",
    "sample": "of a named query: `name = select ...`, where values to try it with come from",
}
"""The keys -> what each says, for docs/writing-invariants.md."""
PARAMETER_TYPES = ("bigint", "integer", "numeric", "text", "boolean", "uuid", "date", "timestamptz", "jsonb")

_ENTRY = re.compile(r"--\s?(?P<key>[A-Za-z-]+)(?:\s+(?P<name>\w+))?\s*:(?!//|:)\s*(?P<value>.*?)\s*$")
_CONTINUATION = re.compile(r"--(\s{2,}(?P<value>.*?))?\s*$")
_MISPLACED = re.compile(r"--\s?(?P<key>title|severity)\s*:")
_PARAMETER = re.compile(r"(?P<name>[a-z_][a-z0-9_]*)\s+(?P<type>[a-z]+)(?:\s*=\s*(?P<default>.+))?$")
_SAMPLE = re.compile(
    r"(?P<names>[a-z_][a-z0-9_]*(?:\s*,\s*[a-z_][a-z0-9_]*)*)\s*=\s*(?P<query>(?:select|with)\s.+)$", re.DOTALL
)
_MOMENT = re.compile(r"now(?:\s*(?P<sign>[-+])\s*(?P<count>\d{1,9})\s*(?P<unit>second|minute|hour|day)s?)?$")

_UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))

PARAMETER_FORMS = {
    "timestamptz": " Write 2026-01-17T18:00:00Z, or now - 15 minutes.",
    "date": " Write 2026-01-17, or now - 15 days.",
    "boolean": " Write true or false.",
}
_PARAMETER_FORM = (
    "Write `-- parameter: name type = default`; the default is now, now - 15 minutes, null, a number or 'text'."
)


class TextFault(Exception):
    """What is wrong with a file's text, and where.

    Args:
        column: from 1; None: the whole line.
    """

    def __init__(self, reason: str, line: int, *, column: int | None = None, hint: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line
        self.column = column
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Moment:
    """A time that a default names: now, and so much later (or earlier, below zero)."""

    offset: timedelta

    def __str__(self) -> str:
        """As a header writes it."""
        seconds = round(abs(self.offset).total_seconds())
        unit, size = next((unit, size) for unit, size in _UNITS if seconds % size == 0)
        sign = "-" if self.offset < timedelta(0) else "+"
        return f"now {sign} {seconds // size} {unit}{'' if seconds // size == 1 else 's'}" if seconds else "now"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A declared parameter.

    Args:
        type: PostgreSQL's name of it, one of PARAMETER_TYPES.
        is_required: it has no default.
        default: a value, or a moment that is counted from the audit's now.
    """

    name: str
    type: str
    is_required: bool
    default: Value | Moment = None


@dataclass(frozen=True, slots=True)
class ValueSource:
    """Where values to try a query with come from.

    Args:
        names: of the parameters.
        query: one select, whose columns are their values.
    """

    names: tuple[str, ...]
    query: str


@dataclass(slots=True)
class Header:
    """What a header says.

    Args:
        entries: by key, all but parameters and samples.
        parameters: by name.
    """

    entries: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, Parameter] = field(default_factory=dict)
    samples: list[ValueSource] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class HeaderEntry:
    """One entry, what continues it joined to it.

    Args:
        name: between the key and the colon, where such a key has one: `-- parameter wallet_id: key of wallets`.
        line: of the text.
        column: of the value, from 1.
        line_count: with those that continue it.
    """

    key: str
    name: str
    value: str
    line: int
    column: int
    line_count: int = 1


def header_length(lines: list[str]) -> int:
    """Return how many lines stand above the query: comments and blank lines."""
    is_open = False
    for number, line in enumerate(lines):
        text = line.strip()
        if is_open or text.startswith("/*"):
            is_open = "*/" not in text
            if not is_open and not text.endswith("*/"):
                return number
        elif text and not text.startswith("--"):
            return number
    return len(lines)


def parse_header(text: str) -> Header:
    """Return the header of a file's text.

    Raises:
        TextFault: it says something that cannot be understood, or says it twice.
    """
    header = Header()
    for entry in read_entries(text, tuple(HEADER_KEYS)):
        line, key, value = entry.line, entry.key, entry.value
        if key == "parameter":
            parameter = _parse_parameter(value, line)
            if parameter.name in header.parameters:
                raise TextFault(f"parameter {parameter.name!r} is declared twice", line)
            header.parameters[parameter.name] = parameter
        elif key == "sample":
            header.samples.append(_parse_sample(value, line))
        elif key in header.entries:
            raise TextFault(f"a second {key!r} in the header", line)
        elif key == "severity" and value not in tuple(Severity):
            raise TextFault(f"unknown severity {value!r}", line, hint="It is error or warning.")
        elif key == "limit-ms" and not re.fullmatch(r"[1-9]\d{0,6}", value):
            raise TextFault(f"not a limit: {value!r}", line, hint="Write whole milliseconds, e.g. 50.")
        else:
            header.entries[key] = value
    if not header.entries.get("title"):
        raise TextFault("the header has no title", 1, hint="Start the file with `-- title: what must hold`.")
    for name in (name for sample in header.samples for name in sample.names):
        if name not in header.parameters:
            raise TextFault(f"a sample for parameter {name!r}, which is not declared", 1)
    return header


def read_entries(text: str, keys: Sequence[str], *, named: Collection[str] = ()) -> list[HeaderEntry]:
    """Return the entries of a text's header.

    Args:
        keys: that are known.
        named: those of them behind which a name may stand.

    Raises:
        TextFault: a key that nobody knows, one with a name that is nearly known, or a title or severity below the header.
    """
    entries: list[HeaderEntry] = []
    lines = text.splitlines()
    length = header_length(lines)
    is_open = False
    for number, line in _comments(lines[:length]):
        match = _ENTRY.match(line)
        more = _CONTINUATION.match(line)
        if more and is_open:
            last = entries[-1]
            value = f"{last.value} {more['value'] or ''}".strip()
            entries[-1] = replace(last, value=value, line_count=number - last.line + 1)
        elif match is not None and not more and (match["name"] is None or match["key"] in named):
            key = _known(match, number, keys)
            column = match.start("value") + 1 + len(lines[number - 1]) - len(lines[number - 1].lstrip())
            entries.append(HeaderEntry(key, match["name"] or "", match["value"], number, column))
            is_open = key != "parameter"
        else:
            if match is not None and not more:
                _refuse_misspelt(match, number, named)
            is_open = False
    for number, line in enumerate(lines[length:], start=length + 1):
        if found := _MISPLACED.match(line):
            hint = "The header ends where the query begins: move the line up."
            raise TextFault(f"{found['key']!r} below the first line of the query", number, column=4, hint=hint)
    return entries


def _comments(lines: list[str]) -> Iterator[tuple[int, str]]:
    """Yield number and text of the lines outside comments of the other kind; a blank one as a plain comment."""
    is_open = False
    for number, line in enumerate(lines, start=1):
        if is_open or line.strip().startswith("/*"):
            is_open = "*/" not in line
        else:
            yield number, line.strip() or "-- "


def _known(match: re.Match[str], line: int, keys: Sequence[str]) -> str:
    key = match["key"]
    if key not in keys:
        known = f"The header's keys are: {', '.join(keys)}. A plain comment has no colon behind its first word."
        hint = suggest(key.lower(), keys, always=known)
        raise TextFault(f"unknown header key {key!r}", line, column=match.start("key") + 1, hint=hint)
    return key


def _refuse_misspelt(match: re.Match[str], line: int, named: Collection[str]) -> None:
    """Refuse `-- parametr wallet_id: ...`: of two words and a colon, which may be prose, only what is all but a key."""
    if near := nearest(match["key"], named):
        hint = f"Perhaps you meant `-- {near} {match['name']}: ...`."
        raise TextFault(f"unknown header key {match['key']!r}", line, column=match.start("key") + 1, hint=hint)


def _parse_sample(value: str, line: int) -> ValueSource:
    match = _SAMPLE.match(value.removeprefix(":"))
    if match is None:
        form = "Write `-- sample: wallet_id = select id from ... limit 20`; several names, as many columns."
        raise TextFault(f"not a sample: {value!r}", line, hint=form)
    return ValueSource(tuple(name.strip() for name in match["names"].split(",")), match["query"])


def _parse_parameter(value: str, line: int) -> Parameter:
    match = _PARAMETER.match(value)
    if match is None:
        raise TextFault(f"not a parameter: {value!r}", line, hint=_PARAMETER_FORM)
    if match["type"] not in PARAMETER_TYPES:
        hint = f"The types are: {', '.join(PARAMETER_TYPES)}."
        raise TextFault(f"unknown parameter type {match['type']!r}", line, hint=hint)
    if match["default"] is None:
        return Parameter(match["name"], match["type"], is_required=True)
    try:
        default = _parse_default(match["default"], match["type"])
    except ValueError:
        raise TextFault(f"not a default: {match['default']!r}", line, hint=_PARAMETER_FORM) from None
    return Parameter(match["name"], match["type"], is_required=False, default=default)


def _parse_default(text: str, kind: str) -> Value | Moment:
    """Return the default that the text is.

    Raises:
        ValueError: it is none.
    """
    if moment := read_moment(text):
        return moment
    if text in ("null", "true", "false"):
        return {"null": None, "true": True, "false": False}[text]
    if re.fullmatch(r"-?\d{1,1000}", text):
        return int(text)
    if kind == "numeric" and re.fullmatch(r"-?\d{1,1000}\.\d{1,1000}", text):
        return text  # the server reads it: no digit is lost on the way
    if not re.fullmatch(r"'(?:[^']|'')*'", text):
        raise ValueError(text)
    return text[1:-1].replace("''", "'")


def read_given(kind: str, text: str) -> Value | Moment:
    """Return the value that somebody gives a parameter of that type, outside the file.

    Raises:
        ValueError: it is no such value.
    """
    moment = read_moment(text) if kind in ("timestamptz", "date") else None
    if moment is not None:
        return moment
    return None if text == "null" else read_value(kind, text)


def read_moment(text: str) -> Moment | None:
    """Return the moment that the text is, e.g. now - 15 minutes; None: it is none."""
    match = _MOMENT.match(text)
    if match is None:
        return None
    count = int(match["count"] or 0) * (-1 if match["sign"] == "-" else 1)
    return Moment(timedelta(**{f"{match['unit'] or 'second'}s": count}))

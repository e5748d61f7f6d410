"""SQL files: one question a file, with a header that says what it is about.

    -- title: a wallet's balance equals the sum of its entries
    -- severity: error
    -- why: guests spend what the cache says, not what the ledger says
    -- hint: look for calls that write an entry and the balance in two transactions
    -- parameter: cutoff timestamptz = now - 15 minutes
    select ...

A query with a limit also says how fast it must be (`-- limit-ms: 50`), which indexes must serve it (`-- index: name, name`)
and where values for its parameters come from (`-- sample: wallet_id = select id from ... limit 20`).

The header is the comment lines at the top; a line that is indented behind its dashes continues the one before. The query
is one read-only select in PostgreSQL's dialect. Everything that can be said about a file without a database is said here,
with its place; the file then goes to the server whole, header included, so that the position in a server's error is the
file's own line. What is asked of a database, and how, is left to others.
"""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path

import sqlglot
from sqlglot import TokenType, exp
from sqlglot.errors import ParseError, TokenError

from integrity.errors import SqlFileError, UsageError, quote
from integrity.operation import Value
from integrity.parameters import find_parameters, read_value, replace_parameters
from integrity.verdict import Severity

HEADER_KEYS = ("title", "severity", "source", "why", "hint", "parameter", "limit-ms", "index", "sample")
PARAMETER_TYPES = ("bigint", "integer", "text", "boolean", "uuid", "timestamptz")

_HEADER_LINE = re.compile(r"--\s?(?P<key>[a-z-]+)\s*:\s*(?P<value>.*?)\s*$")
_CONTINUATION = re.compile(r"--(\s{2,}(?P<value>.*?))?\s*$")
_PARAMETER = re.compile(r"(?P<name>[a-z_][a-z0-9_]*)\s+(?P<type>[a-z]+)(?:\s*=\s*(?P<default>.+))?$")
_SAMPLE = re.compile(
    r"(?P<names>[a-z_][a-z0-9_]*(?:\s*,\s*[a-z_][a-z0-9_]*)*)\s*=\s*(?P<query>(?:select|with)\s.+)$", re.DOTALL
)
_MOMENT = re.compile(r"now(?:\s*(?P<sign>[-+])\s*(?P<count>\d{1,9})\s*(?P<unit>second|minute|hour|day)s?)?$")
_PLACEHOLDER = re.compile(rf"\$(\d+)::(?:{'|'.join(PARAMETER_TYPES)})")

_UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))
_WRITES = (exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.DDL, exp.Command, exp.Copy, exp.Into, exp.Lock)
_WRITING_WORDS = {
    exp.Insert: "insert", exp.Update: "update", exp.Delete: "delete", exp.Merge: "merge", exp.Copy: "copy",
    exp.Into: "into", exp.Lock: "for",
}  # fmt: skip
# A read-only transaction stops writes to tables; these reach past it, to other sessions, settings or servers.
_REACHING_FUNCTIONS = frozenset(
    {
        "dblink", "dblink_connect", "dblink_exec", "lo_export", "lo_import", "nextval", "pg_cancel_backend", "pg_notify",
        "pg_reload_conf", "pg_terminate_backend", "set_config", "setval",
    }
)  # fmt: skip

logging.getLogger("sqlglot").setLevel(logging.ERROR)  # it warns about what we refuse with a better message


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
class Sample:
    """Where values to try a query with come from.

    Args:
        names: of the parameters.
        query: one select, whose columns are their values.
    """

    names: tuple[str, ...]
    query: str


@dataclass(frozen=True, slots=True)
class SqlFile:
    """One .sql file, read and checked.

    Args:
        name: its path below its folder, without .sql, e.g. "ghostpass/balance-equals-entries".
        path: where it is.
        title, source, why, hint: of the header; empty when it has none.
        text: all of it.
        limit_ms: how long it may take; None: nobody says.
        indexes: those that must serve it.
        samples: where values for its parameters come from.
    """

    name: str
    path: Path
    title: str
    severity: Severity
    source: str
    why: str
    hint: str
    parameters: tuple[Parameter, ...]
    text: str
    limit_ms: int | None = None
    indexes: tuple[str, ...] = ()
    samples: tuple[Sample, ...] = ()

    @property
    def query(self) -> str:
        """The text below the header."""
        lines = self.text.splitlines(keepends=True)
        return "".join(lines[_header_length(lines) :]).strip()

    @property
    def numbered(self) -> str:
        """What PostgreSQL is sent: the text up to its semicolon, `$1::type` for each of `parameter_names` in order."""
        types = {parameter.name: parameter.type for parameter in self.parameters}
        numbers = {name: f"${number}::{types[name]}" for number, name in enumerate(self.parameter_names, start=1)}
        return replace_parameters(without_semicolon(self.text), numbers.__getitem__)

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """The parameters that the query uses, in order of first appearance: all that are declared."""
        return find_parameters(self.text)

    def values(self, given: Mapping[str, Value], *, now: datetime) -> dict[str, Value]:
        """Return a value for every parameter: as given, else its default.

        Raises:
            UsageError: a required one is missing, or one is given that the file does not have.
        """
        unknown = sorted(given.keys() - {parameter.name for parameter in self.parameters})
        if unknown:
            known = ", ".join(parameter.name for parameter in self.parameters) or "none"
            raise UsageError(f"{self.name} has no parameter {unknown[0]!r}", hint=f"Its parameters are: {known}.")
        values: dict[str, Value] = {}
        for parameter in self.parameters:
            default = parameter.default
            if parameter.name not in given and parameter.is_required:
                raise UsageError(f"{self.name} needs a value for parameter {parameter.name!r}")
            values[parameter.name] = given.get(
                parameter.name, now + default.offset if isinstance(default, Moment) else default
            )
        return values

    def with_values(self, given: Mapping[str, str], *, place: str) -> "SqlFile":
        """Return the file with these values as the defaults of those of its parameters that are named.

        Args:
            given: as somebody wrote them; a time may be said as in a header: now - 15 minutes.
            place: where they were written, for errors.

        Raises:
            UsageError: a value is not of the parameter's type.
        """

        def with_value(parameter: Parameter) -> Parameter:
            text = given.get(parameter.name)
            if text is None:
                return parameter
            try:
                default = _read_default(parameter.type, text.strip())
            except ValueError:
                raise UsageError(
                    f"{place}: {parameter.name}: {quote(text)} is no {parameter.type}",
                    hint=f"{self.name} declares the parameter with that type.{_FORMS.get(parameter.type, '')}",
                ) from None
            return replace(parameter, default=default, is_required=False)

        return replace(self, parameters=tuple(map(with_value, self.parameters)))

    def describe_server_error(self, reason: str, *, position: int | None, hint: str | None) -> str:
        """Return a server's error with its place in this file, a caret and the server's hint.

        Args:
            position: where in `numbered`, from 1; None when the server did not say.
        """
        if position is None:
            return f"{_shown(self.path)}: {reason}" + (f"\n  hint: {hint}" if hint else "")
        before = self.numbered[: position - 1]
        names = self.parameter_names
        offset = len(_PLACEHOLDER.sub(lambda match: f":{names[int(match[1]) - 1]}", before))
        line, column = _place(self.text, offset)
        return _describe(self.path, self.text, line, column, reason) + (f"\n  hint: {hint}" if hint else "")


def read_sql_file(path: Path, *, name: str) -> SqlFile:
    """Return the file, checked.

    Raises:
        SqlFileError: it cannot be read, its header is wrong, or it is anything but one read-only select.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise SqlFileError(f"{_shown(path)}: cannot be read: {reason}") from None
    return parse_sql_file(text, path=path, name=name)


@lru_cache(maxsize=4096)
def parse_sql_file(text: str, *, path: Path, name: str) -> SqlFile:
    """Return the file that the text is, checked; `path` is for errors.

    Raises:
        SqlFileError: its header is wrong, or it is anything but one read-only select.
    """
    header, parameters, samples = _parse_header(text, path)
    if not header.get("title"):
        raise _error(path, text, 1, None, "the header has no title", hint="Start the file with `-- title: what must hold`.")
    _check_query(text, path)
    _check_parameters(text, path, parameters)
    return SqlFile(
        name=name,
        path=path,
        title=header["title"],
        severity=Severity(header.get("severity", "error")),
        source=header.get("source", ""),
        why=header.get("why", ""),
        hint=header.get("hint", ""),
        parameters=tuple(parameters.values()),
        text=text,
        limit_ms=int(header["limit-ms"]) if "limit-ms" in header else None,
        indexes=tuple(name.strip() for name in header.get("index", "").split(",") if name.strip()),
        samples=tuple(samples),
    )


@lru_cache(maxsize=4096)
def parse_query(text: str) -> exp.Query:
    """Return the syntax tree of a text that was checked before; shared, so never to be changed."""
    return next(tree for tree in sqlglot.parse(text, read="postgres") if isinstance(tree, exp.Query))


@lru_cache(maxsize=4096)
def without_semicolon(text: str) -> str:
    """Return the text up to the semicolon that ends it, so that it can stand inside another statement."""
    ends = [token.start for token in sqlglot.tokenize(text, read="postgres") if token.token_type == TokenType.SEMICOLON]
    return text[: ends[0]] if ends else text


def _parse_header(text: str, path: Path) -> tuple[dict[str, str], dict[str, Parameter], list[Sample]]:
    header: dict[str, str] = {}
    parameters: dict[str, Parameter] = {}
    samples: list[Sample] = []
    for number, key, value in _header_entries(text, path):
        if key == "parameter":
            parameter = _parse_parameter(value, path, text, number)
            if parameter.name in parameters:
                raise _error(path, text, number, None, f"parameter {parameter.name!r} is declared twice")
            parameters[parameter.name] = parameter
        elif key == "sample":
            samples.append(_parse_sample(value, path, text, number))
        elif key in header:
            raise _error(path, text, number, None, f"a second {key!r} in the header")
        elif key == "severity" and value not in tuple(Severity):
            raise _error(path, text, number, None, f"unknown severity {value!r}", hint="It is error or warning.")
        elif key == "limit-ms" and not re.fullmatch(r"[1-9]\d{0,6}", value):
            raise _error(path, text, number, None, f"not a limit: {value!r}", hint="Write whole milliseconds, e.g. 50.")
        else:
            header[key] = value
    for name in (name for sample in samples for name in sample.names):
        if name not in parameters:
            raise _error(path, text, 1, None, f"a sample for parameter {name!r}, which is not declared")
    return header, parameters, samples


def _header_entries(text: str, path: Path) -> list[tuple[int, str, str]]:
    """Return line, key and value of each entry of the header, what continues it joined to it."""
    entries: list[tuple[int, str, str]] = []
    lines = text.splitlines()
    for number, line in enumerate(lines[: _header_length(lines)], start=1):
        match = _HEADER_LINE.match(line)
        more = _CONTINUATION.match(line)
        if more and entries and entries[-1][1] != "parameter":
            entries[-1] = (*entries[-1][:2], f"{entries[-1][2]} {more['value'] or ''}".strip())
            continue
        if match is None or match["key"] not in HEADER_KEYS:
            what = f"unknown header key {match['key']!r}" if match else "not a header line"
            hint = f"The header's keys are: {', '.join(HEADER_KEYS)}. Other comments go below the first line of the query."
            raise _error(path, text, number, 4 if match else 1, what, hint=hint)
        entries.append((number, match["key"], match["value"]))
    return entries


def _parse_sample(value: str, path: Path, text: str, line: int) -> Sample:
    match = _SAMPLE.match(value.replace(":", "", 1) if value.startswith(":") else value)
    if match is None:
        form = "Write `-- sample: wallet_id = select id from ... limit 20`; several names, as many columns."
        raise _error(path, text, line, None, f"not a sample: {value!r}", hint=form)
    return Sample(tuple(name.strip() for name in match["names"].split(",")), match["query"])


def _header_length(lines: list[str]) -> int:
    return next((number for number, line in enumerate(lines) if not line.startswith("--")), len(lines))


def _parse_parameter(value: str, path: Path, text: str, line: int) -> Parameter:
    match = _PARAMETER.match(value)
    form = "Write `-- parameter: name type = default`; the default is now, now - 15 minutes, null, a number or 'text'."
    if match is None:
        raise _error(path, text, line, None, f"not a parameter: {value!r}", hint=form)
    if match["type"] not in PARAMETER_TYPES:
        known = ", ".join(PARAMETER_TYPES)
        raise _error(path, text, line, None, f"unknown parameter type {match['type']!r}", hint=f"The types are: {known}.")
    default = match["default"]
    if default is None:
        return Parameter(match["name"], match["type"], is_required=True)
    parsed: Value | Moment
    if moment := _read_moment(default):
        parsed = moment
    elif default in ("null", "true", "false"):
        parsed = {"null": None, "true": True, "false": False}[default]
    elif re.fullmatch(r"-?\d+", default):
        parsed = int(default)
    elif re.fullmatch(r"'(?:[^']|'')*'", default):
        parsed = default[1:-1].replace("''", "'")
    else:
        raise _error(path, text, line, None, f"not a default: {default!r}", hint=form)
    return Parameter(match["name"], match["type"], is_required=False, default=parsed)


def _read_moment(text: str) -> Moment | None:
    match = _MOMENT.match(text)
    if match is None:
        return None
    count = int(match["count"] or 0) * (-1 if match["sign"] == "-" else 1)
    return Moment(timedelta(**{f"{match['unit'] or 'second'}s": count}))


def _read_default(kind: str, text: str) -> Value | Moment:
    moment = _read_moment(text) if kind == "timestamptz" else None
    value: Value = None if text == "null" else read_value(kind, text) if moment is None else None
    return moment or value


_FORMS = {"timestamptz": " Write 2026-01-17T18:00:00Z, or now - 15 minutes.", "boolean": " Write true or false."}


def _check_query(text: str, path: Path) -> None:
    try:
        trees = [tree for tree in sqlglot.parse(text, read="postgres") if tree is not None]
    except ParseError as error:
        first = error.errors[0]
        line, column = int(first["line"]), int(first["col"]) - len(first["highlight"]) + 1  # sqlglot counts to its end
        reason = f"syntax error at or near {first['highlight']!r}"
        raise _error(path, text, line, column, reason, hint=_explain(first["description"])) from None
    except TokenError:
        raise _error(path, text, text.count("\n") + 1, None, "a quote, a name or a comment is not closed") from None
    if not trees or all(isinstance(tree, exp.Semicolon) for tree in trees):
        raise _error(path, text, text.count("\n") + 1, None, "no query below the header")
    if len([tree for tree in trees if not isinstance(tree, exp.Semicolon)]) > 1:
        ends = [token for token in sqlglot.tokenize(text, read="postgres") if token.text == ";"]
        line, column = _place(text, ends[0].end)
        raise _error(path, text, line, column, "more than one statement", hint="One question a file: split it in two.")
    tree = trees[0]
    written = next((node for node in tree.walk() if isinstance(node, _WRITES)), None)
    if written is not None or not isinstance(tree, exp.Query) or isinstance(tree, exp.Values):
        word = next((_WRITING_WORDS[kind] for kind in _WRITING_WORDS if isinstance(written, kind)), "")
        line, column, found = _find_word(text, word)
        hint = "The query selects the rows that violate, and changes and locks nothing."
        raise _error(path, text, line, column, f"not one read-only select: {found!r}", hint=hint)
    for function in tree.find_all(exp.Anonymous):
        if function.name.lower() in _REACHING_FUNCTIONS:
            line, column, found = _find_word(text, function.name.lower())
            raise _error(path, text, line, column, f"{found!r} reaches past a read-only transaction")


def _check_parameters(text: str, path: Path, parameters: Mapping[str, Parameter]) -> None:
    used = find_parameters(text)
    for name in used:
        if name not in parameters:
            match = next(match for match in re.finditer(rf":{name}\b", text) if match.start() >= len(_header(text)))
            line, column = _place(text, match.start())
            hint = f"Declare it in the header: `-- parameter: {name} text = 'default'`."
            raise _error(path, text, line, column, f"parameter {name!r} is not declared", hint=hint)
    for name in parameters:
        if name not in used:
            line, column = _place(text, text.index(name, text.index("parameter:")))
            raise _error(path, text, line, column, f"parameter {name!r} is not used by the query")


def _header(text: str) -> str:
    lines = text.splitlines(keepends=True)
    return "".join(lines[: _header_length(lines)])


def _find_word(text: str, word: str) -> tuple[int, int, str]:
    """Return line, column and text of the word's first token, or of the query's first one."""
    tokens = sqlglot.tokenize(text, read="postgres")
    token = next((token for token in tokens if word and token.text.lower().split(" ")[0] == word), tokens[0])
    line, column = _place(text, token.start)
    return line, column, token.text.lower()


def _place(text: str, offset: int) -> tuple[int, int]:
    """Return line and column of an offset, both from 1."""
    before = text[:offset]
    return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1


def _explain(description: str) -> str:
    """The parser's description without the names of its own classes."""
    return re.sub(r" for <class '[\w.]+'>", "", description).rstrip(".") + "."


def _error(path: Path, text: str, line: int, column: int | None, reason: str, *, hint: str | None = None) -> SqlFileError:
    return SqlFileError(_describe(path, text, line, column, reason), hint=hint)


def _describe(path: Path, text: str, line: int, column: int | None, reason: str) -> str:
    described = f"{_shown(path)}:{line}: {reason}"
    lines = text.splitlines()
    if column is None or line > len(lines):
        return described
    margin = f"  {line} | "
    # Tabs stay tabs before the caret, so that it stands below its word however wide the terminal shows them.
    indent = "".join("\t" if character == "\t" else " " for character in lines[line - 1][: column - 1])
    return f"{described}\n{margin}{lines[line - 1]}\n{' ' * len(margin)}{indent}^"


def _shown(path: Path) -> str:
    """The path as short as it can be: from the current folder where it is below it."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)

"""SQL files: one question a file, with a header that says what it is about.

    -- title: a wallet's balance equals the sum of its entries
    -- severity: error
    -- why: guests spend what the cache says, not what the ledger says
    -- hint: look for calls that write an entry and the balance in two transactions
    -- parameter: cutoff timestamptz = now - 15 minutes
    select ...

A query with a limit also says how fast it must be (`-- limit-ms: 50`), which indexes must serve it (`-- index: name, name`)
and where values for its parameters come from (`-- sample: wallet_id = select id from ... limit 20`).

The header is the comment lines at the top (header.py has the details). The query
is one read-only select in PostgreSQL's dialect. Everything that can be said about a file without a database is said here,
with its place; the file then goes to the server whole, header included, so that the position in a server's error is the
file's own line. A query that the parser does not know is no fault of the file: it has no tree, and the server is the judge
of its own SQL. What is asked of a database, and how, is left to others.
"""

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from integrity.errors import SqlFileError, UsageError, quote
from integrity.sql.header import (
    PARAMETER_FORMS,
    PARAMETER_TYPES,
    Moment,
    Parameter,
    TextFault,
    ValueSource,
    header_length,
    parse_header,
    read_given,
)
from integrity.sql.parameters import find_parameters, plain_comments, replace_parameters, unquote_parameters
from integrity.sql.place import Origin, describe_place, place_of
from integrity.sql.tokens import TokenKind, code_tokens, without_semicolon
from integrity.suggestion import suggest
from integrity.value import Value
from integrity.verdict import Severity

if TYPE_CHECKING:
    from sqlglot import exp

BYTES_MAX = 1_000_000  # of a file; the longest of ours has 4,000

_PLACEHOLDER = re.compile(rf"\$(\d+)::(?:{'|'.join(PARAMETER_TYPES)})")


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
        origins: what of a text that was made was written in the file at `path`; None: the text is the file's own.
        fault: why the file cannot be used, with its place; empty: it can.
        is_own: a project's, not one of a reference system.
        is_of_calls: made of what an operation's file says that it stores: there is nothing to ask before the first run.
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
    samples: tuple[ValueSource, ...] = ()
    origins: tuple[Origin, ...] | None = None
    fault: str = ""
    is_own: bool = False
    is_of_calls: bool = False

    @property
    def tree(self) -> "exp.Query | None":
        """The query's syntax tree, shared, so never to be changed; None: the parser does not know it."""
        from integrity.sql.query import find_query

        return find_query(self.text)

    @property
    def query(self) -> str:
        """The text below the header."""
        return _query_of(self.text)

    @property
    def numbered(self) -> str:
        """What PostgreSQL is sent: the text up to its semicolon, `$1::type` for each of `parameter_names` in order.

        Its comments in ASCII: a title may have characters that the database has not.
        """
        types = self.types
        numbers = {name: f"${number}::{types[name]}" for number, name in enumerate(self.parameter_names, start=1)}
        return replace_parameters(plain_comments(without_semicolon(self.text)), numbers.__getitem__)

    @property
    def types(self) -> dict[str, str]:
        """The types of its parameters, by their names."""
        return {parameter.name: parameter.type for parameter in self.parameters}

    @property
    def is_of_a_run(self) -> bool:
        """Whether it is asked of one run, whose id is taken from the database."""
        return any("run_id" in sample.names for sample in self.samples)

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
            known = [parameter.name for parameter in self.parameters]
            hint = suggest(unknown[0], known, always=f"Its parameters are: {', '.join(known) or 'none'}.")
            raise UsageError(f"{self.name} has no parameter {unknown[0]!r}", hint=hint)
        values: dict[str, Value] = {}
        for parameter in self.parameters:
            default = parameter.default
            if parameter.name not in given and parameter.is_required:
                raise UsageError(
                    f"{self.name} needs a value for parameter {parameter.name!r}",
                    hint=f"Give it: --set {parameter.name}=VALUE, a {parameter.type}.",
                )
            if isinstance(default, Moment):
                moment = now + default.offset
                default = moment.date().isoformat() if parameter.type == "date" else moment
            values[parameter.name] = given.get(parameter.name, default)
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
                default = read_given(parameter.type, text.strip())
            except ValueError:
                raise UsageError(
                    f"{place}: {parameter.name}: {quote(text)} is no {parameter.type}",
                    hint=f"{self.name} declares the parameter with that type.{PARAMETER_FORMS.get(parameter.type, '')}",
                ) from None
            return replace(parameter, default=default, is_required=False)

        return replace(self, parameters=tuple(map(with_value, self.parameters)))

    def describe_server_error(self, reason: str, *, position: int | None, hint: str | None) -> str:
        """Return a server's error with its place in this file, a caret and the server's hint.

        Args:
            position: where in `numbered`, from 1; None when the server did not say.
        """
        if position is None:
            return f"{shown_path(self.path)}: {reason}" + (f"\n  hint: {hint}" if hint else "")
        before = self.numbered[: position - 1]
        names = self.parameter_names
        offset = len(_PLACEHOLDER.sub(lambda match: f":{names[int(match[1]) - 1]}", before))
        line, column = place_of(self.text, offset)
        described = describe_place(shown_path(self.path), self.text, line, column, reason, origins=self.origins)
        return described + (f"\n  hint: {hint}" if hint else "")


def read_sql_file(path: Path, *, name: str) -> SqlFile:
    """Return the file, checked.

    Raises:
        SqlFileError: it cannot be read, its header is wrong, or it is anything but one read-only select.
    """
    return parse_sql_file(read_text(path), path=path, name=name)


def read_text(path: Path) -> str:
    """Return what a file of SQL says, or a file that SQL is made of.

    Raises:
        SqlFileError: it cannot be read.
    """
    try:
        text = _read(path).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise SqlFileError(f"{shown_path(path)}: cannot be read: {reason}") from None
    if "\0" in text:  # where the server would take the text to end
        raise SqlFileError(f"{shown_path(path)}: cannot be read: it holds a character 0")
    return text


def broken_file(path: Path, *, name: str, fault: str) -> SqlFile:
    """Return what stands for a file that cannot be used: it is listed, and judging it is unknown, for that reason."""
    return SqlFile(name, path, "", Severity.ERROR, "", "", "", (), "", fault=fault)


@lru_cache(maxsize=4096)
def parse_sql_file(text: str, *, path: Path, name: str, origins: tuple[Origin, ...] | None = None) -> SqlFile:
    """Return the file that the text is, checked; `path` and `origins` are for errors.

    Raises:
        SqlFileError: its header is wrong, or it is anything but one read-only select.
    """
    text = unquote_parameters(text)
    try:
        header = parse_header(text)
        if not _is_plainly_one_select(text):
            from integrity.sql.query import check_query

            check_query(text)
    except TextFault as fault:
        described = describe_place(shown_path(path), text, fault.line, fault.column, fault.reason, origins=origins)
        raise SqlFileError(described, hint=fault.hint) from None
    _check_parameters(text, path, header.parameters)
    entries = header.entries
    return SqlFile(
        name=name,
        path=path,
        title=entries["title"],
        severity=Severity(entries.get("severity", "error")),
        source=entries.get("source", ""),
        why=entries.get("why", ""),
        hint=entries.get("hint", ""),
        parameters=tuple(header.parameters.values()),
        text=text,
        limit_ms=int(entries["limit-ms"]) if "limit-ms" in entries else None,
        indexes=tuple(name.strip() for name in entries.get("index", "").split(",") if name.strip()),
        samples=tuple(header.samples),
        origins=origins,
    )


def _is_plainly_one_select(text: str) -> bool:
    """Whether the text can only be one select that writes and locks nothing, as far as its words tell.

    The parser would say so, too, or not know the query: it takes longer to import than all else that a list of files needs,
    and some milliseconds a file. What has any of these words in it, where they may well be harmless, is left to it.
    """
    tokens = code_tokens(text)
    if tokens and tokens[-1].is_sign(";"):
        tokens = tokens[:-1]
    if not tokens or not tokens[0].is_word("select", "with"):
        return False
    words = {token.text for token in tokens if token.kind is TokenKind.WORD}
    if not words.isdisjoint(_ACTING) or any(token.text == ";" for token in tokens):
        return False
    return "for" not in words or not any(
        one.is_word("for") and other.is_word("share", "key", "no") for one, other in pairwise(tokens)
    )


_ACTING_WORDS = """
    alter analyze call comment copy create delete drop execute grant insert into lock merge revoke set truncate update
    vacuum
"""
_ACTING = frozenset(_ACTING_WORDS.split())


def _read(path: Path) -> bytes:
    """Return the bytes of a file: of a regular one (a pipe would be waited for), and not without end.

    Raises:
        OSError: it cannot be read.
    """
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        raise OSError(0, "it is a folder" if stat.S_ISDIR(mode) else "not a regular file")
    with path.open("rb") as opened:
        content = opened.read(BYTES_MAX + 1)
    if len(content) > BYTES_MAX:
        raise OSError(0, f"longer than {BYTES_MAX:,} bytes")
    return content


def _check_parameters(text: str, path: Path, parameters: Mapping[str, Parameter]) -> None:
    used = find_parameters(text)
    for name in used:
        if name not in parameters:
            match = next(match for match in re.finditer(rf":{name}\b", text) if match.start() >= len(_header(text)))
            line, column = place_of(text, match.start())
            hint = f"Declare it in the header: `-- parameter: {name} text = 'default'`."
            raise _error(path, text, line, column, f"parameter {name!r} is not declared", hint=hint)
    for name in parameters:
        if name not in used:
            line, column = place_of(text, text.index(name, text.index("parameter:")))
            raise _error(path, text, line, column, f"parameter {name!r} is not used by the query")


def _query_of(text: str) -> str:
    lines = text.splitlines(keepends=True)
    return "".join(lines[header_length(lines) :]).strip()


def _header(text: str) -> str:
    lines = text.splitlines(keepends=True)
    return "".join(lines[: header_length(lines)])


def _error(path: Path, text: str, line: int, column: int | None, reason: str, *, hint: str | None = None) -> SqlFileError:
    return SqlFileError(describe_place(shown_path(path), text, line, column, reason), hint=hint)


def shown_path(path: Path) -> str:
    """Return the path as short as it can be: from the current folder where it is below it."""
    try:
        return printable_path(path.relative_to(Path.cwd()))
    except ValueError:
        return printable_path(path)


def printable_path(path: Path) -> str:
    """Return the path as text that can be written anywhere, though a folder may hold names that are no UTF-8."""
    return os.fsencode(path).decode("utf-8", "replace")

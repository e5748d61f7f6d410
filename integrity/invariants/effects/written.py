"""A TOML text that SQL is made of, read key by key: each value checked, and kept with its place.

Everything is read by hand and not by pydantic, which takes longer to import than a list of invariants needs. What is SQL is
checked as far as its signs tell: that it is one expression, and ends where it ends. The server judges the rest, and the
place of its judgement is found again: each text keeps its line and its key.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NoReturn

from integrity.errors import quote
from integrity.sql.name import literal, quoted, unquoted
from integrity.sql.parameters import find_parameters
from integrity.sql.tokens import Token, TokenKind, tokenize
from integrity.suggestion import suggest

_NAME = re.compile(r'[^"(\x00-\x1f][^"\x00-\x1f]*|"(?:[^"\x00-\x1f]|"")+"')
_PART = r'[^".\x00-\x1f]+|"(?:[^"\x00-\x1f]|"")+"'
_TABLE = re.compile(rf"(?:(?P<schema>{_PART})\.)?(?P<name>{_PART})")


class Mistake(Exception):
    """What is wrong with the text.

    Args:
        line: where; 0: nobody can say.
    """

    def __init__(self, reason: str, *, line: int = 0, hint: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Written:
    """SQL that somebody wrote, and where.

    Args:
        column: the name, where it is no more than that of a column or a table.
    """

    text: str
    line: int
    key: str
    column: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """A table of the text.

    Args:
        values: by key.
        path: the keys that lead to it.
        lines: of the whole text.
        shown: what messages add to its keys.
    """

    values: Mapping[str, Any]
    path: tuple[str | int, ...]
    lines: "_Lines"
    shown: str = ""

    def check_keys(self, known: Sequence[str]) -> None:
        """Refuse a key that nobody knows."""
        for key in self.values:
            if key not in known:
                hint = suggest(key, known, always=f"The keys are: {', '.join(known)}.")
                self.refuse(key, "there is no such key", hint=hint)

    def section(self, key: str) -> "Section":
        """Return the table that the key has."""
        values = self.values[key]
        if not isinstance(values, dict):
            self.refuse(key, f"{quote(values)} is no table", hint=f"Write it as [{key}], and its keys below.")
        return Section(values, (*self.path, key), self.lines)

    def text(self, key: str, *, default: str | None = None, hint: str = "") -> str:
        """Return the text that the key has; without a default it is needed."""
        value = self.values.get(key, default)
        if value is None:
            self.refuse(key, "it is missing", hint=hint)
        if not isinstance(value, str):
            self.refuse(key, f"{quote(value)} is no text", hint=hint)
        if not value.strip() or re.search(r"[\x00-\x08\x0b-\x1f\x7f]", value):
            self.refuse(key, f"{quote(value)} says nothing that can be used", hint=hint)
        return value.strip()

    def texts(self, key: str, *, hint: str) -> tuple[str, ...]:
        """Return the texts that the key has: one, a list of them, or none."""
        given = self.values.get(key, [])
        texts = [given] if isinstance(given, str) else given
        if not isinstance(texts, list) or not all(isinstance(each, str) and each.strip() for each in texts):
            self.refuse(key, f"{quote(given)} is neither a text nor a list of texts", hint=hint)
        return tuple(each.strip() for each in texts)

    def conditions(self, key: str) -> tuple[Written, ...]:
        """Return the SQL that the key has: one condition, a list of them, or none."""
        hint = f'Write {key} = "entries.is_final", or a list of such texts.'
        return tuple(self.sql(key, each) for each in self.texts(key, hint=hint))

    def column(self, key: str, alias: str, *, default: str | None = None, hint: str = "") -> Written:
        """Return the column that the key names, as SQL has it; what stands in parentheses is SQL."""
        value = self.text(key, default=default, hint=hint)
        if value.startswith("("):
            return self._in_parentheses(key, value)
        name = self.name(key, default=default)
        return self.written(f"{alias}.{quoted(name)}", key, column=name)

    def label(self, key: str, *, default: str) -> Written:
        """Return the text that the key has, as SQL has it; what stands in parentheses is SQL."""
        value = self.text(key, default=default)
        return self._in_parentheses(key, value) if value.startswith("(") else self.written(literal(value), key)

    def name(self, key: str, *, default: str | None = None, hint: str = "SQL stands in parentheses.") -> str:
        """Return the name that the key has, without its quotes."""
        value = self.text(key, default=default, hint=hint)
        if not _NAME.fullmatch(value):
            self.refuse(key, f"{quote(value)} is no name of a column", hint=hint)
        return unquoted(value)

    def table_name(self, key: str, *, schema: str) -> Written:
        """Return the table that the key names, with its schema; a table that names none is in this one."""
        hint = f'Say where it stands: {key} = "bank.entries", or only "entries".'
        spelled = self.text(key, hint=hint)
        found = _TABLE.fullmatch(spelled)
        if found is None:
            self.refuse(key, f"{quote(spelled)} is no name of a table", hint=hint)
        schema, name = unquoted(found["schema"] or "") or schema, unquoted(found["name"])
        return self.written(f"{quoted(schema)}.{quoted(name)}" if schema else quoted(name), key, column=name)

    def sql(self, key: str, text: str) -> Written:
        """Return the SQL, if it is one expression as far as its signs tell."""
        if reason := _describe_unfit(text):
            self.refuse(key, f"{quote(text)}: {reason}", hint="It stands within a query: write one expression.")
        return self.written(text, key)

    def written(self, text: str, key: str, *, column: str = "") -> Written:
        """Return the text with its place."""
        return Written(text, self.line(key), f"{key}{self.shown}", column)

    def line(self, key: str) -> int:
        """Return the line in which the key stands, or the table that it is in; 0: nobody can say."""
        return self.lines.find((*self.path, key))

    def refuse(self, key: str, reason: str, *, hint: str) -> NoReturn:
        """Raise what is wrong with the key's value."""
        raise Mistake(f"{key}{self.shown}: {reason}", line=self.line(key), hint=hint)

    def _in_parentheses(self, key: str, value: str) -> Written:
        inner = value[1:-1].strip()
        is_one = value.endswith(")") and not _describe_unfit(inner)  # and not "(a) + (b)"
        return self.sql(key, inner if is_one else value)


def parse_text(text: str) -> Section:
    """Return the whole text.

    Raises:
        Mistake: it is no TOML.
    """
    try:
        return Section(tomllib.loads(text), (), _Lines(text))
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"\(at line (\d+), column \d+\)", str(error))
        hint = 'A text stands in quotes: subject = "account_id".'
        raise Mistake(f"no TOML: {error}", line=int(found[1]) if found else 0, hint=hint) from None


def _describe_unfit(text: str) -> str:
    tokens = tokenize(text)
    depth = 0
    for token in tokens:
        depth += token.is_sign("(") - token.is_sign(")")
        if depth < 0:
            break
    if depth:
        return "its parentheses are no pairs"
    if any(token.is_sign(";") for token in tokens):
        return "a semicolon ends the query"
    if any(token.kind is TokenKind.COMMENT for token in tokens):
        return "it has a comment of SQL's, where TOML's are"
    if any(token.is_sign("'", '"') or _is_open(token) for token in tokens):
        return "a quote is not closed"
    if parameters := find_parameters(text):
        return f":{parameters[0]} is a parameter, and these invariants have their own"
    return ""


def _is_open(token: Token) -> bool:
    """Whether it is a string between dollars that nothing closes."""
    tag = token.text[: token.text.find("$", 1) + 1]
    return token.text.startswith("$") and not token.text.removeprefix(tag).endswith(tag)


_HEADER = re.compile(r"\s*(?P<open>\[\[?)\s*(?P<keys>[\w.\s\"'-]+?)\s*\]")
_KEY = re.compile(r"(?:^|[{,])\s*[\"']?(?P<key>[\w-]+)[\"']?\s*=")


class _Lines:
    """Where the keys of a TOML text stand, which tomllib does not say."""

    def __init__(self, text: str) -> None:
        self._text = text

    def find(self, path: tuple[str | int, ...]) -> int:
        """Return the line of a key, or of the table that it is in; 0 where it is written in another way than usual."""
        for length in range(len(path), 0, -1):
            if path[:length] in self._found:
                return self._found[path[:length]]
        return 0

    @cached_property
    def _found(self) -> Mapping[tuple[str | int, ...], int]:
        found: dict[tuple[str | int, ...], int] = {}
        path: tuple[str | int, ...] = ()
        counts: dict[str, int] = {}
        for number, line in enumerate(self._text.splitlines(), start=1):
            header = _HEADER.match(line)
            if header is not None and "=" not in line.partition("]")[0]:
                first, *others = (key.strip(" \t\"'") for key in header["keys"].split("."))
                if header["open"] == "[[":
                    counts[first] = counts.get(first, -1) + 1
                    found.setdefault((first,), number)
                path = (first, counts[first], *others) if first in counts else (first, *others)
                found.setdefault(path, number)
                continue
            keys = [match["key"] for match in _KEY.finditer(line)]
            for index, key in enumerate(keys):
                found.setdefault((*path, *keys[: min(index, 1)], key), number)
        return found

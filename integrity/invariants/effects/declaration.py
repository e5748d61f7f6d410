"""A system's effects.toml: where the effects of its operations stand, so that four invariants can be made of it.

    subject = "account_id"                # whose effect it is: a column of each table, and of the rows that are found

    [[effects]]
    table = "bank.entries"
    name = "entry"                        # what reports call it
    made_at = "created_at"
    where = "entries.kind <> 'opening'"
    stored = ["deposit", "withdraw"]      # an ok of these operations promises such a row

An effect is one of four invariants' unless it says otherwise, by the invariant's key: `failed = false` leaves it out there,
`failed = { where = "entries.is_final" }` says for that invariant alone what is different. `stored` is only asked about
where it is said. A column is a name of the table's; in parentheses it is SQL: `name = "('scanned_' || scans.direction)"`.

Everything is read by hand and not by pydantic, which takes longer to import than a list of invariants needs. What of it is
SQL is checked as far as its signs tell: that it is one expression, and ends where it ends. The server judges the rest, and
the place of its judgement is found again: each text keeps its line and its key.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, NoReturn

from integrity.errors import quote
from integrity.parameters import code_of, find_parameters, has_comment
from integrity.sqlname import literal, quoted
from integrity.verdict import Severity

FAMILIES = {
    "asked": "row-was-asked-for",
    "once": "call-at-most-once",
    "stored": "acknowledged-call-is-stored",
    "failed": "failed-call-left-nothing",
}
"""The invariants' names, by their keys."""

HEADER_KEYS = ("title", "severity", "source", "why", "hint")
_COLUMN_KEYS = ("name", "id", "subject", "made_at", "operation_id")
_USE_KEYS = (*_COLUMN_KEYS, "join", "where")
_STORED_KEYS = (*_USE_KEYS, "by", "operation", "found_by")
_FAILED_KEYS = (*_USE_KEYS, "moved")
_EFFECT_KEYS = ("table", "as", *_USE_KEYS, *FAMILIES)
_TAKEN = ("calls", "effects")  # what the relations are called that a place of `found_by` is joined to
_NAME = re.compile(r'[^"\x00-\x1f]+|"(?:[^"\x00-\x1f]|"")+"')
_PART = r'[^".\x00-\x1f]+|"(?:[^"\x00-\x1f]|"")+"'
_TABLE = re.compile(rf"(?:(?P<schema>{_PART})\.)?(?P<name>{_PART})")


class Mistake(Exception):
    """What is wrong with an effects.toml.

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
        column: the name, where it is no more than a column.
    """

    text: str
    line: int
    key: str
    column: str = ""


@dataclass(frozen=True, slots=True)
class Use:
    """An effect as one of the invariants asks about it.

    Args:
        table: with its schema, as SQL has it.
        alias: what the table is called in the query, as SQL has it.
        columns: name, id, subject, made_at, operation_id -> SQL; those that are needed.
        join, where: conditions are joined by `and`.
        by: the operations whose ok promises such a row.
        operation: which of them a row is of.
        found_by: what ties a call to its row, where that is not the operation_id.
        moved: what is summed up; None: that such a row is there is asked.
    """

    table: Written
    alias: str
    columns: Mapping[str, Written]
    join: tuple[Written, ...]
    where: tuple[Written, ...]
    by: tuple[str, ...] = ()
    operation: Written | None = None
    found_by: tuple[Written, ...] = ()
    moved: Written | None = None


@dataclass(frozen=True, slots=True)
class Declaration:
    """All that an effects.toml says.

    Args:
        system: whose history is asked.
        subject: what the rows that are found call whose effect it is.
        headers: invariant's key -> header's key -> text, where it is not the usual one.
        columns: what a row of `stored` shows beside the call: name -> SQL.
        uses: invariant's key -> effects, in the order in which they are written.
    """

    system: str
    subject: str
    headers: Mapping[str, Mapping[str, str]]
    columns: Mapping[str, Written]
    uses: Mapping[str, tuple[Use, ...]]


def parse_declaration(text: str, *, system: str) -> Declaration:
    """Return what the text of an effects.toml says.

    Args:
        system: that it is about if it names none.

    Raises:
        Mistake: it cannot be understood.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"\(at line (\d+), column \d+\)", str(error))
        raise Mistake(
            f"no TOML: {error}", line=int(found[1]) if found else 0, hint='A text stands in quotes: subject = "account_id".'
        ) from None
    return _Reader(document, _Lines(text)).read(system)


@dataclass(frozen=True, slots=True)
class _Table:
    """A table of the document, and where its keys stand."""

    values: Mapping[str, Any]
    path: tuple[str | int, ...]
    lines: "_Lines"
    shown: str = ""

    def check_keys(self, known: Sequence[str]) -> None:
        for key in self.values:
            if key not in known:
                near = get_close_matches(key, known, n=1)
                meant = f"Perhaps you meant {near[0]}. " if near else ""
                self.refuse(key, "there is no such key", hint=f"{meant}The keys are: {', '.join(known)}.")

    def text(self, key: str, *, default: str | None = None, hint: str = "") -> str:
        value = self.values.get(key, default)
        if value is None:
            self.refuse(key, "it is missing", hint=hint)
        if not isinstance(value, str):
            self.refuse(key, f"{quote(value)} is no text", hint=hint)
        if not value.strip() or re.search(r"[\x00-\x08\x0b-\x1f\x7f]", value):
            self.refuse(key, f"{quote(value)} says nothing that can be used", hint=hint)
        return value.strip()

    def written(self, text: str, key: str, *, column: str = "") -> Written:
        return Written(text, self.line(key), f"{key}{self.shown}", column)

    def line(self, key: str) -> int:
        return self.lines.find((*self.path, key))

    def refuse(self, key: str, reason: str, *, hint: str = "") -> NoReturn:
        raise Mistake(f"{key}{self.shown}: {reason}", line=self.line(key), hint=hint)


class _Reader:
    """Reads a document."""

    def __init__(self, document: Mapping[str, Any], lines: "_Lines") -> None:
        self._lines = lines
        self._top = _Table(document, (), lines)

    def read(self, system: str) -> Declaration:
        top = self._top
        top.check_keys(("system", "schema", "subject", *FAMILIES, "effects"))
        hint = 'Say by the name of a column whose effect it is: subject = "account_id".'
        subject = top.text("subject", hint=hint)
        if not _NAME.fullmatch(subject) or subject.startswith("("):
            top.refuse("subject", f"{quote(subject)} is no name of a column", hint=hint)
        headers = {key: self._header(key) for key in FAMILIES if key in top.values}
        uses: dict[str, list[Use]] = {key: [] for key in FAMILIES}
        for effect in self._effects():
            for family in FAMILIES:
                use = self._use(effect, family, subject)
                if use is not None:
                    uses[family].append(use)
        self._check_sums(uses["failed"])
        return Declaration(
            system=top.text("system", default=system or None, hint='Say whose calls are asked about: system = "bank".'),
            subject=subject,
            headers=headers,
            columns=self._more_columns(),
            uses={family: tuple(found) for family, found in uses.items() if found},
        )

    def _header(self, family: str) -> dict[str, str]:
        table = self._sub(self._top, family)
        table.check_keys((*HEADER_KEYS, "columns") if family == "stored" else HEADER_KEYS)
        header = {key: table.text(key) for key in table.values if key in HEADER_KEYS}
        for key, value in header.items():
            if len(value.splitlines()) > 1:
                table.refuse(key, "it is of more than one line")
        if header.get("severity", "error") not in tuple(Severity):
            table.refuse("severity", f"unknown severity {quote(header['severity'])}", hint="It is error or warning.")
        return header

    def _more_columns(self) -> dict[str, Written]:
        stored = self._top.values.get("stored", {})
        if "columns" not in stored:
            return {}
        columns = self._sub(self._sub(self._top, "stored"), "columns")
        return {key: _sql(columns, key, columns.text(key)) for key in columns.values}

    def _effects(self) -> Iterator[_Table]:
        effects = self._top.values.get("effects")
        hint = 'Say where the effects of its operations stand: [[effects]] table = "entries", name = "entry".'
        if not isinstance(effects, list) or not effects:
            self._top.refuse("effects", "it is missing" if effects is None else "it is no list of tables", hint=hint)
        for number, values in enumerate(effects):
            if not isinstance(values, dict):
                self._top.refuse("effects", f"{quote(values)} is no table", hint=hint)
            shown = f" of the effect in {quote(values['table'])}" if "table" in values else ""
            effect = _Table(values, ("effects", number), self._lines, shown)
            effect.check_keys(_EFFECT_KEYS)
            yield effect

    def _use(self, effect: _Table, family: str, subject: str) -> Use | None:
        """Return the effect as the invariant asks about it; None: it does not."""
        own = effect.values.get(family, family != "stored")
        if own is False:
            return None
        if family == "stored" and isinstance(own, str | list):
            own = {"by": own}
        if own is True and family != "stored":
            own = {}
        if not isinstance(own, dict):
            forms = '["deposit"], or {by = ["deposit"]}' if family == "stored" else "true, false, or {where = ...}"
            effect.refuse(family, f"{quote(own)} cannot be used", hint=f"Write {family} = {forms}.")
        is_short = not isinstance(effect.values.get(family), dict)
        special = _Table(own, effect.path if is_short else (*effect.path, family), self._lines, effect.shown)
        special.check_keys({"stored": _STORED_KEYS, "failed": _FAILED_KEYS}.get(family, _USE_KEYS))
        table, alias = self._place(effect)

        def column(key: str, default: str | None = None) -> Written:
            return _column(special if key in special.values else effect, key, alias, default=default)

        columns = {"id": column("id", "id"), "operation_id": column("operation_id", "operation_id")}
        if family != "stored":
            columns |= {"name": column("name", table.column), "subject": column("subject", subject)}
        if family == "asked":
            columns["made_at"] = column("made_at")
        use = Use(
            table,
            alias,
            columns,
            join=(*_conditions(effect, "join"), *_conditions(special, "join")),
            where=(*_conditions(effect, "where"), *_conditions(special, "where")),
            by=_operations(special, is_short=is_short) if family == "stored" else (),
            operation=_sql(special, "operation", special.text("operation")) if "operation" in own else None,
            found_by=_conditions(special, "found_by"),
            moved=_column(special, "moved", alias) if "moved" in own else None,
        )
        if family == "stored" and is_joined(use):
            self._check_joined(special, use)
        return use

    def _place(self, effect: _Table) -> tuple[Written, str]:
        spelled = effect.text("table", hint='Say where it stands: table = "bank.entries".')
        found = _TABLE.fullmatch(spelled)
        if found is None:
            effect.refuse("table", f"{quote(spelled)} is no name", hint='Write table = "bank.entries", or only "entries".')
        schema, name = (_unquoted(part) for part in found.group("schema", "name"))
        if not schema and "schema" in self._top.values:
            schema = self._top.text("schema")
        full = f"{quoted(schema)}.{quoted(name)}" if schema else quoted(name)
        return effect.written(full, "table", column=name), quoted(effect.text("as", default=name))

    def _check_joined(self, table: _Table, use: Use) -> None:
        if use.alias in _TAKEN:
            hint = f'Give it another in this query: as = "{use.alias}_found".'
            table.refuse("by", f"{use.alias} is the name of something else in the query", hint=hint)
        for key in ("join", "operation"):
            if key in table.values:
                hint = "Say it in found_by, or name one operation and leave found_by away."
                table.refuse(key, "it cannot stand beside found_by, or with several operations", hint=hint)

    def _check_sums(self, uses: Sequence[Use]) -> None:
        sums = [use for use in uses if use.moved is not None]
        if sums and len(sums) != len(uses):
            other = next(use for use in uses if use.moved is None)
            raise Mistake(
                f"failed: {other.table.column} says not what it moved, as {sums[0].table.column} does",
                line=other.table.line,
                hint="Sums are of amounts: say failed = false there, or what it `moved`, too.",
            )

    def _sub(self, table: _Table, key: str) -> _Table:
        values = table.values[key]
        if not isinstance(values, dict):
            table.refuse(key, f"{quote(values)} is no table", hint=f"Write it as [{key}], and its keys below.")
        return _Table(values, (*table.path, key), self._lines)


def is_joined(use: Use) -> bool:
    """Whether what an ok promises is looked for call by call: the rows themselves do not say whose they are."""
    return bool(use.found_by) or (len(use.by) > 1 and use.operation is None)


def _operations(table: _Table, *, is_short: bool) -> tuple[str, ...]:
    key = "stored" if is_short else "by"
    given = table.values.get("by")
    names = [given] if isinstance(given, str) else given
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        hint = f'Name the operations whose ok promises such a row: {key} = ["deposit", "withdraw"].'
        table.refuse(key, f"{quote(given)} names no operations", hint=hint)
    return tuple(names)


def _column(table: _Table, key: str, alias: str, *, default: str | None = None) -> Written:
    hint = {"made_at": 'Say when such a row was made: made_at = "created_at"; or asked = false.'}.get(key, "")
    value = table.text(key, default=default, hint=hint)
    if value.startswith("("):
        inner = value[1:-1].strip()
        return _sql(table, key, value if not value.endswith(")") or _describe_unfit(inner) else inner)
    if key == "name":
        return table.written(literal(value), key)
    if not _NAME.fullmatch(value):
        table.refuse(key, f"{quote(value)} is no name of a column", hint="SQL stands in parentheses.")
    name = _unquoted(value)
    return table.written(f"{alias}.{quoted(name)}", key, column=name)


def _conditions(table: _Table, key: str) -> tuple[Written, ...]:
    """Return the SQL that a key has: a text, or a list of them."""
    given = table.values.get(key, [])
    if isinstance(given, str):
        given = [given]
    if not isinstance(given, list) or not all(isinstance(each, str) and each.strip() for each in given):
        table.refuse(key, f"{quote(given)} is no condition", hint="Write a text, or a list of texts.")
    return tuple(_sql(table, key, each.strip()) for each in given)


def _sql(table: _Table, key: str, text: str) -> Written:
    """Return the SQL, if it is one expression as far as its signs tell."""
    if reason := _describe_unfit(text):
        table.refuse(key, f"{quote(text)}: {reason}", hint="It stands within a query: write one expression.")
    return table.written(text, key)


def _describe_unfit(text: str) -> str:
    code = code_of(text)
    depth = 0
    for sign in code:
        depth += {"(": 1, ")": -1}.get(sign, 0)
        if depth < 0:
            break
    if depth:
        return "its parentheses are no pairs"
    if ";" in code:
        return "a semicolon ends the query"
    if has_comment(text):
        return "it has a comment of SQL's, where TOML's are"
    if re.search(r"['\"]|/\*|\$\w*\$", code):
        return "a quote is not closed"
    if parameters := find_parameters(text):
        return f":{parameters[0]} is a parameter, and these invariants have their own"
    return ""


def _unquoted(name: str | None) -> str:
    if not name:
        return ""
    return name[1:-1].replace('""', '"') if name.startswith('"') else name.strip()


@dataclass(frozen=True, slots=True)
class _Lines:
    """Where the keys of a TOML text stand: tomllib does not say. 0 where they are written in another way than usual."""

    text: str
    found: dict[tuple[str | int, ...], int] = field(default_factory=dict)

    def find(self, path: tuple[str | int, ...]) -> int:
        if not self.found:
            self.found.update(_find_lines(self.text))
        for length in range(len(path), 0, -1):
            if path[:length] in self.found:
                return self.found[path[:length]]
        return 0


_HEADER = re.compile(r"\s*(?P<open>\[\[?)\s*(?P<keys>[\w.\s\"'-]+?)\s*\]")
_KEY = re.compile(r"(?:^|[{,])\s*[\"']?(?P<key>[\w-]+)[\"']?\s*=")


def _find_lines(text: str) -> dict[tuple[str | int, ...], int]:
    found: dict[tuple[str | int, ...], int] = {}
    path: tuple[str | int, ...] = ()
    count = -1
    for number, line in enumerate(text.splitlines(), start=1):
        header = _HEADER.match(line)
        if header is not None and "=" not in line.partition("]")[0]:
            keys = tuple(key.strip(" \t\"'") for key in header["keys"].split("."))
            count += header["open"] == "[[" and keys == ("effects",)
            path = ("effects", count, *keys[1:]) if keys[0] == "effects" else keys
            found.setdefault(path, number)
            continue
        keys_of_line = [match["key"] for match in _KEY.finditer(line)]
        for index, key in enumerate(keys_of_line):
            within = (keys_of_line[0],) if index else ()
            found.setdefault((*path, *within, key), number)
    return found

"""The four invariants that a declaration makes: the skeletons beside this file, filled.

A skeleton is a .sql file with its usual header and with words for what is a system's own:

    $calls, $runs, $gaps       the relations of its history, e.g. integrity.bank_calls
    $subject                   the column that tells whose effect it is
    $effects                   one select for each effect, `union all` between them
    $missing                   that an acknowledged call is in none of the places where its effect may stand
    $promised, $columns        which operations promise something, and what is shown beside the call

A word that is alone in its line stands for as many lines as it needs, none included.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from integrity.invariants.effects.declaration import FAMILIES, Declaration, Use
from integrity.invariants.effects.written import Written
from integrity.sql.name import literal, quoted
from integrity.sql.place import Origin
from integrity.sql.tokens import tokenize

_OUTPUTS = {
    "asked": ("subject", "effect", "effect_id", "made_at", "operation_id"),
    "once": ("operation_id", "subject", "effect"),
    "failed": ("operation_id", "subject", "effect", "effect_id"),
    "sums": ("operation_id", "subject", "moved_minor"),
}
"""The columns that each invariant has of an effect, in order."""

LINE_MOST = 80  # letters of names in a line

_WORD = re.compile(r"(?P<dollar>\$\$)|(?P<alone>(?<=\n) *\$(?P<block>\w+)\n)|\$(?P<word>\w+)")
_HEADER = re.compile(r"^-- (?P<key>[\w-]+): .*$", re.MULTILINE)

_Line = tuple[str | Written, ...]


@dataclass(frozen=True, slots=True)
class Rendered:
    """A query that was made.

    Args:
        text: as a .sql file would have it.
        origins: which of its characters were written in the declaration, and where.
    """

    text: str
    origins: tuple[Origin, ...]


def render_invariant(declaration: Declaration, family: str) -> Rendered:
    """Return the invariant of that key that the declaration makes."""
    uses = declaration.uses[family]
    is_sum = any(use.moved is not None for use in uses)
    name = FAMILIES[family]
    text = _with_header(_skeleton(f"{name}-in-sum" if is_sum else name), declaration.headers.get(family, {}))
    words: dict[str, list[_Line]] = {
        kind: [(f"integrity.{quoted(f'{declaration.system}_{kind}')}",)] for kind in ("calls", "runs", "gaps")
    }
    words["subject"] = [(quoted(declaration.subject),)]
    if family == "stored":
        words |= _stored_words(uses, declaration.columns)
    else:
        words["effects"] = _branches(uses, _OUTPUTS["sums" if is_sum else family], declaration.subject)
    return Rendered(*_fill(text, words))


@lru_cache(maxsize=8)
def _skeleton(name: str) -> str:
    return (Path(__file__).parent / f"{name}.sql").read_text(encoding="utf-8")


def _with_header(text: str, header: Mapping[str, str]) -> str:
    """Return the skeleton with these entries in place of its own, a dollar in them doubled: it begins no word."""

    def entry(match: re.Match[str]) -> str:
        key = match["key"]
        return f"-- {key}: {header[key]}".replace("$", "$$") if key in header else match[0]

    return _HEADER.sub(entry, text)


def _fill(text: str, words: Mapping[str, Sequence[_Line]]) -> tuple[str, tuple[Origin, ...]]:
    """Return the skeleton with its words filled in, and which stretches were written in the declaration."""
    parts: list[str] = []
    origins: list[Origin] = []
    length = 0

    def add(part: str | Written) -> None:
        nonlocal length
        shown = part if isinstance(part, str) else part.text
        if isinstance(part, Written):
            origins.append(Origin(length, length + len(shown), part.line, part.key))
        parts.append(shown)
        length += len(shown)

    at = 0
    for match in _WORD.finditer(text):
        add(text[at : match.start()])
        at = match.end()
        if match["dollar"]:
            add("$")
            continue
        lines = words[match["block"] or match["word"]]
        if match["alone"]:
            indent = match["alone"].partition("$")[0]
            for line in lines:
                for part in (indent, *line, "\n"):
                    add(part)
        else:
            for part in lines[0]:
                add(part)
    add(text[at:])
    return "".join(parts), tuple(origins)


def _branches(uses: Iterable[Use], outputs: Sequence[str], subject: str) -> list[_Line]:
    lines: list[_Line] = []
    for use in uses:
        lines += [("union all",)] if lines else []
        columns = [_column(use, output, subject) for output in outputs]
        lines.append(("select",))
        lines += [("    ", *column, ",") for column in columns[:-1]]
        lines.append(("    ", *columns[-1]))
        lines.append(("from ", *_table(use)))
        lines += [("left join " if use.is_left else "join ", join) for join in use.join]
        lines += [("where ", *_joined_by_and(use.where))] if use.where else []
    return lines


def _column(use: Use, output: str, subject: str) -> _Line:
    """Return a column of a select, under the name that the skeleton has for it."""
    key = {"effect": "name", "effect_id": "id", "moved_minor": "moved"}.get(output, output)
    written = use.moved if key == "moved" else use.columns[key]
    assert written is not None
    name = subject if output == "subject" else output
    return (written,) if written.column == name else (written, f" as {quoted(name)}")


def _table(use: Use) -> _Line:
    return (use.table,) if use.alias == quoted(use.table.column) else (use.table, f" as {use.alias}")


def _stored_words(uses: Sequence[Use], columns: Mapping[str, Written]) -> dict[str, list[_Line]]:
    """Return what the invariant about acknowledged calls has of its own.

    Each place is asked for by itself, so that the server is free to join each in the way that is best there: over one
    relation of them all it has asked the whole of it for every call.
    """
    missing: list[_Line] = []
    for use in uses:
        missing += [("and not exists (",), *_indented(_place(use)), (")",)]
    first, *others = _among(tuple(dict.fromkeys(operation for use in uses for operation in use.by)))
    return {
        "missing": missing,
        "promised": [("and ", *first), *others],
        "columns": [(written, f" as {quoted(name)},") for name, written in columns.items()],
    }


def _place(use: Use) -> list[_Line]:
    """Return a select of the rows that are a call's effect."""
    found_by = use.found_by or (_equals(use.columns["operation_id"]),)
    if use.is_told_by_calls:
        first, *others = _among(use.by)
    else:
        first, *others = [("calls.operation = ", use.operation or literal(use.by[0]))]
    conditions = [*found_by, *use.where]
    return [
        ("select 1",),
        ("from ", *_table(use)),
        *(("join ", join) for join in use.join),
        ("where",),
        *_indented([first, *others]),
        *(("    and ", *_grouped(each)) for each in conditions),
    ]


def _equals(column: Written) -> Written:
    return Written(f"{column.text} = calls.operation_id", column.line, column.key)


def _among(operations: Sequence[str]) -> list[_Line]:
    names = [literal(operation) for operation in operations]
    if len(names) == 1:
        return [(f"calls.operation = {names[0]}",)]
    if sum(map(len, names)) < LINE_MOST:
        return [(f"calls.operation in ({', '.join(names)})",)]
    return [("calls.operation in (",), *((f"    {name},",) for name in names[:-1]), (f"    {names[-1]}",), (")",)]


def _indented(lines: Iterable[_Line]) -> list[_Line]:
    return [("    ", *line) for line in lines]


def _joined_by_and(conditions: Sequence[Written]) -> _Line:
    if len(conditions) == 1:
        return (conditions[0],)
    parts: list[str | Written] = []
    for condition in conditions:
        parts += [" and "] if parts else []
        parts += _grouped(condition)
    return tuple(parts)


def _grouped(condition: Written) -> _Line:
    """Return a condition that others stand beside: in parentheses where an `or` of its own would take them in."""
    depth = 0
    for token in tokenize(condition.text):
        depth += token.is_sign("(") - token.is_sign(")")
        if token.is_word("or") and not depth:
            return ("(", condition, ")")
    return (condition,)

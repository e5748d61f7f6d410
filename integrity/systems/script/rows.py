"""Rows that a race is to be played on: what the files of a system want, put together.

    -- row wallet: wallets(balance_minor = 100)
    -- row opening: entries(wallet_id = :wallet, amount_minor = 100)

Two files that want the same row are played on one. Of a table whose keys are drawn, and of which no file wants a row, there
are two, so that calls may meet on one and pass each other by.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from integrity.sql.parameters import marks_in, replace_parameters
from integrity.sql.place import WrittenAt
from integrity.sql.tokens import TokenKind, tokenize
from integrity.systems.script.domains import NAME, TABLE, plain_name
from integrity.systems.wanted_row import WantedRow

ROW_FORM = (
    "Write `-- row wallet: wallets(balance_minor = 100)`; a row above is named :wallet, a column of it :wallet.currency."
)

_ROW = re.compile(rf"(?P<table>{TABLE})\s*(?:\((?P<values>.*)\))?", re.DOTALL)
_VALUE = re.compile(rf"\s*(?P<column>{NAME})\s*=\s*(?P<value>.*\S)\s*", re.DOTALL)


class NoRowWanted(Exception):
    """The text says no row; the message says why."""


@dataclass(frozen=True, slots=True)
class Wants:
    """What one file wants.

    Args:
        rows: in its order.
        tables: whose keys it draws, as SQL names them, and where it says so.
    """

    rows: Sequence[WantedRow]
    tables: Mapping[str, WrittenAt]


def read_row(key: str, text: str, *, known: Iterable[str]) -> WantedRow:
    """Return the row that a header's entry wants.

    Args:
        known: the keys of those above it.

    Raises:
        NoRowWanted: it wants none.
    """
    match = _ROW.fullmatch(text.strip())
    if match is None:
        raise NoRowWanted(f"not a row: {text!r}")
    values: dict[str, str] = {}
    for each in _parts(match["values"] or ""):
        value = _VALUE.fullmatch(each)
        if value is None:
            raise NoRowWanted(f"not a column and its value: {each.strip()!r}")
        values[value["column"]] = value["value"]
        for name in (mark.name for mark in marks_in(value["value"])):
            if name not in known:
                raise NoRowWanted(f"no row above it has the key {name!r}")
    return WantedRow(key, match["table"], values)


def unite(wants: Iterable[Wants]) -> tuple[WantedRow, ...]:
    """Return the rows of all files, each once, every key once."""
    rows: list[WantedRow] = []
    tables: dict[str, tuple[str, WrittenAt]] = {}
    for want in wants:
        renamed: dict[str, str] = {}
        taken: set[str] = set()
        for row in want.rows:
            asked = replace(row, values={column: _renamed(text, renamed) for column, text in row.values.items()})
            same = next((each for each in rows if _is_same(each, asked) and each.key not in taken), None)
            found = same or replace(asked, key=_free(asked.key, rows))
            if same is None:
                rows.append(found)
            renamed[row.key] = found.key
            taken.add(found.key)
        tables |= {plain_name(table): (table, place) for table, place in want.tables.items()}
    for name, (table, written_at) in tables.items():
        if all(plain_name(row.table) != name for row in rows):
            rows += [WantedRow(_free(f"{name}_{number}", rows), table, written_at=written_at) for number in (1, 2)]
    return tuple(rows)


def _is_same(one: WantedRow, other: WantedRow) -> bool:
    return plain_name(one.table) == plain_name(other.table) and one.values == other.values


def _free(key: str, rows: Sequence[WantedRow]) -> str:
    taken = {row.key for row in rows}
    return next(name for name in (key, *(f"{key}_{n}" for n in range(2, len(rows) + 3))) if name not in taken)


def _renamed(text: str, names: Mapping[str, str]) -> str:
    return replace_parameters(text, lambda name: f":{names.get(name, name)}")


def _parts(text: str) -> list[str]:
    """Return what stands between the commas of a text, as far as they are in no bracket."""
    parts, start, depth = [], 0, 0
    for token in tokenize(text):
        if token.is_sign(",") and not depth:
            parts.append(text[start : token.start])
            start = token.end
        elif token.kind is TokenKind.SIGN:
            depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(token.text, 0)
    parts.append(text[start:])
    return parts if text.strip() else []

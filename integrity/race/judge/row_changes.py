"""Row changes: what a call does to the rows of a stage when it is made alone."""

from collections import Counter
from collections.abc import Set
from dataclasses import dataclass
from typing import Any

from integrity.race.judge.end_state import Remains

NamedRow = tuple[str, tuple[Any, ...]]
"""A table, as digests name it, and the cells of a row, keys of the stage by their names."""


@dataclass(frozen=True, slots=True)
class RowChanges:
    """What a call does to rows.

    Args:
        staged: the rows that were there.
        changed: those of them that it changes or deletes.
        deleted_from: tables that have fewer rows afterwards.
        inserted_into: tables that have more.
    """

    staged: Set[NamedRow] = frozenset()
    changed: Set[NamedRow] = frozenset()
    deleted_from: Set[str] = frozenset()
    inserted_into: Set[str] = frozenset()

    @property
    def tables(self) -> frozenset[str]:
        """Those in which it changes anything."""
        return frozenset(table for table, _ in self.changed) | frozenset(self.inserted_into)


def row_changes(before: Remains, after: Remains) -> RowChanges:
    """Return what was done between two runs on the same stage, the first of them without any call."""
    old, new = _rows(before), _rows(after)
    gone, come = _tables(old - new), _tables(new - old)
    return RowChanges(
        staged=frozenset(old),
        changed=frozenset(old - new),
        deleted_from=frozenset(table for table in gone if gone[table] > come[table]),
        inserted_into=frozenset(table for table in come if come[table] > gone[table]),
    )


def _rows(remains: Remains) -> Counter[NamedRow]:
    return Counter(remains.named())


def _tables(rows: Counter[NamedRow]) -> Counter[str]:
    return Counter(table for table, _ in rows.elements())


def named_in(table: str, names: Set[str]) -> bool:
    """Return whether a table is among those that program/statements.py finds in a statement.

    Args:
        table: as digests have it: with its schema only where another has its name.
    """
    plain = table.lower()
    return plain in names if "." in plain else any(name.rpartition(".")[2] == plain for name in names)

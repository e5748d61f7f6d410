"""What a schedule changed, worked out from the log of the capture: no order is needed for it.

A table is a multiset of rows. What the log says was put in, less what it says was taken out, is what is there now and was
not before; the other way round, what was there. A row that was changed and changed back, or moved to another partition and
back, is on both sides as often, and is no change. Where a table has a primary key, two rows that differ under one key are
one row that changed.
"""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from integrity.operation import Row
from integrity.race.program.change import Change, ChangeKind, Fields
from integrity.race.rows.tables import CapturedTable

Image = str
"""A row as the server spells a value of the table's row type: `(7,"a, b",)`."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the log: one row of a table that was written.

    Args:
        transaction_id: of the whole transaction, not of a savepoint of it.
        pid: of the server process, which a connection keeps.
        operation: INSERT, UPDATE, DELETE or TRUNCATE.
    """

    transaction_id: int
    pid: int
    relation: int
    operation: str
    old: Image | None
    new: Image | None


@dataclass(frozen=True, slots=True)
class Touched:
    """A row that a transaction wrote, also where it is as before.

    Args:
        identity: as Change has it.
    """

    pid: int
    transaction_id: int
    table: str
    identity: Fields


Decode = Callable[[int, str], object]
"""Given a type's oid and a value as the server spells it, returns the value."""


class Record:
    """What was changed since the mark; each side of it is worked out when it is asked for.

    Args:
        not_undone: what was done that leaves more than rows and is not put back, in words.
        read_at: by the server's clock; None: nobody has asked.
    """

    def __init__(
        self,
        entries: Sequence[Entry],
        tables: Mapping[int, CapturedTable],
        decode: Decode,
        *,
        not_undone: tuple[str, ...] = (),
        read_at: datetime | None = None,
    ) -> None:
        self.reshaped = tuple(sorted(_reshaped(entries, tables))) if not_undone else ()
        """Tables whose rows were written with other columns than they had: what was written there is left out."""
        if self.reshaped:
            entries = [entry for entry in entries if tables[entry.relation].name not in self.reshaped]
        self._entries, self._tables, self._decode = entries, tables, decode
        self.not_undone = not_undone
        self.read_at = read_at

    @property
    def has_entries(self) -> bool:
        """Rows were written, also where they are as before."""
        return bool(self._entries)

    def without(self, pids: Collection[int]) -> "Record":
        """Return it without what these processes of the server wrote."""
        if not pids:
            return self
        entries = [entry for entry in self._entries if entry.pid not in pids]
        left = Record(entries, self._tables, self._decode, not_undone=self.not_undone, read_at=self.read_at)
        left.reshaped = self.reshaped
        return left

    def tables_of_others(self, pids: Collection[int], *, since: "Record") -> list[str]:
        """Return the tables that processes of the server other than these wrote to since an earlier reading."""
        theirs = [entry for entry in self._entries if entry.pid not in pids]
        if not theirs:
            return []
        return sorted({self._tables[entry.relation].name for entry in Counter(theirs) - Counter(since._entries)})

    def written_since(self, earlier: "Record") -> list[tuple[str, str, Fields]]:
        """Return what was written since an earlier reading, also where rows are as before: operation, table, identity."""
        entries = Counter(self._entries) - Counter(earlier._entries)
        return [
            (entry.operation, table.name, identity_of(table, read_fields(image)) if image is not None else ())
            for entry in entries
            for table, image in ((self._tables[entry.relation], entry.new if entry.old is None else entry.old),)
        ]

    @cached_property
    def changes(self) -> list[Change]:
        """Rows that are not as they were, by table and identity."""
        return find_changes(self._entries, self._tables, self._decode)

    @cached_property
    def remains(self) -> list[tuple[str, Row]]:
        """What a schedule left, as the judge compares it: each row that is not as it was, with its table's name.

        A row that is gone stands under "NAME gone".
        """
        return [
            (change.table, change.after) if change.after is not None else (f"{change.table} gone", change.before or {})
            for change in self.changes
        ]

    @cached_property
    def generated(self) -> frozenset[object]:
        """The values that sequences gave to rows that were made: which row has which is another matter in each order."""
        numbered = {
            table.name: [column.name for column in table.columns if column.is_numbered] for table in self._tables.values()
        }
        return frozenset(
            change.after[column]
            for change in self.changes
            if change.kind is ChangeKind.MADE and change.after is not None
            for column in numbered[change.table]
        )

    @cached_property
    def touched(self) -> list[Touched]:
        """Rows that were written, by transaction."""
        return find_touched(self._entries, self._tables)


NOTHING = Record((), {}, lambda _type, text: text)
"""Nothing was changed."""


def find_changes(entries: Iterable[Entry], tables: Mapping[int, CapturedTable], decode: Decode) -> list[Change]:
    """Return the rows that are not as they were, by table and identity."""
    balance: Counter[tuple[int, Image]] = Counter()
    for entry in entries:
        if entry.new is not None:
            balance[entry.relation, entry.new] += 1
        if entry.old is not None:
            balance[entry.relation, entry.old] -= 1
    sides: dict[tuple[int, Fields], tuple[list[Fields], list[Fields]]] = {}
    for (relation, image), count in balance.items():
        fields = read_fields(image)
        before, after = sides.setdefault((relation, identity_of(tables[relation], fields)), ([], []))
        (after if count > 0 else before).extend([fields] * abs(count))
    changes = [
        change
        for (relation, identity), (before, after) in sides.items()
        for change in _pair(tables[relation], identity, before, after, decode)
    ]
    return sorted(changes, key=lambda change: (change.table, change.kind.value, repr(change.identity)))


def find_touched(entries: Iterable[Entry], tables: Mapping[int, CapturedTable]) -> list[Touched]:
    """Return which rows each transaction wrote, each once; an update of a key wrote both."""
    touched = {
        Touched(entry.pid, entry.transaction_id, table.name, identity_of(table, read_fields(image)))
        for entry in entries
        for table in (tables[entry.relation],)
        for image in (entry.old, entry.new)
        if image is not None
    }
    return sorted(touched, key=lambda each: (each.transaction_id, each.table, repr(each.identity)))


def _reshaped(entries: Iterable[Entry], tables: Mapping[int, CapturedTable]) -> set[str]:
    return {
        table.name
        for entry in entries
        for table in (tables[entry.relation],)
        for image in (entry.old, entry.new)
        if image is not None and len(read_fields(image)) != len(table.columns)
    }


def identity_of(table: CapturedTable, fields: Fields) -> Fields:
    """Return the primary key of a row; without one, the whole row."""
    if not table.key:
        return fields
    return tuple(fields[place] for place in table.key_places)


def read_fields(image: Image) -> Fields:
    """Return the columns of a row as the server spells it."""
    if '"' not in image:
        return tuple(text or None for text in image[1:-1].split(","))
    return tuple(_read_field(match[1]) for match in _FIELD.finditer(image[1:-1] + ","))


def _read_field(text: str) -> str | None:
    if not text:
        return None
    if not text.startswith('"'):
        return text
    return _DOUBLED.sub(r"\1", text[1:-1])


def _pair(
    table: CapturedTable, identity: Fields, before: list[Fields], after: list[Fields], decode: Decode
) -> Iterator[Change]:
    """Yield what became of the rows of one identity: one at most where it is a key, else so many copies."""
    for place in range(max(len(before), len(after))):
        old = _row(table, before[place], decode) if place < len(before) else None
        new = _row(table, after[place], decode) if place < len(after) else None
        kind = ChangeKind.MADE if old is None else ChangeKind.GONE if new is None else ChangeKind.CHANGED
        yield Change(table.name, kind, identity, old, new)


def _row(table: CapturedTable, fields: Fields, decode: Decode) -> Row:
    return {
        column.name: None if text is None else decode(column.type_oid, text)
        for column, text in zip(table.columns, fields, strict=True)
        if not column.is_virtual
    }


# Each field with the comma behind it. A quote and a backslash within one are doubled.
_FIELD = re.compile(r'((?:"(?:[^"\\]|""|\\\\)*"|[^,"])*),')
_DOUBLED = re.compile(r'(["\\])\1')

"""Anomalies: what kinds of things go wrong, and what tells them apart.

The codes are those of Berenson and others (SIGMOD 1995) where an isolation level is to blame, and Adya's (ICDE 2000) for a
cycle of three calls and more. Which name is given follows from the rows that each call read otherwise than in a serial
order, and from what the other one does to them; never from how a read looks: a count, an `exists` and a select of the
same rows have the same name. Of two writes of one row the text tells whether one took the other's place: overwriting.py.
A table of the names stands in docs/races.md.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from enum import Enum

from integrity.race.judge.row_changes import NamedRow, RowChanges


class Anomaly(Enum):
    """What kind of thing went wrong: its code, if the level is to blame, and plain words."""

    LOST_UPDATE = "P4", "lost update: one call read a row, the other changed it, and the first wrote over the change"
    CURSOR_LOST_UPDATE = (
        "P4C",
        "cursor lost update: one call fetched a row, the other changed it, and the first wrote over the change",
    )
    LOST_PRECONDITION = "P2", "lost precondition: what one call had found the other took away or changed, and both acted"
    WRITE_SKEW = "A5B", "write skew: each read a row that the other then changed, and wrote another"
    PHANTOM = (
        "A5B/P3",
        "write skew by phantom (check, then insert): neither look found what the other call then wrote",
    )
    READ_SKEW = "A5A", "read skew: one call saw a part of the other's effect, and a part of what was before it"
    CYCLE = "G2", "cycle: each call can be put before the next only by what it did not see, all round"
    HALF_DONE = "none", "half done: one call came between two transactions of another, and saw the first without the second"
    STALE_CHECK = "none", "stale check: what one transaction of a call found was no longer true in its next"
    LATE_WRITE = "none", "late write: what one call wrote afterwards is of an earlier time than what it wrote over"
    SWALLOWED = "none", "refusal told as an answer: the database asked for the call to be begun again, its client was not"
    FAILURE = "none", "a call fails that alone never does: in each serial order of the same calls it does not"
    DEADLOCK = "none", "deadlock: each call waits for a lock that another of them holds, and one is refused"
    ANSWERS = "none", "answers no serial order gives: the rows are right, and what the callers were told is not"
    SERIAL = "none", "no race: the calls come out wrong even one after the other"

    @property
    def code(self) -> str:
        return self.value[0]

    @property
    def words(self) -> str:
        return self.value[1]


@dataclass(frozen=True, slots=True)
class Difference:
    """Where a schedule departs from a serial order.

    Args:
        actor: whose answer differs.
        number: of its letter; -1 for what the call returned.
        text: e.g. "B read balance 1000, not 900".
        tables: of those that are compared, the ones that its statement names.
        keys: names of the keys that its statement is given.
        is_fetch: it came of a cursor.
    """

    actor: str
    number: int
    text: str
    tables: Set[str] = frozenset()
    keys: Set[str] = frozenset()
    is_fetch: bool = False


def name_anomaly(differences: Sequence[Sequence[Difference]], *, changes: Mapping[str, RowChanges]) -> Anomaly:
    """Return the name of what no serial order of some calls explains.

    Args:
        differences: for each serial order, of each call the first, in the schedule's order.
        changes: of each of two calls, what it does to rows alone; of other numbers of calls nothing.
    """
    reads = [order[0] for order in differences if order]
    if len(changes) != 2 or not reads:
        return Anomaly.CYCLE
    found = [_found(read, changes) for read in reads]
    if any(each.is_own for each in found):
        if any(each.is_own and each.is_deleted for each in found):
            return Anomaly.LOST_PRECONDITION  # there is nothing left to write over
        return Anomaly.CURSOR_LOST_UPDATE if any(read.is_fetch for read in reads) else Anomaly.LOST_UPDATE
    if len({read.actor for read in reads}) == 2:
        return Anomaly.PHANTOM if any(each.is_phantom for each in found) else Anomaly.WRITE_SKEW
    # What an insert reads shows in no answer of it: an order that no read refutes may be refuted by a row that both write.
    one, other = changes.values()
    is_refuted = len(reads) == len(differences) or one.changed.isdisjoint(other.changed)
    return Anomaly.READ_SKEW if is_refuted else Anomaly.LOST_PRECONDITION


@dataclass(frozen=True, slots=True)
class _Found:
    """What a call read otherwise.

    Args:
        is_own: rows that the other changes and it changes, too.
        is_deleted: and one of the two deletes them.
        is_phantom: rows that the other inserts.
    """

    is_own: bool
    is_deleted: bool
    is_phantom: bool


def _found(read: Difference, changes: Mapping[str, RowChanges]) -> _Found:
    own = changes[read.actor]
    (other,) = (each for actor, each in changes.items() if actor != read.actor)
    # Of a view, a function, a trigger and a call's return nobody can tell: it may be of all that the other changes.
    tables = (read.tables & other.tables) or other.tables
    both = _named_by(read, {row for row in own.changed & other.changed if row[0] in tables}, own.staged)
    return _Found(
        is_own=bool(both),
        is_deleted=any(table in own.deleted_from | other.deleted_from for table, _ in both),
        is_phantom=bool(tables & other.inserted_into),
    )


def _named_by(read: Difference, rows: set[NamedRow], staged: Set[NamedRow]) -> set[NamedRow]:
    """Return those that hold a key that the statement is given, where any row of their tables does: it read no others."""
    tables = {table for table, _ in rows}
    if any(table in tables and not read.keys.isdisjoint(cells) for table, cells in staged):
        return {row for row in rows if not read.keys.isdisjoint(row[1])}
    return rows

"""Anomalies: what kinds of things go wrong, and what tells them apart.

The names are Adya's where an isolation level is to blame (Adya, Liskov, O'Neil, ICDE 2000; lost update, P4, and read skew
from Berenson and others, SIGMOD 1995), else plain words. Which one is given follows from what each call read otherwise than
in a serial order, and from the staged rows that each call changes when it runs alone. A table of them stands in
docs/races.md.
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from enum import Enum, auto


class Anomaly(Enum):
    """What kind of thing went wrong: Adya's name, if the level is to blame, and plain words."""

    LOST_UPDATE = "P4", "lost update: one call read a row, the other changed it, and the first wrote over the change"
    LOST_PRECONDITION = "G-single", "lost precondition: what one call had found the other took or changed, and both acted"
    WRITE_SKEW = "G2-item", "write skew: each read a row that the other then changed, and wrote another"
    PHANTOM = "G2", "phantom: each looked for rows, found them as they were before the other, and then wrote"
    READ_SKEW = "G-single", "read skew: one call saw a part of the other's effect, and a part of what was before it"
    CYCLE = "G2", "cycle: each call can be put before the next only by what it did not see, all round"
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


class AnomalyKind(Enum):
    """In what the same letter of a call differs between two runs: what it read, or how many rows it found or changed.

    FEWER and MORE: rows than in the serial order, by a statement that looks for rows. OTHERWISE: another statement, an
    insert, an error, or what the call returned.
    """

    VALUE = auto()
    FEWER = auto()
    MORE = auto()
    OTHERWISE = auto()


@dataclass(frozen=True, slots=True)
class Difference:
    """Where a schedule departs from a serial order.

    Args:
        actor: whose answer differs.
        number: of its letter; -1 for what the call returned.
        text: e.g. "B read balance 1000, not 900".
        kind: in what.
        is_insert: of an insert, which makes rows or not by what it finds.
        is_write: of a statement that changes what it finds.
    """

    actor: str
    number: int
    text: str
    kind: AnomalyKind = AnomalyKind.OTHERWISE
    is_insert: bool = False
    is_write: bool = False


def name_anomaly(differences: Sequence[Sequence[Difference]], *, count: int, changed: Sequence[Set[object]]) -> Anomaly:
    """Return the name of what no serial order of some calls explains.

    Args:
        differences: for each serial order, of each call the first, in the schedule's order.
        count: of the calls.
        changed: of each of two calls, the staged rows that it changes or deletes alone.
    """
    stale = {each.actor for order in differences for each in order}
    if count != 2 or not stale:
        return Anomaly.CYCLE
    one, other = changed
    first = [order[0] for order in differences if order]
    fewer = [each for each in first if each.kind is AnomalyKind.FEWER]
    if any(each.kind is AnomalyKind.MORE for each in first) or (
        fewer and one & other and all(each.is_write for each in fewer)
    ):
        return Anomaly.LOST_PRECONDITION  # it found what the other took away: a row, which it read as such
    if fewer or any(each.is_insert for each in first):
        return Anomaly.PHANTOM
    if one & other:
        return Anomaly.LOST_UPDATE
    if len(stale) == 1:
        return Anomaly.READ_SKEW
    return Anomaly.WRITE_SKEW if one and other else Anomaly.PHANTOM

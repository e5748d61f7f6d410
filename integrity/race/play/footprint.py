"""Footprints: what a letter of a schedule touched, as the server saw it.

Taken from the locks that the actor's transaction holds on relations, so that views, triggers, functions and foreign keys
count as what they do, not as what the text says. A transaction keeps its locks to its end, or lets some go as it rolls back
to a savepoint, so the footprint of a statement is that of its transaction so far: more than it touched, never less.

What a statement tried to lock and did not get (`pg_try_advisory_lock`, `nowait` in a function that goes on all the same)
leaves no lock; so what other actors hold then that could have been in its way counts as read.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from integrity.operation import Isolation

EVERYTHING = -1  # as a set of bits; for what cannot be known: the locks of a refused statement are gone when we can look

# In pg_locks, `relation` is also set for tuple and page locks; a lock on the relation always stands beside them.
LOCKS_SQL = """
select
    locktype,
    coalesce(relation::oid::bigint, classid::oid::bigint << 32 | objid::oid::bigint) as object,
    mode,
    pid = :pid::int4 as is_own
from pg_catalog.pg_lock_status()
where pid = any (:pids::int4[]) and locktype in ('relation', 'advisory', 'object')
"""

_READ_MODES = {"AccessShareLock", "SIReadLock"}
_ROW_MODES = {"RowShareLock", "RowExclusiveLock"}


@dataclass(frozen=True, slots=True)
class Footprint:
    """Sets of relations, as bits.

    Args:
        reads: read, as of what was committed.
        rows: with rows written or locked; others that do so there may meet them.
        whole: locked as a whole (`lock table`, schema changes, advisory locks): even readers may meet that.
        published: made visible to others by this commit.
        let_go: locked in any way until now, and not from here on; of what was read, only a lock on the whole can notice.
        is_end: a commit or a rollback of a transaction that others could notice.
        takes_snapshot: from here on its transaction reads what was committed by now.
        awaits_safety: that waited for serializable transactions which had begun before (deferrable).
        level: of its transaction.
    """

    reads: int = 0
    rows: int = 0
    whole: int = 0
    published: int = 0
    let_go: int = 0
    is_end: bool = False
    takes_snapshot: bool = False
    awaits_safety: bool = False
    level: Isolation = Isolation.READ_COMMITTED

    @property
    def touches(self) -> int:
        return self.reads | self.rows | self.whole

    def with_held(self, before: "Footprint", *, is_same_transaction: bool) -> "Footprint":
        """Return the footprint with what was held before it: it may have let that go.

        Args:
            is_same_transaction: else only what a session can hold longer than a transaction.
        """
        if not is_same_transaction:
            return replace(self, whole=self.whole | before.whole)
        return replace(self, reads=self.reads | before.reads, rows=self.rows | before.rows, whole=self.whole | before.whole)


UNKNOWN = Footprint(EVERYTHING, EVERYTHING, EVERYTHING, EVERYTHING, EVERYTHING)


def is_dependent(one: Footprint, other: Footprint) -> bool:
    """Return whether the order of two neighbouring letters of different actors could matter.

    Rows that are not committed yet are seen by nobody else, so a write and a plain read of one relation may change places;
    its commit and that read may not.
    """
    touches, other_touches = one.touches | one.let_go, other.touches | other.let_go
    if one.rows & other.rows or one.whole & other_touches or other.whole & touches:
        return True
    if (one.is_end and other.whole == EVERYTHING) or (other.is_end and one.whole == EVERYTHING):
        return True  # what waits for all that hold a snapshot is not seen in their locks
    if one.published & (other.touches | other.published) or other.published & one.touches:
        return True
    # What the snapshot's transaction will read later is not known yet, so any commit counts.
    if (one.takes_snapshot and other.published) or (other.takes_snapshot and one.published):
        return True
    if Isolation.SERIALIZABLE in (one.level, other.level):
        # Who is refused may depend on who read or wrote first, and on the order of ends anywhere.
        awaits = (one.awaits_safety and other.takes_snapshot) or (other.awaits_safety and one.takes_snapshot)
        return bool(awaits or one.is_end or other.is_end or one.reads & other.rows or one.rows & other.reads)
    return False


class Relations:
    """Gives each lockable object a bit.

    Args:
        ignored: oids of relations of ours that every transaction writes that writes anything; none meets another there.
    """

    def __init__(self, ignored: frozenset[int] = frozenset()) -> None:
        self._ignored = ignored
        self._bits: dict[tuple[str, int], int] = {}

    def in_bits(self, bits: int) -> frozenset[int]:
        """Return the oids of the relations that bits of a footprint stand for."""
        return frozenset(what for (kind, what), bit in self._bits.items() if kind == "relation" and bits >> bit & 1)

    def read_locks(self, rows: "tuple[Mapping[str, Any], ...]") -> Footprint:
        """Return the footprint that rows of LOCKS_SQL stand for."""
        reads = row_locks = whole = 0
        for row in rows:
            kind = row["locktype"]
            is_weak = row["mode"] in _READ_MODES or (row["mode"] in _ROW_MODES and kind == "relation")
            if (is_weak and not row["is_own"]) or (kind == "relation" and row["object"] in self._ignored):
                continue
            # The keys of advisory locks are those of rows, which differ from run to run, and so count as one.
            what = (kind, 0 if kind == "advisory" else row["object"])
            bit = 1 << self._bits.setdefault(what, len(self._bits))
            if row["mode"] in _READ_MODES or not row["is_own"]:
                reads |= bit
            elif is_weak:
                row_locks |= bit
            else:
                whole |= bit
        return Footprint(reads, row_locks, whole)

"""Conflicts: what two calls would do to each other, foretold of what each did alone on the same rows.

What was read, and what was written or locked, are tables, as the server's locks show them: views, functions, triggers and
foreign keys count as what they do. Which rows were changed, the capture tells. Nothing is ruled out by it but pairs that
touch no table in common; it says which pairs to race first.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import combinations_with_replacement

from integrity.race.play.footprint import Footprint
from integrity.race.program.change import Fields
from integrity.race.program.trace import StepPhase


class ConflictKind(IntEnum):
    """What a ledger would suffer, the worst first."""

    LOST_CHANGE = 1
    STALE_READ = 2
    UNGUARDED_INSERTS = 3
    GUARDED_INSERTS = 4
    LOCKED_CHANGES = 5
    STALE_ANSWER = 6
    LOCKS = 7


@dataclass(frozen=True, slots=True)
class Observed:
    """What a call did alone.

    Args:
        reads: table -> its first letter that read there, where it had locked no row there before.
        locks: table -> its first letter that wrote or locked rows there.
        changed: rows that it changed or deleted, as (table, identity).
        made: tables into which it inserted.
    """

    name: str
    reads: Mapping[str, int]
    locks: Mapping[str, int]
    changed: frozenset[tuple[str, Fields]] = frozenset()
    made: frozenset[str] = frozenset()

    @property
    def written(self) -> frozenset[str]:
        """Tables whose rows it made, changed or deleted."""
        return self.made | {table for table, _ in self.changed}

    @property
    def tables(self) -> frozenset[str]:
        return frozenset(self.reads) | frozenset(self.locks) | self.written


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two calls that meet.

    Args:
        numbers: of the calls.
        table: where.
        reason: in words.
    """

    numbers: tuple[int, int]
    kind: ConflictKind
    table: str
    reason: str


@dataclass(slots=True)
class Observer:
    """Listens to a run of one call (watch.TraceRecorder)."""

    seen: list[tuple[int, Footprint]] = field(default_factory=list)

    def known(self, _actor: str, _number: int, _phase: StepPhase) -> Footprint | None:
        return None

    def add(self, _actor: str, number: int, _phase: StepPhase, footprint: Footprint) -> None:
        self.seen.append((number, footprint))

    def end_letter(self, *, done: str) -> None:
        """Nothing is kept of where letters end."""

    def observed(
        self, name: str, written: Iterable[tuple[str, str, Fields]], tables_in: Callable[[int], Collection[str]]
    ) -> Observed:
        """Return what the run shows.

        Args:
            written: by the call: operation, table, identity.
            tables_in: the tables that bits of a footprint stand for.
        """
        reads: dict[str, int] = {}
        locks: dict[str, int] = {}
        for number, footprint in self.seen:
            for table in tables_in(footprint.reads):
                if locks.get(table, number) >= number:
                    reads.setdefault(table, number)
            for table in tables_in(footprint.rows | footprint.whole):
                locks.setdefault(table, number)
        rows = list(written)
        return Observed(
            name,
            reads,
            locks,
            frozenset((table, identity) for operation, table, identity in rows if operation != "INSERT"),
            frozenset(table for operation, table, _ in rows if operation == "INSERT"),
        )


def find_conflicts(calls: Sequence[Observed], *, guarded: Collection[str] = ()) -> list[Conflict]:
    """Return the pairs of calls that meet, each with the worst that it could come to, the worst pairs first.

    Args:
        guarded: tables whose rows a unique index tells apart by more than a number that the database counts.
    """
    found = []
    for one, other in combinations_with_replacement(range(len(calls)), 2):
        meetings = [
            *_of_changes(calls[one], calls[other]),
            *_of_reads(calls[one], calls[other]),
            *_of_reads(calls[other], calls[one]),
            *_of_inserts(calls[one], calls[other], guarded),
            *_of_locks(calls[one], calls[other]),
        ]
        if meetings:
            kind, table, reason = min(meetings)
            found.append(Conflict((one, other), kind, table, reason))
    return sorted(found, key=lambda each: (each.kind, each.numbers))


_Meeting = tuple[ConflictKind, str, str]


def _of_changes(one: Observed, other: Observed) -> Iterator[_Meeting]:
    for table, identity in one.changed & other.changed:
        row = f"{table} ({', '.join(str(each) for each in identity)})"
        reader = next((each.name for each in (one, other) if table in each.reads), None)
        if reader is None:
            yield ConflictKind.LOCKED_CHANGES, table, f"both change {row}, and neither reads it before it locks it"
        else:
            yield ConflictKind.LOST_CHANGE, table, f"both change {row}, and {reader} reads there without a lock before"


def _of_reads(reader: Observed, writer: Observed) -> Iterator[_Meeting]:
    for table in reader.reads.keys() & writer.written:
        said = f"{reader.name} reads {table} without a lock, {writer.name} writes there"
        if reader.written:
            yield ConflictKind.STALE_READ, table, f"{said}, and {reader.name} writes behind its read"
        else:
            yield ConflictKind.STALE_ANSWER, table, said


def _of_inserts(one: Observed, other: Observed, guarded: Collection[str]) -> Iterator[_Meeting]:
    for table in one.made & other.made:
        if table in guarded:
            yield ConflictKind.GUARDED_INSERTS, table, f"both insert into {table}, where a unique index guards"
        else:
            yield ConflictKind.UNGUARDED_INSERTS, table, f"both insert into {table}, where no unique index guards"


def _of_locks(one: Observed, other: Observed) -> Iterator[_Meeting]:
    for table in one.locks.keys() & other.locks.keys():
        yield ConflictKind.LOCKS, table, f"both lock rows of {table}"

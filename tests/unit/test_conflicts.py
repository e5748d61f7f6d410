"""What two calls would do to each other is foretold of what each did alone, the worst first."""

import pytest

from integrity.race.search.conflicts import Conflict, ConflictKind, Observed, find_conflicts

ROW = ("wallets", ("7",))
LOST = Observed("pay", {"wallets": 0}, {"wallets": 1}, frozenset({ROW}))
LOCKED = Observed("pay locked", {}, {"wallets": 0}, frozenset({ROW}))
OTHER_ROW = Observed("pay another", {}, {"wallets": 0}, frozenset({("wallets", ("8",))}))
CHECKED = Observed("book", {"seats": 0}, {"seats": 0}, made=frozenset({"seats"}))
NOTED = Observed("note", {}, {"notes": 0}, made=frozenset({"notes"}))
READER = Observed("list", {"wallets": 0, "seats": 1}, {})
APART = Observed("ping", {}, {})


def only(*calls: Observed, guarded: tuple[str, ...] = ()) -> Conflict | None:
    """Return the conflict of two calls, or of one with itself, if they meet."""
    numbers = (0, len(calls) - 1)
    return next((each for each in find_conflicts(calls, guarded=guarded) if each.numbers == numbers), None)


@pytest.mark.parametrize(
    ("calls", "kind", "said"),
    [
        ((LOST,), ConflictKind.LOST_CHANGE, "both change wallets (7), and pay reads there without a lock before"),
        ((LOCKED, LOST), ConflictKind.LOST_CHANGE, "pay reads there without a lock"),
        ((LOCKED,), ConflictKind.LOCKED_CHANGES, "neither reads it before"),
        ((LOST, OTHER_ROW), ConflictKind.STALE_READ, "pay another writes there, and pay writes behind its read"),
        ((CHECKED,), ConflictKind.STALE_READ, "book reads seats without a lock, book writes there"),
        ((NOTED,), ConflictKind.UNGUARDED_INSERTS, "no unique index"),
        ((READER, LOCKED), ConflictKind.STALE_ANSWER, "list reads wallets without a lock, pay locked writes there"),
        ((LOCKED, OTHER_ROW), ConflictKind.LOCKS, "both lock rows of wallets"),
    ],
)
def test_a_pair_is_told_with_the_worst_that_it_could_come_to(
    calls: tuple[Observed, ...], kind: ConflictKind, said: str
) -> None:
    found = only(*calls)
    assert found is not None
    assert found.kind is kind
    assert said in found.reason


def test_inserts_that_a_unique_index_guards_come_behind_those_that_none_does() -> None:
    guarded = only(NOTED, guarded=("notes",))
    assert guarded is not None
    assert guarded.kind is ConflictKind.GUARDED_INSERTS > ConflictKind.UNGUARDED_INSERTS


def test_readers_and_what_touches_nothing_in_common_do_not_meet() -> None:
    assert [only(*calls) for calls in ((READER,), (APART,), (APART, LOST), (NOTED, LOST))] == [None] * 4


def test_the_worst_pairs_come_first() -> None:
    kinds = [each.kind for each in find_conflicts([NOTED, READER, LOCKED, CHECKED, LOST])]
    assert kinds == sorted(kinds)
    assert kinds[0] is ConflictKind.LOST_CHANGE

"""Footprints: which letters of two actors may change places."""

import pytest

from integrity.operation import Isolation
from integrity.race.play.footprint import UNKNOWN, Footprint, Relations, is_dependent

READ_T, READ_U = Footprint(reads=1), Footprint(reads=2)
WRITE_T, WRITE_U = Footprint(reads=1, rows=1), Footprint(reads=2, rows=2)
COMMIT_T = Footprint(rows=1, published=1, is_end=True)
ROLLBACK_T = Footprint(rows=1, is_end=True)
LOCK_TABLE_T = Footprint(whole=1)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (WRITE_T, WRITE_T),  # they may meet on a row
        (READ_T, COMMIT_T),  # it reads what the commit publishes
        (WRITE_T, COMMIT_T),
        (WRITE_T, ROLLBACK_T),  # it lets a lock go
        (LOCK_TABLE_T, READ_T),
        (UNKNOWN, READ_U),
        (UNKNOWN, Footprint(is_end=True)),  # which may have held a snapshot
        (LOCK_TABLE_T, Footprint(let_go=1, is_end=True)),  # its `nowait` is refused before that, and not behind it
        (Footprint(reads=2, takes_snapshot=True), COMMIT_T),  # what it reads later is not known yet
    ],
)
def test_letters_that_may_notice_each_other_are_dependent(one: Footprint, other: Footprint) -> None:
    assert is_dependent(one, other)
    assert is_dependent(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (READ_T, READ_T),
        (READ_T, WRITE_T),  # nobody sees a row that is not committed
        (READ_T, ROLLBACK_T),
        (WRITE_T, WRITE_U),
        (COMMIT_T, READ_U),
        (WRITE_T, Footprint(let_go=1, is_end=True)),
        (Footprint(takes_snapshot=True, reads=1), WRITE_T),
    ],
)
def test_letters_that_cannot_notice_each_other_are_independent(one: Footprint, other: Footprint) -> None:
    assert not is_dependent(one, other)
    assert not is_dependent(other, one)


def test_at_serializable_reading_and_writing_one_table_depend_before_any_commit() -> None:
    level = Isolation.SERIALIZABLE
    assert is_dependent(Footprint(reads=1, level=level), Footprint(reads=1, rows=1, level=level))
    assert is_dependent(Footprint(reads=2, level=level), Footprint(rows=1, is_end=True, level=level))


def test_a_deferrable_snapshot_depends_on_which_serializable_transactions_began_before_it() -> None:
    level = Isolation.SERIALIZABLE
    begun = Footprint(reads=1, takes_snapshot=True, level=level)
    assert is_dependent(Footprint(takes_snapshot=True, awaits_safety=True, level=level), begun)
    assert not is_dependent(Footprint(takes_snapshot=True, level=level), begun)


def lock(locktype: str, number: int, mode: str, *, is_own: bool = True) -> dict[str, object]:
    return {"locktype": locktype, "object": number, "mode": mode, "is_own": is_own}


def test_locks_are_sorted_by_what_others_notice_of_them() -> None:
    footprint = Relations().read_locks(
        (
            lock("relation", 10, "AccessShareLock"),
            lock("relation", 11, "RowExclusiveLock"),
            lock("relation", 12, "RowShareLock"),
            lock("advisory", 10, "ExclusiveLock"),
            lock("relation", 13, "AccessExclusiveLock"),
        )
    )
    assert (footprint.reads, footprint.rows, footprint.whole) == (0b00001, 0b00110, 0b11000)


def test_what_all_write_and_where_none_meets_another_is_left_out() -> None:
    locks = (lock("relation", 10, "RowExclusiveLock"), lock("relation", 11, "RowExclusiveLock"))
    others = (lock("relation", 10, "RowExclusiveLock"), lock("relation", 12, "RowExclusiveLock"))
    relations = Relations(ignored=frozenset({10}))
    assert not is_dependent(relations.read_locks(locks), relations.read_locks(others))


def test_what_others_hold_that_could_have_been_in_the_way_counts_as_read() -> None:
    footprint = Relations().read_locks(
        (
            lock("relation", 10, "RowExclusiveLock", is_own=False),
            lock("advisory", 10, "ShareLock", is_own=False),
            lock("relation", 11, "ExclusiveLock", is_own=False),
        )
    )
    assert (footprint.reads, footprint.rows, footprint.whole) == (0b11, 0, 0)


def test_advisory_locks_count_as_one_since_their_keys_are_those_of_rows_which_are_new_in_each_run() -> None:
    relations = Relations()
    one, other = (relations.read_locks((lock("advisory", number, "ExclusiveLock"),)) for number in (1001, 1002))
    assert is_dependent(one, other)


def test_what_a_letter_let_go_is_what_was_held_before_it() -> None:
    before = Footprint(reads=1, rows=2, whole=4)
    assert Footprint(reads=8).with_held(before, is_same_transaction=True) == Footprint(reads=9, rows=2, whole=4)
    assert Footprint(reads=8).with_held(before, is_same_transaction=False) == Footprint(reads=8, whole=4)

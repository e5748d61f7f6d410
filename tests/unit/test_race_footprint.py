"""Footprints: which letters of two actors may change places."""

import pytest

from integrity.operation import Isolation
from integrity.race.footprint import UNKNOWN, Footprint, Relations, is_dependent

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


def test_locks_are_sorted_by_what_others_notice_of_them() -> None:
    footprint = Relations().read_locks(
        (
            {"locktype": "relation", "object": 10, "mode": "AccessShareLock"},
            {"locktype": "relation", "object": 11, "mode": "RowExclusiveLock"},
            {"locktype": "relation", "object": 12, "mode": "RowShareLock"},
            {"locktype": "advisory", "object": 10, "mode": "ExclusiveLock"},
            {"locktype": "relation", "object": 13, "mode": "AccessExclusiveLock"},
        )
    )
    assert (footprint.reads, footprint.rows, footprint.whole) == (0b00001, 0b00110, 0b11000)

"""What an operation leaves in an open transaction is lost; a transaction that only read loses nothing."""

import pytest

from integrity.systems.left_open import has_written


@pytest.mark.parametrize(
    "statements",
    [
        [],
        ["select 1", "select id from wallets where id = :id for update", "select 1 for no key update"],
        [
            "with old as (select 1) select * from old",
            "(select 1) union select 2",
            "/* page */ select 'delete from wallets'",
        ],
        ["set local lock_timeout = '1s'", "savepoint first", "lock table wallets"],
        ["insert into entries values (1)", "commit", "select 1"],
        ["update wallets set balance = 1", "ROLLBACK"],
    ],
)
def test_what_only_read_or_has_ended_wrote_nothing(statements: list[str]) -> None:
    assert not has_written(statements)


@pytest.mark.parametrize(
    "statements",
    [
        ["select 1", "insert into entries values (1)", "select 2"],
        ["with gone as (delete from entries returning id) select * from gone"],
        ["with paid as (update wallets set balance = 1 returning id) select * from paid"],
        ["update wallets set balance = 1", "savepoint first", "rollback to savepoint first"],
        ["update wallets set balance = 1", "rollback work to first"],
        ["commit", "-- of the balance\nUPDATE wallets set balance = 1"],
    ],
)
def test_what_wrote_since_the_last_end_has_written(statements: list[str]) -> None:
    assert has_written(statements)

"""A system in a few lines: what a newcomer types of functions that are there."""

from typing import Any

import pytest

from integrity.errors import UsageError
from integrity.operation import Begin, Commit, Ok, Operation, Steps
from integrity.systems.brief import IntegerIn, KeyOf, operation_of, system_of


def redeem(connection: Any, *, coupon: int) -> None:
    connection.execute("select 1 from coupons where id = %s", (coupon,))


def refund(*, operation_id: object, coupon: int) -> Steps:
    yield Begin()
    yield Commit()
    return Ok()


REDEEM = operation_of(redeem, declined=[ValueError], coupon=KeyOf("coupons"))


def test_a_function_and_a_generator_are_operations_of_their_names() -> None:
    made = operation_of(refund, coupon=KeyOf("coupons"))
    assert made == Operation("refund", refund, {"coupon": KeyOf("coupons")})
    assert (REDEEM.name, REDEEM.arguments) == ("redeem", made.arguments)
    with pytest.raises(UsageError, match="takes no 'seat', which it is called with"):
        operation_of(redeem, seat=IntegerIn(1, 2))


def test_a_race_is_played_on_the_rows_that_are_written_and_else_on_two_of_each_table_that_keys_are_drawn_of() -> None:
    rows = system_of("shop", REDEEM, rows=["coupon: coupons(uses_left = 6, code = 'a, b')"]).rows
    assert [(row.key, row.table, dict(row.values)) for row in rows] == [
        ("coupon", "coupons", {"uses_left": "6", "code": "'a, b'"})
    ]
    assert [row.table for row in system_of("shop", REDEEM).rows] == ["coupons", "coupons"]
    for wrong, told in ((["coupons"], "rows: not a row: ''"), (["a: t(b = :c)"], "no row above it has the key 'c'")):
        with pytest.raises(UsageError, match=told):
            system_of("shop", REDEEM, rows=wrong)
    with pytest.raises(UsageError, match="two of its operations have one name"):
        system_of("shop", REDEEM, REDEEM)

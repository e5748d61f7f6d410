"""A system in a few lines: what a newcomer types of functions that are there."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from integrity.errors import UsageError
from integrity.operation import Begin, Commit, Ok, Operation, Steps
from integrity.systems.brief import IntegerIn, KeyOf, operation_of, system_of
from integrity.user_code import place_of


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


class UsedUp(Exception):
    """Nothing is left."""


def yielding(connection: Any, *, coupon: int) -> Iterator[int]:
    yield coupon


NO_FUNCTION: Any = "redeem"
WRONG: dict[str, tuple[Callable[[], object], str, str]] = {
    "declined, one": (
        lambda: operation_of(redeem, declined=UsedUp),  # type: ignore[arg-type]
        "operation 'redeem': declined is the type UsedUp, and must be a sequence of Exception types",
        "declined=(UsedUp,)",
    ),
    "declined, a text": (
        lambda: operation_of(redeem, declined="UsedUp"),  # type: ignore[arg-type]
        "operation 'redeem': declined is of type str 'UsedUp', and must be a sequence of Exception types",
        "declined=[NotEnough]",
    ),
    "declined, texts": (
        lambda: operation_of(redeem, declined=["UsedUp"]),  # type: ignore[list-item]
        "operation 'redeem': declined is of type list of str 'UsedUp', and must be a sequence of Exception types",
        "declined=[NotEnough]",
    ),
    "declined, raised": (
        lambda: operation_of(redeem, declined=[UsedUp()]),  # type: ignore[list-item]
        "operation 'redeem': declined is of type list of UsedUp, and must be a sequence of Exception types",
        "declined=[NotEnough]",
    ),
    "rows, a text": (
        lambda: system_of("shop", REDEEM, rows="coupon: coupons"),
        "system 'shop': rows is of type str 'coupon: coupons', and must be a sequence of str",
        "rows=('coupon: coupons',)",
    ),
    "rows, no texts": (
        lambda: system_of("shop", REDEEM, rows=[("coupon", "coupons")]),  # type: ignore[list-item]
        "system 'shop': rows is of type list of tuple, and must be a sequence of str",
        'rows=["wallet: wallets(balance_minor = 100)"]',
    ),
    "a function for an operation": (
        lambda: system_of("shop", redeem),  # type: ignore[arg-type]
        "system 'shop': operations is of type tuple of function, and must be a sequence of Operation",
        "operation_of(withdraw, ",
    ),
    "a generator with a connection": (
        lambda: operation_of(yielding, coupon=KeyOf("coupons")),
        f"operation 'yielding': yielding ({place_of(yielding)}) is a generator, and takes no operation_id",
        "leave out `yield`",
    ),
    "no function": (
        lambda: operation_of(NO_FUNCTION, coupon=KeyOf("coupons")),
        "operation_of: 'redeem' is no function with a name",
        "operation_of(withdraw, ",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_given_in_another_form_is_refused_with_the_value_and_what_to_write(case: str) -> None:
    write, told, hint = WRONG[case]
    with pytest.raises(UsageError) as raised:
        write()
    assert told in str(raised.value)
    assert hint in (raised.value.hint or "")


def test_any_collection_does_for_the_declined_and_the_rows() -> None:
    for declined in ({UsedUp}, (each for each in [UsedUp])):
        assert operation_of(redeem, declined=declined, coupon=KeyOf("coupons")).name == "redeem"  # type: ignore[arg-type]
    assert len(system_of("shop", REDEEM, rows=(each for each in ["coupon: coupons"])).rows) == 1  # type: ignore[arg-type]

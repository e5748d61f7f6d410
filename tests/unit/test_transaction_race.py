"""How sure it is that what two recorded transactions come to is wrong."""

from decimal import Decimal

import pytest

from integrity.jobs.transaction_race import lost_number
from integrity.race.program.change import Change, ChangeKind


def change(before: object, after: object, *, key: str = "1") -> list[Change]:
    return [Change("stock", ChangeKind.CHANGED, (key,), {"left_over": before}, {"left_over": after})]


@pytest.mark.parametrize(
    ("one", "other", "together", "is_lost"),
    [
        (change(9, 8), change(9, 7), change(9, 8), True),
        (change(9, 8), change(9, 8), change(9, 8), True),
        (change(Decimal(9), Decimal("8.5")), change(Decimal(9), Decimal(7)), change(Decimal(9), Decimal(7)), True),
        (change(9, 8), change(9, 7), change(9, 6), False),
        (change(9, 8), change(9, 7, key="2"), change(9, 8), False),
        (change(9, 9), change(9, 7), change(9, 7), False),
        (change(False, True), change(False, True), change(False, True), False),  # noqa: FBT003
        (change("new", "paid"), change("new", "paid"), change("new", "paid"), False),
    ],
)
def test_a_number_is_lost_where_both_changed_it_and_it_is_what_one_alone_makes_it(
    one: list[Change], other: list[Change], together: list[Change], *, is_lost: bool
) -> None:
    assert bool(lost_number(one, other, together=together)) == is_lost

"""Functions that are raced are called, and typed again, as somebody has them; what is no function is told first."""

from collections.abc import Callable
from functools import partial
from typing import Any, cast

import pytest

from integrity.errors import UsageError
from integrity.jobs.race_calls import CallRace
from integrity.race.gated.calls import name_of, typed


class Wallet:
    def pay(self) -> None: ...

    @classmethod
    def sweep(cls) -> None: ...

    def __call__(self) -> None: ...


def spend(url: str = "", cents: int = 0) -> None: ...


@pytest.mark.parametrize(
    ("function", "name", "shown"),
    [
        (spend, "spend", "spend"),
        (partial(spend, "url"), "spend", "partial(spend, ...)"),
        (partial(partial(spend, "url"), 8), "spend", "partial(spend, ...)"),
        (partial(Wallet().pay), "pay", "partial(Wallet(...).pay, ...)"),
        (lambda: None, "<lambda>", "lambda: ..."),
        (Wallet().pay, "pay", "Wallet(...).pay"),
        (Wallet.sweep, "sweep", "Wallet.sweep"),
        (Wallet(), "Wallet", "Wallet(...)"),
    ],
)
def test_a_function_is_typed_so_that_what_is_pasted_is_no_other(
    function: Callable[..., Any], name: str, shown: str
) -> None:
    assert (name_of(function), typed(function)) == (name, shown)


def test_what_came_of_a_call_is_told_from_what_makes_it() -> None:
    race = CallRace("postgresql://localhost/shop_test")
    with pytest.raises(UsageError, match="race: argument 2 is no function: '5'") as raised:
        race(spend, cast("Callable[[], Any]", 5))
    assert "lambda: pay(7)" in (raised.value.hint or "")

"""Every value that a domain draws is one that its Hypothesis strategy can draw, and the other way round."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import integrity.domain as domains
from integrity.domain import Counter, Domain, IntegerIn, KeyOf, MomentIn, NewKey, NewText, NewUuid, NumericIn, OneOf, World
from integrity.errors import UsageError

DOMAINS: list[tuple[Domain, set[int | str]]] = [
    (KeyOf("wallets"), {3, 5, 8}),
    (IntegerIn(500, 2_000, 500), {500, 1_000, 1_500, 2_000}),
    (IntegerIn(1, 8, 3), {1, 4, 7}),
    (IntegerIn(3, 3), {3}),
    (OneOf(("in", "out")), {"in", "out"}),
]


def _world() -> World:
    return World(keys={"wallets": [3, 5, 8]})


@pytest.mark.parametrize(("domain", "values"), DOMAINS)
def test_drawing_reaches_every_value_and_no_other(domain: Domain, values: set[int | str]) -> None:
    random = Random(7)
    assert {domain.draw(random, _world()) for _ in range(500)} == values


@pytest.mark.parametrize(("domain", "values"), DOMAINS)
@given(data=st.data())
def test_the_strategy_draws_only_the_same_values(data: st.DataObject, domain: Domain, values: set[int | str]) -> None:
    assert data.draw(domain.strategy(_world())) in values


def test_the_same_random_state_draws_the_same_values() -> None:
    domain, world = KeyOf("wallets"), World(keys={"wallets": list(range(100))}, hot_share=0.5)
    first, second = Random(11), Random(11)
    assert [domain.draw(first, world) for _ in range(50)] == [domain.draw(second, world) for _ in range(50)]


def test_hot_keys_are_the_newest_and_take_their_share() -> None:
    world = World(keys={"wallets": list(range(1_000))}, hot_share=0.9, hot_count=10)
    world.add("wallets", 1_000)
    random = Random(3)
    drawn = [KeyOf("wallets").draw(random, world) for _ in range(2_000)]
    hot = sum(key > 990 for key in drawn if isinstance(key, int)) / len(drawn)
    assert 0.87 < hot < 0.93
    assert 1_000 in drawn


def test_a_pool_does_not_grow_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("integrity.domain.MADE_MOST", 10)
    world = World({"sales": [1, 2, 3]})
    for key in range(100, 200):
        world.add("sales", key)
        assert len(world.keys["sales"]) <= 3 + 10
    assert world.keys["sales"][:3] == [1, 2, 3], "what was there when the run began stays"
    assert world.keys["sales"][-1] == 199
    assert world.keys["sales"] == sorted(world.keys["sales"])


D, T = Decimal, timedelta
WRONG: list[tuple[Callable[..., Any], tuple[Any, ...], str]] = [
    (IntegerIn, (4, 1), r"IntegerIn\(least=4, most=1, step=1\): no value is from 4 to 1"),
    (IntegerIn, (1, 4, 0), "step is 0"),
    (IntegerIn, (1, 4, -1), "step is -1"),
    (IntegerIn, ("1", 4), "integerin: least is of type str '1', and must be int"),
    (IntegerIn, (1, 4.5), "most is of type float '4.5'"),
    (NumericIn, (D(4), D(1)), r"no value is from 4 to 1"),
    (NumericIn, (0.01, 9.99), "least is of type float '0.01', and must be Decimal"),
    (NumericIn, (D(0), D("Infinity")), "its bounds are no numbers"),
    (NumericIn, (D("NaN"), D(1)), "its bounds are no numbers"),
    (MomentIn, (T(hours=2), T(hours=1)), "no value is from 2:00:00 to 1:00:00"),
    (MomentIn, (1, 2), "least is of type int '1'"),
    (OneOf, ((),), "there is no value in it"),
    (OneOf, ("abc",), "values is of type str"),
    (OneOf, ({1, 2},), "values is of type set"),
    *((kind, (7,), "pool is of type int '7', and must be str") for kind in (KeyOf, NewKey, NewText, NewUuid, Counter)),
]


@pytest.mark.parametrize(("kind", "given", "said"), WRONG)
def test_a_domain_of_no_values_is_refused_as_it_is_made(
    kind: Callable[..., Any], given: tuple[Any, ...], said: str
) -> None:
    with pytest.raises(UsageError, match=said) as refused:
        kind(*given)
    assert refused.value.hint


def test_every_domain_has_a_case_of_what_is_refused() -> None:
    made = {each for each in vars(domains).values() if isinstance(each, type) and hasattr(each, "strategy")} - {Domain}
    assert made == {kind for kind, *_ in WRONG}

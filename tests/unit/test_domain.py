"""Every value that a domain draws is one that its Hypothesis strategy can draw, and the other way round."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrity.domain import Domain, IntegerIn, KeyOf, OneOf, World

DOMAINS: list[tuple[Domain, set[int | str]]] = [
    (KeyOf("wallets"), {3, 5, 8}),
    (IntegerIn(500, 2_000, 500), {500, 1_000, 1_500, 2_000}),
    (IntegerIn(1, 8, 3), {1, 4, 7}),
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

"""When a pooler is advisable, from what a server says of its connections."""

from typing import Any, cast

import pytest

from integrity.engines.target import Target
from integrity.health.check import Health
from integrity.health.pooler import check_pooler
from integrity.health.server import Server


class Direct:
    is_pooled = False


@pytest.mark.parametrize(
    ("taken", "idle", "can_see_all", "state", "words"),
    [
        (40, 39, True, Health.OK, "40 of 100 connections taken, 39 of them idle: none is needed"),
        (60, 30, True, Health.WARNING, "60 of 100 connections taken, 30 of them idle: one is advisable"),
        (95, 10, True, Health.OK, "95 of 100 connections taken, 10 of them idle: they work"),
        (95, 10, False, Health.WARNING, "10 of them idle as far as this role may see"),
    ],
)
def test_a_pooler_is_advised_where_many_connections_are_taken_and_idle(
    taken: int, idle: int, *, can_see_all: bool, state: Health, words: str
) -> None:
    facts: dict[str, Any] = {"slots": 100, "slots_used": taken, "slots_idle": idle, "can_see_all": can_see_all}
    found = check_pooler(Target.parse("postgresql://u@h/d"), cast(Server, Direct()), facts)
    assert found.state is state
    assert words in found.found

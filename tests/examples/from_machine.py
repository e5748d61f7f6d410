"""Somebody's state machine as the source of a workload: its rules become operations, its bundles pools of keys."""

from types import SimpleNamespace
from typing import Any

from hypothesis import Phase, given, seed, settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine

from integrity import Operation
from integrity.domain import Domain, KeyOf, OneOf
from integrity.systems.functions import steps_of


def drawn(strategy: Any) -> Domain:
    if isinstance(strategy, Bundle):
        return KeyOf(strategy.name)
    values: dict[Any, None] = {}

    @seed(0)
    @settings(max_examples=30, database=None, phases=[Phase.generate])
    @given(strategy)
    def collect(value: Any) -> None:
        values[value] = None

    collect()
    return OneOf(list(values))


def parts_of(machine: type[RuleBasedStateMachine]) -> dict[str, Any]:
    parts: dict[str, Any] = {"operations": {}, "makes": {}}
    for rule in machine.setup_state().rules:
        name, call = rule.function.__name__, rule.function
        steps = steps_of(lambda connection, _call=call, **given: _call(SimpleNamespace(connection=connection), **given))
        parts["operations"][name] = Operation(name, steps, {key: drawn(each) for key, each in rule.arguments.items()})
        for bundle in rule.targets:
            parts["makes"][name] = (bundle, "value")
    return parts

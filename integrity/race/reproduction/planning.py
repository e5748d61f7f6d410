"""Planning: calls like those of a history, on rows of a stage."""

from collections.abc import Sequence

from integrity.domain import Key, KeyOf, from_history
from integrity.history import Call
from integrity.race.judge.contest import Ground
from integrity.race.program.planned_calls import PlannedCall, make_world


def plan_calls(calls: Sequence[Call], ground: Ground) -> tuple[PlannedCall, ...]:
    """Return calls like these on rows of the stage: a key is the first, second, ... of its pool, the same where it was."""
    pools = make_world(ground.keys).keys
    names: dict[tuple[str, str], Key] = {}
    planned = []
    for call in calls:
        arguments: dict[str, Key] = {}
        for name, domain in ground.system.operations[call.operation].arguments.items():
            value = call.arguments[name]
            if isinstance(domain, KeyOf):
                pool = pools[domain.pool]
                taken = sum(known == domain.pool for known, _ in names)
                arguments[name] = names.setdefault((domain.pool, str(value)), pool[taken % len(pool)])
            else:
                arguments[name] = from_history(domain, value)
        planned.append(PlannedCall(call.operation, arguments))
    return tuple(planned)

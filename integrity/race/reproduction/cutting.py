"""Cutting off: a call whose client dies after some of its steps, and the server rolls back what is open."""

from dataclasses import replace
from uuid import UUID

from integrity.operation import StatementFailed, Steps
from integrity.race.program.program import Actor, Keys
from integrity.race.program.trace import CUT_OFF


def cutting_off(actor: Actor, count: int) -> Actor:
    """Return the actor with a client that dies after so many steps."""

    def steps(keys: Keys, operation_id: UUID) -> Steps:
        return _cut_off(actor.steps(keys, operation_id), count)

    return replace(actor, steps=steps)


def _cut_off(steps: Steps, count: int) -> Steps:
    """Let the call do so many steps and no more."""
    try:
        step = next(steps)
        for _ in range(count):
            try:
                answer = yield step
            except StatementFailed as error:
                step = steps.throw(error)
            else:
                step = steps.send(answer)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]  # StopIteration.value is Any
    return CUT_OFF

"""An operation's steps driven from within another's: changed, joined or listened to on their way out."""

from collections.abc import Callable, Generator
from typing import Any

from integrity.operation import Reply, StatementFailed, Step, Steps

CarryOut = Callable[[Step], Generator[Step, Any, Any]]
"""Yields the steps that stand for one, and returns its answer."""


def driven(steps: Steps, carry_out: CarryOut) -> Steps:
    """Drive the generator within, each of its steps carried out by others; answers and refusals go in as they come."""
    try:
        step = next(steps)
        while True:
            try:
                answer = yield from carry_out(step)
            except StatementFailed as error:
                step = steps.throw(error)
            else:
                step = steps.send(answer)
    except StopIteration as end:
        reply: Reply = end.value
        return reply

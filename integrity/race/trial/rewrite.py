"""Rewrites: an operation with its steps changed, for trying what a protection is good for."""

from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Any

from integrity.operation import (
    Begin,
    Commit,
    Operation,
    Push,
    Request,
    Rollback,
    Statement,
    Step,
    Steps,
)
from integrity.race.program.driven import driven

ChangeStep = Callable[[Step], Step]


def with_steps_changed(operation: Operation, change: ChangeStep) -> Operation:
    """Return the operation, each of its steps changed."""
    make = operation.steps

    def steps(**arguments: object) -> Steps:
        return change_steps(make(**arguments), change)

    return replace(operation, steps=steps)


def change_steps(steps: Steps, change: ChangeStep) -> Steps:
    """Return the steps, each changed on its way out; answers and errors go in as they are."""

    def carry_out(step: Step) -> Generator[Step, Any, Any]:
        return (yield change(step))

    return driven(steps, carry_out)


def with_statement_before(operation: Operation, sql: str, before: str) -> Operation:
    """Return the operation with a statement before each of one text, given the same parameters."""
    make = operation.steps

    def carry_out(step: Step) -> Generator[Step, Any, Any]:
        if isinstance(step, Statement) and step.sql == sql:
            yield replace(step, sql=before)
        return (yield step)

    def steps(**arguments: object) -> Steps:
        return driven(make(**arguments), carry_out)

    return replace(operation, steps=steps)


def in_one_transaction(operation: Operation) -> Operation:
    """Return the operation with all its statements in one transaction, which ends with the call.

    What it rolls back itself is still rolled back, and what comes after that is a transaction of its own.
    """
    make = operation.steps

    def steps(**arguments: object) -> Steps:
        return _join_transactions(make(**arguments))

    return replace(operation, steps=steps)


def in_parts(operation: Operation) -> Operation:
    """Return the operation with each of its statements a transaction of its own; what it rolls back stays."""
    make = operation.steps

    def carry_out(step: Step) -> Generator[Step, Any, Any]:
        return None if isinstance(step, Begin | Commit | Rollback) else (yield step)

    def steps(**arguments: object) -> Steps:
        return driven(make(**arguments), carry_out)

    return replace(operation, steps=steps)


def _join_transactions(steps: Steps) -> Steps:
    is_open = False

    def carry_out(step: Step) -> Generator[Step, Any, Any]:
        nonlocal is_open
        answer: object = None
        match step:
            case Statement():
                if not is_open:
                    yield Begin()
                    is_open = True
                answer = yield step
            case Rollback():
                yield step
                is_open = False
            case Request() | Push():
                answer = yield step
            case Begin() | Commit():
                pass
        return answer

    reply = yield from driven(steps, carry_out)
    if is_open:
        yield Commit()
    return reply


def replacing(sql: str, replacement: str) -> ChangeStep:
    """Return the change of one statement's text into another."""

    def change(step: Step) -> Step:
        return replace(step, sql=replacement) if isinstance(step, Statement) and step.sql == sql else step

    return change

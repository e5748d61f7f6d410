"""Programs: what is raced. Some calls on shared rows, how those rows are made, and what must be true afterwards."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from integrity.operation import Isolation, Statement, Steps, Value

Keys = Mapping[str, Value]
"""The keys of the rows that one schedule plays on, by the names that the stage gave them."""

Service = Callable[[Mapping[str, Value]], Mapping[str, Value]]
"""Answers a Request step at once; what it would send later is left out: a webhook is an actor of its own."""


@dataclass(frozen=True, slots=True)
class Actor:
    """One call of an operation.

    Args:
        operation: its name.
        steps: makes the generator; its arguments may depend on the keys of the stage.
        arguments: as shown to people, e.g. "wallet_id=wallet, amount_minor=500".
    """

    operation: str
    steps: Callable[[Keys, UUID], Steps]
    arguments: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """An invariant narrowed to the rows in play.

    Args:
        name: the invariant's.
        violations: given the keys, a statement that returns the rows that violate it.
    """

    name: str
    violations: Callable[[Keys], Statement]


@dataclass(frozen=True, slots=True)
class Digest:
    """Rows that make up the final state: what a serial order must agree with.

    Args:
        table: what the rows are called.
        rows: given the keys and the operation_ids of the calls, a statement that returns them.
    """

    table: str
    rows: Callable[[Keys, Sequence[UUID]], Statement]


@dataclass(frozen=True, slots=True)
class Program:
    """What is raced.

    Args:
        actors: A, B, ... in this order.
        stage: makes rows of its own for each schedule and returns their keys as Ok({name: key, ...}).
        isolation: the level of transactions that do not name one, and of statements outside transactions.
        checks: the first oracle.
        digests: what the second oracle compares, beside the replies.
        services: by the name that Request steps use.
    """

    actors: tuple[Actor, ...]
    stage: Callable[[], Steps]
    isolation: Isolation = Isolation.READ_COMMITTED
    checks: tuple[Check, ...] = ()
    digests: tuple[Digest, ...] = ()
    services: Mapping[str, Service] = field(default_factory=dict)


def on_keys(sql: str) -> Callable[..., Statement]:
    """Return what makes a statement of SQL whose `:name` parameters are keys of the stage: a check's or a digest's."""

    def statement(keys: Keys, _operation_ids: Sequence[UUID] = ()) -> Statement:
        return Statement(sql, keys)

    return statement

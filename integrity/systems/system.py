"""What a system is: a schema, operations, the outside services it talks to, and the bugs that can be planted in it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random

from sqlalchemy import MetaData

from integrity.operation import Operation, Steps, Value


@dataclass(frozen=True, slots=True)
class Delivery:
    """A call that an outside service makes later: a webhook.

    Args:
        delay_s: seconds after the request that caused it; two with the same delay are sent at once.
        operation: the operation it calls.
        arguments: its arguments, without operation_id: every delivery is a call of its own.
    """

    delay_s: float
    operation: str
    arguments: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """How an outside service behaves.

    Args:
        delay_least_s, delay_most_s: when a webhook follows its request.
        failure_share: requests that end in a failed payment.
        duplicate_share: webhooks that are sent again; half of those at once, half later.
        retry_s: when an unacknowledged webhook is sent again. Services retry until they are answered ok or declined.
    """

    delay_least_s: float = 0.0
    delay_most_s: float = 0.0
    failure_share: float = 0.0
    duplicate_share: float = 0.0
    retry_s: float = 0.2


Answer = Mapping[str, Value]
Service = Callable[[Mapping[str, Value], Random, ServiceSettings], tuple[Answer, list[Delivery]]]
"""A service is a pure function: the request's payload, a random source and its settings in, its answer at once and the
webhooks that follow out. The same random state gives the same answer."""


@dataclass(frozen=True, slots=True)
class Bug:
    """Something a developer forgot, planted on purpose.

    Args:
        name: e.g. "double_credit".
        forgotten: what was forgotten, in one sentence.
        operations: the operations it replaces, by name.
        dropped: constraints and unique indexes that it leaves out, as "table.constraint".
        violates: the invariants that a run with it violates, exactly these.
        race: the operations that collide, or empty when no interleaving is needed (a crash, an arithmetic slip).
        schedule: the shortest schedule that shows it, as `integrity race` writes it, e.g. "AB"; empty without a race.
    """

    name: str
    forgotten: str
    operations: Mapping[str, Operation]
    violates: tuple[str, ...]
    dropped: tuple[str, ...] = ()
    race: tuple[str, ...] = ()
    schedule: str = ""


@dataclass(frozen=True, slots=True)
class System:
    """An application under audit.

    Args:
        name: also the name of its database schema, its folders of invariants and queries, and its seeder.
        title: one line that says what it is.
        metadata: its tables; metadata.schema is its name.
        operations: the sound ones, by name.
        services: the outside services, by the name that Request steps use.
        pools: pools of keys that arguments are drawn from: pool name -> a query whose first column lists them in order.
        makes: keys that an operation's ok reply adds to a pool: operation -> (pool, name in the reply).
        bugs: what can be planted, by name.
        stage: makes a small world of rows for one race, in which every invariant holds, and returns its keys, named by pool
            and number: Ok({"wallets_1": 41, "wallets_2": 42, ...}).
    """

    name: str
    title: str
    metadata: MetaData
    operations: Mapping[str, Operation]
    services: Mapping[str, Service]
    pools: Mapping[str, str]
    makes: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    bugs: Mapping[str, Bug] = field(default_factory=dict)
    stage: Callable[[], Steps] | None = None

    def operations_with(self, bug: Bug | None) -> dict[str, Operation]:
        """Return the operations by name, those that the bug replaces replaced."""
        return {**self.operations, **(bug.operations if bug else {})}

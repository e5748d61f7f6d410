"""Programs: what is raced. Some calls on shared rows, how those rows are made, and what must be true afterwards."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID

from integrity.history import Call, Received, Requested
from integrity.operation import NOTHING, Allowed, Isolation, Row, Statement, Steps, Value
from integrity.race.program.trace import Return
from integrity.systems.stage import Stage

Keys = Mapping[str, Value]
"""The keys of the rows that one schedule plays on, by the names that the stage gave them."""

Service = Callable[[Mapping[str, Value]], Mapping[str, Value]]
"""Answers a Request step at once; what it would send later is left out: a webhook is an actor of its own."""

Launch = Callable[[Callable[[Return], None]], None]
"""Begins a call, and has what it is given told, from any thread, what that returned."""


class Outside(Protocol):
    """What is told of a call that is not ours to step, beside its statements: it counts as if we had stepped it."""

    def note_asked(self, service: str, payload: Mapping[str, Value], answer: Mapping[str, Value]) -> None:
        """It has asked an outside service."""

    def note_pushed(self, events: Sequence[Row]) -> None:
        """Events were pushed to its client."""


@dataclass(frozen=True, slots=True)
class Actor:
    """One call of an operation.

    Args:
        operation: its name.
        steps: makes the generator; its arguments may depend on the keys of the stage.
        arguments: as shown to people, e.g. "wallet_id=wallet, amount_minor=500".
        given: the same as the call's history has them, given the keys of the stage.
        allowed: what it may come to beside others.
        place: where its operation is written, e.g. "bank.py:41"; empty: nobody knows.
        launch: of one that is not ours to step: given the same as `steps`, what begins the call.
        outside: of one that is not ours to step: is given the call's id, and who is to be told what else it does.
        is_changing: its operation has statements that change rows, by their text.
        rows: with which its calls are likely to be accepted, as a file of SQL has them.
    """

    operation: str
    steps: Callable[[Keys, UUID], Steps]
    arguments: str = ""
    given: Callable[[Keys], Mapping[str, Value]] = lambda _keys: {}
    allowed: Allowed = NOTHING
    place: str = ""
    launch: Callable[[Keys, UUID], Launch] | None = None
    outside: Callable[[UUID, Outside], None] | None = None
    is_changing: bool = False
    rows: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RaceHistory:
    """The history of one schedule, as a client would have written it.

    Args:
        calls: in the order of the actors. All were invoked when the rows were made: what orders them is the schedule alone.
        requests: what they asked of outside services.
        received: what was pushed to them.
        began_at: by the server's clock, behind the rows of the stage; None where no check asks for it.
    """

    calls: tuple[Call, ...] = ()
    requests: tuple[Requested, ...] = ()
    received: tuple[Received, ...] = ()
    began_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """An invariant narrowed to the rows in play.

    Args:
        name: the invariant's.
        violations: given the keys and the history, a statement that returns the rows that violate it.
        reads: the relations of the history that it asks: calls, requests, received, runs.
    """

    name: str
    violations: Callable[[Keys, RaceHistory], Statement]
    reads: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Digest:
    """Rows that make up the final state: what a serial order must agree with.

    Args:
        table: what the rows are called.
        rows: given the keys and the operation_ids of the calls, a statement that returns them.
    """

    table: str
    rows: Callable[[Keys, Sequence[UUID]], Statement]


SNAPSHOT = "snapshot"
"""Among what a reader holds: what it sees, and keeps seeing."""


@dataclass(slots=True)
class Standing:
    """What the runs of a program have shown to be in the way of its actors, though who holds it has written nothing: so
    that the end of a transaction that only read is a letter where one of them locks whole tables, and there only.

    It grows as they run, and a letter means another thing then: who has played by it begins anew.

    Args:
        holds: modes of the locks that readers hold, as the engine names them, and SNAPSHOT.
        actors: of a program of so many actors, in one order at least, it is known.
    """

    holds: frozenset[str] = frozenset()
    actors: int = 0

    def of_part(self) -> "Standing":
        """Return that of a program of some of the calls: who was waiting may be missing there."""
        return Standing() if self.holds else self


@dataclass(frozen=True, slots=True)
class Program:
    """What is raced.

    Args:
        actors: A, B, ... in this order.
        stage: returns rows for one schedule, new ones each time.
        isolation: the level of transactions that do not name one, and of statements outside transactions.
        checks: the first oracle.
        digests: what the second oracle compares, beside the replies.
        services: by the name that Request steps use.
        is_deferred: on SQLite, transactions begin without the write lock, as `begin` does there, and not with it, as the
            workload's do (`begin immediate`). PostgreSQL knows no such difference.
        allowed: what every call may come to beside others.
        is_strict: answers that no serial order gives are wrong also where the rows are right.
        is_captured: what a schedule changes is captured, and compared beside the digests.
        volatile: columns that are compared with nothing, "table.column" or "column".
        expect: given what each call returned, by letter, yields what is wrong with that, as rows; asked as the checks are.
        views: view -> the tables that it reads, as digests call them.
        standing: shared by programs that are this one but for how its actors are listened to.
    """

    actors: tuple[Actor, ...]
    stage: Callable[[], Stage]
    isolation: Isolation = Isolation.READ_COMMITTED
    checks: tuple[Check, ...] = ()
    digests: tuple[Digest, ...] = ()
    services: Mapping[str, Service] = field(default_factory=dict)
    is_deferred: bool = False
    allowed: Allowed = NOTHING
    is_strict: bool = False
    is_captured: bool = False
    volatile: frozenset[str] = frozenset()
    expect: Callable[[Mapping[str, Return]], Sequence[Row]] = lambda _returns: ()
    views: Mapping[str, frozenset[str]] = field(default_factory=dict)
    standing: Standing = field(default_factory=Standing, compare=False, repr=False)

    @property
    def is_timed(self) -> bool:
        """A check asks the history, which has times."""
        return any(check.reads for check in self.checks)


def on_keys(sql: str) -> Callable[..., Statement]:
    """Return what makes a statement of SQL whose `:name` parameters are keys of the stage: a check's or a digest's."""

    def statement(keys: Keys, _others: object = ()) -> Statement:
        return Statement(sql, keys)

    return statement

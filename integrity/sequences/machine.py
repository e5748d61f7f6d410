"""A system as a RuleBasedStateMachine: its operations are rules, and a wrong sequence of calls is shrunk by Hypothesis.

    rules        an operation each, its arguments drawn from their domains; a service's webhook, delivered late or again;
                 what the next request to a service meets with; a stream that is followed, or opened again
    bundles      the pools of keys: those of the stage, and those that replies add
    invariants   all of the system's, asked behind every step; behind the last one what is owed is delivered, what is open
                 is taken up, and they are asked again
    failures     a call that ends in an error that nobody allowed, for there is nobody it could have met

Nothing is concurrent here: what only another order of two calls' steps shows is for a race.
"""

import atexit
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import suppress
from typing import Any, ClassVar

from hypothesis import strategies
from hypothesis.stateful import Bundle, RuleBasedStateMachine, VarReference, invariant, multiple, precondition, rule
from hypothesis.strategies import SearchStrategy

from integrity.domain import Domain, IntegerIn, KeyOf, OneOf, World
from integrity.errors import AuditError, UsageError
from integrity.history import Outcome
from integrity.operation import Operation
from integrity.sequences.books import MadeCall
from integrity.sequences.outside import FAILURE, Meeting, Webhook
from integrity.sequences.playground import OpenStream, Playground, Violated
from integrity.systems.service import Trouble
from integrity.systems.system import System

ROWS_MAX = 5
SECONDS_MAX = 3600
STREAMS = "streams"
LATE = Bundle[Any]("~late")
"""Stays empty. Hypothesis sorts rules by their targets and shrinks towards the first: one that cannot be followed yet is
drawn and thrown away again and again, and calls that nobody needs stay in what was to be the shortest sequence. So a rule
that must wait for another targets this, which sorts behind every pool."""

_KEPT = {"target": "target_", "targets": "targets_", "self": "self_"}
"""Arguments whose names Hypothesis keeps for itself, and what they are called here."""

_CLOSED = (IntegerIn, OneOf)  # domains of their own values, which no sequence changes


class WrongSequence(AssertionError):
    """Behind a sequence of calls an invariant is violated, or a call failed that nothing could come in the way of.

    Args:
        wrong: what is, line by line.
        violated: none: the last call failed.
        calls: that led there.
    """

    def __init__(self, wrong: Iterable[str], calls: Sequence[MadeCall], violated: Sequence[Violated] = ()) -> None:
        listed = [f"  {number}  {made}" for number, made in enumerate(calls, start=1)] or ["  no call"]
        super().__init__("\n".join((*wrong, "after", *listed)))
        self.calls = tuple(calls)
        self.violated = tuple(violated)


class Opener:
    """Opens a playground with the first example, for all of them; closes it as the process ends, if nobody does before.

    Args:
        make: returns it, not yet entered.
    """

    def __init__(self, make: Callable[[], Playground]) -> None:
        self._make = make
        self._playground: Playground | None = None

    def open(self) -> Playground:
        """Return the playground, entered."""
        if self._playground is None:
            self._playground = self._make().__enter__()
            atexit.register(self._close_at_exit)
        return self._playground

    def close(self) -> None:
        """Leave the playground, if one was opened."""
        playground, self._playground = self._playground, None
        atexit.unregister(self._close_at_exit)
        if playground is not None:
            playground.close()

    def _close_at_exit(self) -> None:
        with suppress(AuditError):  # the server was stopped before, and its databases are gone
            self.close()


class SequenceMachine(RuleBasedStateMachine):
    """What the machines of all systems have in common.

    Attributes:
        opener: opens what they are played on, and closes it.
    """

    opener: ClassVar["Opener"]

    def __init__(self) -> None:
        super().__init__()
        self.playground = self.opener.open()
        self.playground.begin()
        # As rules that begin an example they would be steps of it, and a line each of what is printed.
        for pool, keys in self.playground.keys.items():
            for key in keys:
                name = f"{pool}_{self.names_counters[pool]}"
                self.names_counters[pool] += 1
                self.names_to_values[name] = key
                self.bundle(pool).append(VarReference(name))

    @classmethod
    def close(cls) -> None:
        """Drop the scratch database; the next example makes another."""
        cls.opener.close()

    @invariant()
    def invariants_hold(self) -> None:
        """Ask the system's invariants."""
        violated = self.playground.ask()
        if violated:
            lines = (line for each in violated for line in _describe(each))
            raise WrongSequence(lines, self.playground.calls, violated)

    def teardown(self) -> None:
        """Let everything come to its end, unless it went wrong already; ask the invariants again."""
        if sys.exc_info()[0] is None:
            before = len(self.playground.calls)
            self.playground.settle()
            for made in self.playground.calls[before:]:
                self._check(made)
            self.invariants_hold()

    def _check(self, made: MadeCall) -> MadeCall:
        """Return a call that ended as one may."""
        if made.returned.outcome in (Outcome.FAILED, Outcome.UNKNOWN):
            allowed = self.playground.allowed(made.operation).failures
            error = made.returned.error.removeprefix("the operation raised ")
            if error.split(" ")[0].rstrip(":") not in allowed:
                failed = f"{made.operation} {made.returned.outcome.value}: {made.returned.error}"
                raise WrongSequence((failed,), self.playground.calls)
        return made


def make_machine(
    system: System,
    operations: Mapping[str, Operation],
    pools: Sequence[str],
    make_playground: Callable[[], Playground],
) -> type[SequenceMachine]:
    """Return the machine's class.

    Args:
        operations: that become rules.
        pools: of which the stage has keys.
        make_playground: returns what it is played on, not yet entered.

    Raises:
        UsageError: no operation can ever be called: none has a key to be called with.
    """
    made = {pool for name, (pool, _) in system.makes.items() if name in operations}
    keys = {pool: Bundle(pool) for pool in (*pools, *sorted(made - set(pools)))}
    rules = [
        _rule_of(system, operation, keys, set(pools)) for operation in operations.values() if _is_callable(operation, keys)
    ]
    if not rules:
        missing = sorted({pool for operation in operations.values() for pool in _pools_of(operation)} - set(keys))
        raise UsageError(
            f"system {system.name}: no operation can be called: there is no key of {', '.join(missing) or 'any pool'}",
            hint="Give the System a stage, or the machine one: machine(..., stage=...).",
        )
    parts = [
        *rules,
        *_rules_of_services(system),
        *_rules_of_streams(system),
    ]
    name = "".join(word.capitalize() for word in system.name.split("_"))
    namespace: dict[str, Any] = {f"{part.__name__} {number}": part for number, part in enumerate(parts)}
    namespace |= {"opener": Opener(make_playground), "__module__": __name__, "__qualname__": name}
    return type(name, (SequenceMachine,), namespace)


def _describe(violated: Violated) -> Iterator[str]:
    count = len(violated.rows)
    yield f"{violated.file.name}  {violated.file.severity}  {count} {'row' if count == 1 else 'rows'}"
    yield f"  {violated.file.title}"
    for row in violated.rows[:ROWS_MAX]:
        yield "  " + "  ".join(f"{name}={value}" for name, value in row.items())
    if count > ROWS_MAX:
        yield f"  and {count - ROWS_MAX} more"


def _is_callable(operation: Operation, keys: Mapping[str, Bundle[Any]]) -> bool:
    """Return whether its arguments can be drawn; those of an operation that services alone call cannot."""
    needed = set()
    with suppress(TypeError, ValueError):  # a callable without a signature
        needed = {
            each.name
            for each in inspect.signature(operation.steps).parameters.values()
            if each.default is each.empty and each.kind in (each.KEYWORD_ONLY, each.POSITIONAL_OR_KEYWORD)
        }
    return needed <= {"operation_id", *operation.arguments} and _pools_of(operation) <= set(keys)


def _pools_of(operation: Operation) -> set[str]:
    return {domain.pool for domain in operation.arguments.values() if isinstance(domain, KeyOf)}


def _rule_of(system: System, operation: Operation, keys: Mapping[str, Bundle[Any]], staged: Set[str]) -> Any:
    subscription = system.subscriptions.get(operation.name)
    drawn: dict[str, Any] = {
        _KEPT.get(name, name): _strategy_of(domain, keys)
        for name, domain in operation.arguments.items()
        if subscription is None or name != subscription.cursor
    }
    names = {_KEPT.get(name, name): name for name in operation.arguments}

    def call(self: SequenceMachine, **arguments: Any) -> Any:
        given = {names[name]: value for name, value in arguments.items()}
        if subscription is not None:
            stream, made = self.playground.open_stream(operation.name, given)
            self._check(made)
            return stream
        returned = self._check(self.playground.call(operation.name, given)).returned
        if operation.name not in system.makes:
            return multiple() if "target" in drawn else None
        key = system.makes[operation.name][1]
        reply = returned.reply if returned.outcome is Outcome.OK else None
        return reply[key] if reply and key in reply else multiple()

    if subscription is not None:
        drawn["target"] = Bundle(STREAMS)
    elif operation.name in system.makes:
        drawn["target"] = keys[system.makes[operation.name][0]]
    elif not _pools_of(operation) <= staged:
        drawn["target"] = LATE
    decorate: Any = rule(**drawn)
    return decorate(_named(call, operation.name))


def _strategy_of(domain: Domain, keys: Mapping[str, Bundle[Any]]) -> SearchStrategy[Any]:
    if isinstance(domain, KeyOf):
        return keys[domain.pool]
    if isinstance(domain, _CLOSED):
        return domain.strategy(World())

    def drawn(machine: SequenceMachine) -> SearchStrategy[Any]:  # a domain of the user's own may draw from keys
        return domain.strategy(World({pool: list(values) for pool, values in machine.playground.keys.items()}))

    return strategies.runner().flatmap(drawn)


def _rules_of_services(system: System) -> Iterator[Any]:
    if not system.services:
        return

    def deliver(self: SequenceMachine, webhook: Webhook) -> Any:
        self._check(self.playground.deliver(webhook))
        return multiple()

    def oldest_first(machine: SequenceMachine) -> SearchStrategy[Webhook]:  # so that what comes later moves none
        return strategies.sampled_from(machine.playground.outside.webhooks)

    drawn = strategies.runner().flatmap(oldest_first)
    late = rule(target=LATE, webhook=drawn)(deliver)
    yield precondition(lambda self: bool(self.playground.outside.webhooks))(late)

    def next_request_meets(self: SequenceMachine, service: str, meeting: Meeting) -> None:
        self.playground.outside.meet_next(service, meeting)

    def time_passes_outside(self: SequenceMachine, seconds: int) -> None:
        self.playground.outside.ahead_ms += seconds * 1000

    yield rule(seconds=strategies.integers(1, SECONDS_MAX))(time_passes_outside)
    meetings: list[Meeting] = [FAILURE, *Trouble]
    yield rule(service=strategies.sampled_from(list(system.services)), meeting=strategies.sampled_from(meetings))(
        next_request_meets
    )


def _rules_of_streams(system: System) -> Iterator[Any]:
    if not system.subscriptions:
        return

    def follow(self: SequenceMachine, stream: OpenStream) -> Any:
        self.playground.follow(stream)
        return multiple()

    def come_back(self: SequenceMachine, stream: OpenStream) -> Any:
        self._check(self.playground.come_back(stream))
        return multiple()

    yield rule(target=LATE, stream=Bundle(STREAMS))(follow)
    yield rule(target=LATE, stream=Bundle(STREAMS))(come_back)


def _named(function: Any, name: str) -> Any:
    function.__name__ = name
    return function

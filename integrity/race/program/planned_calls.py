"""Planned calls: operations with arguments that are drawn before anybody knows the keys of the rows.

An argument that is a key is drawn as a name, wallets_1, and looked up among the keys of the stage when the call starts.
Drawing itself goes through the domains of the operations, as in the workload.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice, product
from random import Random
from typing import TYPE_CHECKING

from integrity.domain import IntegerIn, Key, KeyOf, MomentIn, NumericIn, OneOf, World
from integrity.errors import UsageError, quote
from integrity.operation import Operation
from integrity.race.program.program import Keys
from integrity.suggestion import suggest
from integrity.systems.system import Bug, System

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

LIKELY_MAX = 12
DRAWN_MAX = 12


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """A call with its arguments; those that are keys by name.

    Args:
        arguments: without operation_id.
    """

    operation: str
    arguments: Mapping[str, Key]

    def __str__(self) -> str:
        return f"{self.operation}({', '.join(f'{name}={value}' for name, value in self.arguments.items())})"


def find_operation(system: System, operations: Mapping[str, Operation], name: str) -> Operation:
    """Return the operation of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in operations:
        hint = suggest(name, operations, always=f"Its operations are: {', '.join(operations)}.")
        raise UsageError(f"system {system.name} has no operation {name!r}", hint=hint)
    return operations[name]


def make_world(keys: Keys) -> World:
    """Return the names of a stage's keys as a world that arguments are drawn from."""
    world = World()
    for name in keys:
        world.add(name.rpartition("_")[0], name)
    return world


def draw_calls(
    system: System, world: World, operations: Sequence[str], *, bug: Bug | None = None
) -> "SearchStrategy[tuple[PlannedCall, ...]]":
    """Return the Hypothesis strategy of calls of these operations, one each; first keys and least amounts first."""
    from hypothesis import strategies

    known = system.operations_with(bug)
    return strategies.tuples(
        *(
            strategies.fixed_dictionaries({name: domain.strategy(world) for name, domain in found.arguments.items()}).map(
                partial(_planned, found)
            )
            for found in (find_operation(system, known, operation) for operation in operations)
        )
    )


def _planned(operation: Operation, drawn: Mapping[str, Key]) -> PlannedCall:
    """Return the call, its arguments in their own order, which Hypothesis does not keep: so that calls compare as texts."""
    return PlannedCall(operation.name, {name: drawn[name] for name in operation.arguments})


def vary_calls(
    system: System, world: World, operations: Sequence[str], *, bug: Bug | None = None
) -> Iterator[tuple[PlannedCall, ...]]:
    """Yield calls of these operations, without repeats: LIKELY_MAX that are likely to meet, then DRAWN_MAX that Hypothesis
    draws, the same ones each time; fewer where there are no more."""
    for name in operations:
        _check_pools(find_operation(system, system.operations_with(bug), name), world, system.pools)
    seen: set[str] = set()
    for calls in chain(
        islice(_likely_calls(system, world, operations, bug=bug), LIKELY_MAX),
        _drawn_calls(system, world, operations, bug=bug),
    ):
        text = "; ".join(sorted(map(str, calls)))  # a search plays each order of them
        if text not in seen:
            seen.add(text)
            yield calls


def _check_pools(operation: Operation, world: World, queries: Mapping[str, str]) -> None:
    """Raise for an argument that is drawn from a pool of which the stage has no key."""
    for argument, domain in operation.arguments.items():
        if isinstance(domain, KeyOf) and not world.keys.get(domain.pool):
            if (place := operation.places.get(argument)) and domain.pool in queries:  # a file, which knows no stages
                raise UsageError(
                    f"{place}: operation {operation.name}: no row of the race is a key for {argument}: "
                    f"{' '.join(queries[domain.pool].split())}",
                    hint="Give the race a row that it finds: -- row name: table(column = value).",
                )
            pools = f"Its keys are of the pools: {', '.join(world.keys) or 'none'}."
            key = f'One of this pool is called "{domain.pool}_1".'
            raise UsageError(
                f"operation {operation.name} draws {argument} from the pool {quote(domain.pool)}, "
                "and the stage has no key of it",
                hint=suggest(domain.pool, world.keys, always=f"{pools} {key}"),
            )


def _drawn_calls(
    system: System, world: World, operations: Sequence[str], *, bug: Bug | None
) -> Iterator[tuple[PlannedCall, ...]]:
    import hypothesis

    drawn: list[tuple[PlannedCall, ...]] = []

    @hypothesis.seed(0)
    @hypothesis.settings(
        max_examples=DRAWN_MAX,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(draw_calls(system, world, operations, bug=bug))
    def collect(calls: tuple[PlannedCall, ...]) -> None:
        drawn.append(calls)

    collect()
    yield from drawn


def _likely_calls(
    system: System, world: World, operations: Sequence[str], *, bug: Bug | None
) -> Iterator[tuple[PlannedCall, ...]]:
    """Yield calls that are likely to meet, some more than once.

    First with the same keys and the greatest amounts, so that what suffices for one call does not for two; then with other
    keys of a pool for all, with different keys of one pool, or of all, for each call (calls that share no key may still
    meet in what their rows belong to), and with other values of closed sets.
    """
    known = system.operations_with(bug)
    found = [find_operation(system, known, operation) for operation in operations]
    pools = dict.fromkeys(domain.pool for each in found for domain in each.arguments.values() if isinstance(domain, KeyOf))
    sizes = {pool: len(world.keys[pool]) for pool in pools}
    domains = [domain for each in found for domain in each.arguments.values()]
    sets = max((len(d.values) if isinstance(d, OneOf) else 2 if isinstance(d, MomentIn) else 1 for d in domains), default=1)
    shifts = [dict.fromkeys(pools, 0)]
    shifts += [{**shifts[0], pool: shift} for pool in pools for shift in range(1, sizes[pool])]
    many = [pool for pool in pools if sizes[pool] > 1]
    aparts = [*(frozenset((pool,)) for pool in many), frozenset(many)]
    choices = [*((shift, frozenset[str]()) for shift in shifts), *product(shifts[:1], aparts), *product(shifts[1:], aparts)]
    for value, (shift, apart) in product(range(sets), choices):
        yield tuple(
            PlannedCall(each.name, _arguments(each, world, shift, place, value=value, apart=apart))
            for place, each in enumerate(found)
        )


def _arguments(
    operation: Operation, world: World, shift: Mapping[str, int], place: int, *, value: int, apart: Collection[str]
) -> dict[str, Key]:
    arguments: dict[str, Key] = {}
    drawn: Counter[str] = Counter()  # a call that names two keys of a pool names different ones
    for name, domain in operation.arguments.items():
        match domain:
            case KeyOf():
                keys = world.keys[domain.pool]
                shifted = shift[domain.pool] + (place if domain.pool in apart else 0) + drawn[domain.pool]
                arguments[name] = keys[shifted % len(keys)]
                drawn[domain.pool] += 1
            case OneOf():
                arguments[name] = domain.values[(value * place) % len(domain.values)]
            case IntegerIn():
                arguments[name] = domain.most - (domain.most - domain.least) % domain.step
            case NumericIn():
                arguments[name] = domain.most
            case MomentIn():
                arguments[name] = domain.draw(Random(value * place), world)
            case _:
                arguments[name] = domain.draw(Random(place), world)
    return arguments

"""Programs of a system: its operations, called on the rows that its stage makes.

Before a schedule is played nobody knows the keys of its rows, so an argument that is a key is drawn as a name, wallets_1,
and looked up among the keys of the stage when the call starts. Drawing itself goes through the domains of the operations,
as in the workload.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import chain, islice, product
from random import Random, SystemRandom
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import Column, ForeignKeyConstraint, MetaData, PrimaryKeyConstraint, Table, UniqueConstraint

from integrity.database.names import full_name, name_of
from integrity.domain import IntegerIn, Key, KeyOf, MomentIn, NewKey, NumericIn, OneOf, World
from integrity.errors import UsageError, quote
from integrity.operation import Isolation, Operation, Statement, Steps, Value
from integrity.race.program.program import Actor, Check, Digest, Keys, Program, Service
from integrity.sql.name import quoted
from integrity.suggestion import suggest
from integrity.systems.made_rows import find_table
from integrity.systems.reflect import Reflected
from integrity.systems.script.domains import tables_in
from integrity.systems.service import Context
from integrity.systems.service import Service as SystemService
from integrity.systems.stage import Ref, Stage
from integrity.systems.system import Bug, System
from integrity.user_code import place_of

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


def make_program(
    system: System,
    calls: Sequence[PlannedCall],
    *,
    bug: Bug | None = None,
    isolation: Isolation = Isolation.READ_COMMITTED,
    checks: Sequence[Check] = (),
) -> Program:
    """Return the program of these calls.

    Raises:
        UsageError: the system has no such operation, or no stage.
    """
    operations = system.operations_with(bug)
    return Program(
        actors=tuple(_actor(find_operation(system, operations, call.operation), call) for call in calls),
        allowed=system.allowed,
        stage=stage_of(system),
        isolation=isolation,
        checks=tuple(checks),
        digests=tuple(make_digests(system.metadata)),
        services={name: _answer_of(service) for name, service in system.services.items()},
    )


def stage_of(system: System) -> Callable[[], Stage]:
    """Return the system's stage.

    Raises:
        UsageError: it has none.
    """
    if system.stage is None:
        raise _rowless(system)
    made = partial(_call_stage, system.name, system.stage, place_of(system.stage))
    domains = [domain for operation in system.operations.values() for domain in operation.arguments.values()]
    new = {domain.pool: domain for domain in domains if isinstance(domain, NewKey)}
    drawn = {domain.pool for domain in domains if isinstance(domain, KeyOf)} & system.pools.keys()
    if not new and not drawn:
        return made

    def stage() -> Stage:
        staged = made()
        keys = dict(staged.keys)
        pools = {name.rpartition("_")[0] for name in keys}
        for pool in drawn - pools - staged.queries.keys():
            keys |= dict(_keys_of_query(pool, system.pools[pool], staged.keys))
        for pool, domain in new.items():
            if pool not in pools:
                keys |= {f"{pool}_{number}": domain.draw(SystemRandom(), World()) for number in range(1, NEW_KEYS + 1)}
        return replace(staged, keys=keys)

    return stage


def _rowless(system: System) -> UsageError:
    """Return that a system has neither a stage nor rows, and which rows its operations need, as one would write them."""
    needed: dict[Table, str] = {}
    for operation in system.operations.values():
        for argument, domain in operation.arguments.items():
            pool = domain.pool if type(domain) is KeyOf else ""
            names = [pool, *tables_in(system.pools.get(pool, ""))] if pool else []
            tables = (find_table(system.metadata, name) for name in names if isinstance(system.metadata, Reflected))
            if (table := next((each for each in tables if each is not None), None)) is not None:
                needed.setdefault(table, f"{operation.name} draws {argument} from the keys of {name_of(table)}")
    if not needed:
        return UsageError(f"system {system.name} cannot be raced: it has no stage", hint="Give its System a `stage`.")
    rows = ", ".join(f'WantedRow("{table.name.removesuffix("s")}", "{name_of(table)}", {{}})' for table in needed)
    return UsageError(
        f"system {system.name} cannot be raced: {' and '.join(needed.values())}, and nothing says of a row there",
        hint=f"Import WantedRow from integrity.systems.wanted_row, and give its System rows=[{rows}], with the values that"
        " matter; the rest is made. Or give it a `stage`.",
    )


def _call_stage(system: str, made: Callable[[], object], place: str) -> Stage:
    """Return what a stage returns, with its place; something else is a mistake of whoever wrote it."""
    staged = made()
    if not isinstance(staged, Stage):
        said = f"the stage of {system} returned {quote(staged)}, which is no Stage"
        raise UsageError(f"{place}: {said}" if place else said, hint="End it with: return Stage(rows=[...], keys={...})")
    return replace(staged, place=place)


NEW_KEYS = 2
"""So many values that no row has yet are on a stage: for calls to share, and for each call its own."""


def _keys_of_query(pool: str, query: str, keys: Mapping[str, "Ref | Value"]) -> Iterator[tuple[str, "Ref | Value"]]:
    """Yield the keys of the table that a query goes through as those of its pool; whether it finds them is not asked."""
    for table in tables_in(query):
        found = [value for name, value in keys.items() if name.rpartition("_")[0] == table]
        if found:
            yield from ((f"{pool}_{number}", value) for number, value in enumerate(found, start=1))
            return


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


def make_digests(metadata: MetaData) -> Iterator[Digest]:
    """Yield for each table the rows that belong to a race: staged, made by its calls, or referring to such a row.

    Followed are columns that an index begins with, so that a digest stays as fast as the tables grow. In tables that were
    reflected a race is alone: all rows are its own.
    """
    if isinstance(metadata, Reflected):
        for table in metadata.raced_tables:
            yield Digest(name_of(table), _whole(table))
        return
    for table in metadata.sorted_tables:
        yield Digest(name_of(table), partial(_digest, table))


def _whole(table: Table) -> Callable[[Keys, Sequence[UUID]], Statement]:
    statement = Statement(f"select * from {full_name(table)}")
    return lambda _keys, _operation_ids: statement


def _digest(table: Table, keys: Keys, operation_ids: Sequence[UUID]) -> Statement:
    calls: dict[str, Value] = {f"operation_{number}": each for number, each in enumerate(operation_ids)}
    return Statement(_digest_sql(table, tuple(keys), tuple(calls)), {**keys, **calls})


@lru_cache(maxsize=1024)
def _digest_sql(table: Table, keys: tuple[str, ...], calls: tuple[str, ...]) -> str:
    columns = [quoted(column.name) for column in table.primary_key.columns]
    own = select_own_keys(table, keys, calls)
    if not own:
        kept = "false"
    elif columns:
        kept = f"{_in_brackets(columns)} in ({own})"
    else:
        kept = " or ".join(f"({route})" for route in _routes(table, make_world(dict.fromkeys(keys)).keys, calls))
    return f"select * from {full_name(table)} where {kept}"


def select_own_keys(table: Table, keys: Iterable[str], calls: Sequence[str]) -> str:
    """Return a select of the primary keys of the rows of a table that belong to a race; empty if none can be told to.

    Args:
        keys: names of a stage's keys, and of the parameters that hold them.
        calls: names of the parameters that hold the calls' operation_ids.
    """
    return _select(table, list(table.primary_key.columns), make_world(dict.fromkeys(keys)).keys, calls)


def _select(
    table: Table, columns: Sequence["Column[Any]"], pools: Mapping[str, Sequence[Key]], calls: Sequence[str]
) -> str:
    """Return a select of columns of the rows of a table that belong to a race; empty if none can be told to."""
    names = ", ".join(quoted(column.name) for column in columns) or "1"
    routes = _routes(table, pools, calls)
    return " union ".join(f"select {names} from {full_name(table)} where {route}" for route in routes)


def _routes(table: Table, pools: Mapping[str, Sequence[Key]], calls: Sequence[str]) -> Iterator[str]:
    """Yield conditions: each way in which rows of the table belong to the race."""
    primary = list(table.primary_key.columns)
    if table.name in pools and len(primary) == 1:
        yield f"{quoted(primary[0].name)} in ({', '.join(f':{key}' for key in pools[table.name])})"
    leading = _leading_columns(table)
    if "operation_id" in leading and calls:
        yield f"operation_id in ({', '.join(f':{call}' for call in calls)})"
    for constraint in _foreign_keys(table):
        parent = constraint.referred_table
        # A foreign key may name other columns beside the key of its parent: those are left out.
        pairs = [(each.parent, each.column) for each in constraint.elements if each.column.primary_key]
        is_whole = pairs and len(pairs) == len(parent.primary_key.columns)
        if parent is table or not is_whole or pairs[0][0].name not in leading:
            continue
        if there := _select(parent, [column for _, column in pairs], pools, calls):
            yield f"{_in_brackets([quoted(column.name) for column, _ in pairs])} in ({there})"


def _in_brackets(names: Sequence[str]) -> str:
    """Return the names as what a select of as many columns is compared with."""
    return names[0] if len(names) == 1 else f"({', '.join(names)})"


def _foreign_keys(table: Table) -> list[ForeignKeyConstraint]:
    """Return the foreign keys in the order of their columns: a set in SQLAlchemy."""
    order = list(table.columns.keys())
    return sorted(table.foreign_key_constraints, key=lambda each: [order.index(key) for key in each.column_keys])


def _leading_columns(table: Table) -> set[str]:
    """Return the columns that an index of the table begins with."""
    keys = [each for each in table.constraints if isinstance(each, PrimaryKeyConstraint | UniqueConstraint)]
    return {next(iter(each.columns)).name for each in (*table.indexes, *keys) if len(each.columns)}


def _actor(operation: Operation, call: PlannedCall) -> Actor:
    by_key = {name for name, domain in operation.arguments.items() if isinstance(domain, KeyOf)}

    def given(keys: Keys) -> dict[str, Value]:
        return {name: keys[str(value)] if name in by_key else value for name, value in call.arguments.items()}

    def steps(keys: Keys, operation_id: UUID) -> Steps:
        return operation.start(operation_id=operation_id, **given(keys))

    return Actor(operation.name, steps, str(call), given, operation.allowed, place_of(operation.steps))


def _answer_of(service: SystemService) -> Service:
    """Return the service without what it sends later: in a race a webhook is a call of its own.

    What it remembers is kept by keys, and each schedule has rows of its own: so no schedule sees another's.
    """
    memory: dict[str, Any] = {}

    def answer(payload: Mapping[str, Value]) -> Mapping[str, Value]:
        return service(payload, Context(Random(0), memory=memory)).answer

    return answer

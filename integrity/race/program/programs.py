"""Programs of a system: its operations, called on the rows that its stage makes.

A call's arguments that are keys are names (planned_calls.py), looked up among the keys of the stage when the call starts.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from random import Random, SystemRandom
from typing import Any
from uuid import UUID

from sqlalchemy import Table

from integrity.database.names import name_of
from integrity.domain import KeyOf, NewKey, World
from integrity.errors import UsageError, quote
from integrity.operation import Isolation, Operation, Steps, Value
from integrity.race.program.digests import make_digests
from integrity.race.program.planned_calls import PlannedCall, find_operation
from integrity.race.program.program import Actor, Check, Keys, Program, Service
from integrity.systems.made_rows import find_table
from integrity.systems.reflect import Reflected
from integrity.systems.script.domains import tables_in
from integrity.systems.service import Context
from integrity.systems.service import Service as SystemService
from integrity.systems.stage import Ref, Stage
from integrity.systems.system import Bug, System
from integrity.systems.views import tables_of_views
from integrity.user_code import place_of


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
        views=tables_of_views(system.metadata) if isinstance(system.metadata, Reflected) else {},
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


def _actor(operation: Operation, call: PlannedCall) -> Actor:
    by_key = {name for name, domain in operation.arguments.items() if isinstance(domain, KeyOf)}

    def given(keys: Keys) -> dict[str, Value]:
        return {name: keys[str(value)] if name in by_key else value for name, value in call.arguments.items()}

    def steps(keys: Keys, operation_id: UUID) -> Steps:
        return operation.start(operation_id=operation_id, **given(keys))

    return Actor(
        operation.name,
        steps,
        str(call),
        given,
        operation.allowed,
        place_of(operation.steps),
        is_changing=operation.is_changing,
        rows=operation.rows,
    )


def _answer_of(service: SystemService) -> Service:
    """Return the service without what it sends later: in a race a webhook is a call of its own.

    What it remembers is kept by keys, and each schedule has rows of its own: so no schedule sees another's.
    """
    memory: dict[str, Any] = {}

    def answer(payload: Mapping[str, Value]) -> Mapping[str, Value]:
        return service(payload, Context(Random(0), memory=memory)).answer

    return answer

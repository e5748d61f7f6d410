"""Touching: which calls of a run touched a violated row, and how sure that is.

By the operation ids in the evidence; by arguments that are the key of the row, or of rows that refer to it; and, where
neither says anything, by what the operation was seen to change.
"""

from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass
from enum import IntEnum
from uuid import UUID

from sqlalchemy import MetaData, Table

from integrity.database.names import find_named, name_of
from integrity.domain import KeyOf, OneOf
from integrity.engines.places import schema_of
from integrity.history import Call, Outcome
from integrity.operation import Operation
from integrity.race.play.deadline import Deadline
from integrity.race.reproduction.subjects import Subjects, TextKey, text_key
from integrity.systems.script.domains import tables_in
from integrity.systems.system import System

_CALLS_BETWEEN_LOOKS = 1000  # at the clock


class Reach(IntEnum):
    """How a call is known to have touched the row, the surest way first.

    Named by the evidence; by arguments, of an operation that changes what the invariant reads; by that change alone, which
    row it was nobody knows; by arguments alone, what it changes was not seen; by arguments of an operation that was seen to
    change something else.
    """

    NAMED = 0
    ROW = 1
    TABLE = 2
    ARGUMENT = 3
    ELSEWHERE = 4


@dataclass(frozen=True, slots=True)
class Touch:
    """A call that touched the row, or may have.

    Args:
        is_direct: its arguments hold the key of the row itself.
    """

    call: Call
    reach: Reach
    is_direct: bool


@dataclass(frozen=True, slots=True)
class _Sought:
    """What an argument must be.

    Args:
        keys: one of these.
        columns: so many columns of the row say it: a seat of an event says more than the event.
    """

    argument: str
    keys: Set[TextKey]
    columns: int
    is_direct: bool


def find_touching(
    calls: Iterable[Call],
    system: System,
    subjects: Subjects,
    *,
    named: Set[UUID],
    are_read: Callable[[str], bool | None],
    may_be_read: Callable[[str], bool],
    deadline: Deadline,
) -> list[Touch]:
    """Return the calls that touched the row and may have had an effect, the surest first.

    Args:
        named: operation ids in the evidence.
        are_read: whether an operation was seen to change a table that the invariant reads; None: it changed none.
        may_be_read: whether one that changed none could.

    Raises:
        BudgetOver: the deadline has passed.
    """
    with_effect = [each for each in calls if each.operation in system.operations and each.outcome is not Outcome.FAILED]
    sought = {name: _sought(system, system.operations[name], subjects) for name in {each.operation for each in with_effect}}
    found: dict[str, list[tuple[Call, _Sought | None]]] = {}
    for number, call in enumerate(with_effect):
        if number % _CALLS_BETWEEN_LOOKS == 0:
            deadline.check()
        found.setdefault(call.operation, []).append((call, _match(call, sought[call.operation])))
    touching: list[Touch] = []
    for operation, matched in found.items():
        most = max((match.columns for _, match in matched if match), default=0)
        is_read = are_read(operation)
        is_any = not sought[operation] and (may_be_read(operation) if is_read is None else is_read)
        touching += _of_operation(matched, most=most, is_any=is_any, named=named, is_read=is_read)
    return sorted(touching, key=lambda touch: touch.reach)


def _of_operation(
    matched: Iterable[tuple[Call, _Sought | None]], *, most: int, is_any: bool, named: Set[UUID], is_read: bool | None
) -> Iterable[Touch]:
    """Yield those of an operation's calls that touched the row.

    Args:
        most: columns of the row that the arguments of one of them say.
        is_any: each of its calls may have, as nothing tells which of them did.
    """
    by_argument = {True: Reach.ROW, None: Reach.ARGUMENT, False: Reach.ELSEWHERE}[is_read]
    for call, match in matched:
        is_direct = match is not None and match.is_direct
        if call.operation_id in named:
            yield Touch(call, Reach.NAMED, is_direct)
        elif match is not None and match.columns == most:
            yield Touch(call, by_argument, is_direct)
        elif is_any:
            yield Touch(call, Reach.TABLE, is_direct=False)


def _match(call: Call, sought: Iterable[_Sought]) -> _Sought | None:
    """Return what says most of what the call's arguments are."""
    hits = (each for each in sought if text_key(call.arguments[each.argument]) in each.keys)
    return max(hits, key=lambda each: each.columns, default=None)


def _sought(system: System, operation: Operation, subjects: Subjects) -> list[_Sought]:
    """Return which values of an operation's arguments tell that it is about the row."""
    found = []
    for name, domain in operation.arguments.items():
        table = find_table_of(system, domain.pool) if isinstance(domain, KeyOf) else None
        if table is not None and table in subjects.keys:
            key = subjects.keys[table]
            found.append(_Sought(name, {key}, len(key), is_direct=True))
        elif isinstance(domain, KeyOf | OneOf) and (key := subjects.key_of_argument(name)):
            found.append(_Sought(name, {key}, len(key), is_direct=True))
        elif table is not None and table.primary_key.columns and (keys := subjects.find_referring(table)):
            found.append(_Sought(name, keys, 1, is_direct=False))
    return found


def find_table_of(system: System, pool: str) -> Table | None:
    """Return the table whose keys a pool has: the one of its name, or that its query goes through; None: nobody knows."""
    known = _tables_by_name(system.metadata)
    for spelled in (pool, *tables_in(system.pools.get(pool, ""))):
        if found := find_named(known, spelled):
            return found[1]
    return None


def _tables_by_name(metadata: MetaData) -> Mapping[str, Table]:
    return {
        name: table for table in metadata.sorted_tables for name in (name_of(table), f"{schema_of(table)}.{table.name}")
    }

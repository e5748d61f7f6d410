"""Remedies: what can be tried against a schedule, each a change of the contest, what costs least first.

A constraint costs a look at an index, and no call waits for another; a lock makes calls wait; a higher isolation level
refuses calls, which are to be begun again. One transaction in place of several is tried where a call makes several: with a
lock, for a lock outside of any is none, and by itself. SQLite has neither levels nor row locks, and its transaction holds
the write lock from its first statement on.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from integrity.operation import Begin, Commit, Isolation, Operation, Rollback, Statement, Step
from integrity.race.judge.contest import Contest
from integrity.race.play.ddl import defining_statement
from integrity.race.play.recording import PlayedStep, Recording, record
from integrity.race.program.statements import filled_tables, name_in_text, tables_of, written_tables
from integrity.race.trial.arena import Arena
from integrity.race.trial.looks import Look, find_looks, parent_locks, unique_index
from integrity.race.trial.rewrite import in_one_transaction, replacing, with_statement_before, with_steps_changed
from integrity.race.trial.statement_parts import lock_rows

_LEVELS = (Isolation.REPEATABLE_READ, Isolation.SERIALIZABLE)


@dataclass(frozen=True, slots=True)
class Remedy:
    """One thing to try.

    Args:
        kind: "constraint", "unique index", "row lock", "parent lock", "transaction", "isolation" or "operation".
        name: e.g. "repeatable read", or the statement with its lock.
        change: of the contest, whatever its arguments.
        sql: to paste; empty: there is none.
        fallback: to try where this one lacks a constraint that it relies on.
    """

    kind: str
    name: str
    change: Callable[[Contest], Contest]
    sql: str = ""
    fallback: "Remedy | None" = None


def find_remedies(arena: Arena, contest: Contest, letters: str) -> Iterator[Remedy]:
    """Yield what can be tried against a schedule, what costs least first.

    Raises:
        DatabaseError: the server is gone.
    """
    recording = record(arena.scheduler(contest.dropped), contest.program(), letters)
    yield from _constraints(arena, contest)
    yield from _unique_indexes(arena, contest, recording)
    if not arena.kind.has_one_writer:
        yield from _row_locks(contest, recording)
        yield from _parent_locks(contest, recording)
    yield from _transactions(arena, contest)
    if arena.kind.has_levels:
        yield from _levels(contest)
    yield from _sound_operations(contest)


def _constraints(arena: Arena, contest: Contest) -> Iterator[Remedy]:
    """Yield the constraints that were left out."""
    for name in sorted(contest.dropped):

        def change(contest: Contest, name: str = name) -> Contest:
            return replace(contest, dropped=contest.dropped - {name})

        yield Remedy("constraint", name, change, defining_statement(contest.system.metadata, name, dialect=arena.dialect))


def _unique_indexes(arena: Arena, contest: Contest, recording: Recording) -> Iterator[Remedy]:
    """Yield an index for each look at a table that the calls fill: check, then insert."""
    statements = list(_statements(contest, recording))
    filled = {table for _, sql, _ in statements for table in filled_tables(sql)}
    looks = [look for _, _, found in statements for look in found if name_in_text(look.table) in filled]
    for sql in dict.fromkeys(unique_index(look, dialect=arena.dialect) for look in looks):
        if sql:

            def change(contest: Contest, sql: str = sql) -> Contest:
                return replace(contest, added=(*contest.added, sql))

            yield Remedy("unique index", " ".join(sql.partition(" ON ")[2].split()), change, sql)


def _row_locks(contest: Contest, recording: Recording) -> Iterator[Remedy]:
    """Yield the selects of tables that the calls also write, with a lock."""
    statements = list(_statements(contest, recording))
    written = {table for _, sql, _ in statements for table in written_tables(sql)}
    in_transaction = _looks_in_transactions(contest, recording)
    for operation, sql, _ in statements:
        locked = lock_rows(sql)
        if locked and tables_of(sql) & written:
            spelled = " ".join(locked.split())
            is_open = (operation, sql) in in_transaction

            def change(
                contest: Contest, operation: str = operation, sql: str = sql, locked: str = locked, is_open: bool = is_open
            ) -> Contest:
                whole = _whole(contest.operations[operation], is_open=is_open)
                return contest.replacing(with_steps_changed(whole, replacing(sql, locked)))

            yield Remedy("row lock", f"{_where(operation, is_open=is_open)}: {spelled}", change, spelled)


def _parent_locks(contest: Contest, recording: Recording) -> Iterator[Remedy]:
    """Yield the locks on a row that all rows refer to which are looked for, before each such look of any operation.

    Only where the rows themselves cannot be locked: they are not there yet, or are counted.
    """
    statements = list(_statements(contest, recording))
    filled = {table for _, sql, _ in statements for table in filled_tables(sql)}
    written = {table for _, sql, _ in statements for table in written_tables(sql)}
    in_transaction = _looks_in_transactions(contest, recording)
    locks: dict[str, dict[tuple[str, str], str]] = {}
    for operation, sql, looks in statements:
        for look in looks:
            if name_in_text(look.table) in (written if lock_rows(sql) is None else filled):
                for parent, lock in parent_locks(look):
                    locks.setdefault(parent, {})[operation, sql] = lock
    for parent, before in locks.items():

        def change(contest: Contest, before: dict[tuple[str, str], str] = before) -> Contest:
            for (operation, sql), lock in before.items():
                whole = _whole(contest.operations[operation], is_open=(operation, sql) in in_transaction)
                contest = contest.replacing(with_statement_before(whole, sql, lock))
            return contest

        places = dict.fromkeys(_where(each[0], is_open=each in in_transaction) for each in before)
        spelled = "; ".join(dict.fromkeys(before.values()))
        yield Remedy("parent lock", f"{parent}, before the look of {' and '.join(places)}", change, spelled)


def _whole(operation: Operation, *, is_open: bool) -> Operation:
    """Return the operation, in one transaction if a lock of it would be let go at once."""
    return operation if is_open else in_one_transaction(operation)


def _where(operation: str, *, is_open: bool) -> str:
    return operation if is_open else f"{operation}, all of it in one transaction"


def _levels(contest: Contest) -> Iterator[Remedy]:
    for level in _LEVELS:
        if level is not contest.isolation:

            def change(contest: Contest, level: Isolation = level) -> Contest:
                return _at_level(contest, level)

            yield Remedy("isolation", level.value, change, f"begin isolation level {level.value}")


def _transactions(arena: Arena, contest: Contest) -> Iterator[Remedy]:
    if contest.is_deferred:
        yield Remedy("transaction", "begin immediate", lambda each: replace(each, is_deferred=False), "begin immediate")
    for name in contest.operations:
        if _is_in_parts(arena, contest, name):

            def change(contest: Contest, name: str = name) -> Contest:
                return contest.replacing(in_one_transaction(contest.operations[name]))

            begun, sql = ("", "begin") if arena.kind.has_levels else (", begun immediate", "begin immediate")
            yield Remedy("transaction", f"all of {name} in one transaction{begun}", change, sql)


def _sound_operations(contest: Contest) -> Iterator[Remedy]:
    for name in sorted(contest.bugged):

        def change(contest: Contest, name: str = name) -> Contest:
            return contest.replacing(contest.system.operations[name])

        def change_all(contest: Contest, name: str = name) -> Contest:
            return replace(contest.replacing(contest.system.operations[name]), dropped=frozenset())

        relying = Remedy("operation", f"the sound {name}, with the constraints it relies on", change_all)
        yield Remedy("operation", f"the sound {name}", change, fallback=relying)


def _statements(contest: Contest, recording: Recording) -> Iterator[tuple[str, str, list[Look]]]:
    """Yield each statement once, with its operation and its looks."""
    statements = [
        (operation, each.step.sql)
        for operation, played in zip(contest.names, recording.played.values(), strict=True)
        for each in played
        if isinstance(each.step, Statement)
    ]
    for operation, sql in dict.fromkeys(statements):
        yield operation, sql, list(find_looks(sql, contest.system.metadata))


def _looks_in_transactions(contest: Contest, recording: Recording) -> set[tuple[str, str]]:
    """Return the statements, with their operations, before which a lock would be held until they have written."""
    found = set()
    for operation, played in zip(contest.names, recording.played.values(), strict=True):
        is_open = False
        for each in played:
            if isinstance(each.step, Statement):
                found |= {(operation, each.step.sql)} if is_open else set()
            else:
                is_open = _is_open_after(each, is_open=is_open)
    return found


def _is_open_after(played: PlayedStep, *, is_open: bool) -> bool:
    return isinstance(played.step, Begin) or (is_open and not isinstance(played.step, Commit | Rollback))


def _is_in_parts(arena: Arena, contest: Contest, name: str) -> bool:
    """Return whether a call of the operation, alone, makes several transactions."""
    call = next(call for call in contest.calls if call.operation == name)
    alone = record(arena.scheduler(contest.dropped), contest.part([call]).program(), "")
    is_open, transactions = False, 0
    for each in alone.played["A"]:
        transactions += isinstance(each.step, Begin) or (isinstance(each.step, Statement) and not is_open)
        is_open = _is_open_after(each, is_open=is_open)
    return transactions > 1


def _at_level(contest: Contest, level: Isolation) -> Contest:
    """Return the contest with every transaction at that level, also those that name another."""

    def change(step: Step) -> Step:
        return Begin(level) if isinstance(step, Begin) else step

    operations = [with_steps_changed(operation, change) for operation in contest.operations.values()]
    return replace(contest.replacing(*operations), isolation=level)

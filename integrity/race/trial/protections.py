"""Protections: what in operations and in constraints keeps calls apart, each with how it is taken away."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import CheckConstraint, MetaData, Table, UniqueConstraint

from integrity.database.names import name_of
from integrity.engines.places import schema_of
from integrity.operation import Begin, Isolation, Statement, Step
from integrity.race.judge.contest import Contest
from integrity.race.program.statements import name_in_text, tables_of, written_tables
from integrity.race.trial.rewrite import in_parts, replacing, with_steps_changed
from integrity.race.trial.statement_parts import find_guards, find_on_conflict, find_row_lock
from integrity.systems.reflect import Reflected
from integrity.systems.system import System

Strip = Callable[[Contest], Contest]


@dataclass(frozen=True, slots=True)
class Protection:
    """Something that keeps calls apart.

    Args:
        owner: the operation, or the table of a constraint.
        text: e.g. "for update" or "and status = 'pending'".
        operations: those that would feel its loss.
        strip: takes it away.
        constraint: "table.name", for a constraint or unique index.
        statement: that it is a part of; None: of none.
    """

    owner: str
    text: str
    operations: frozenset[str]
    strip: Strip
    constraint: str = ""
    statement: Statement | None = field(default=None, compare=False)

    @property
    def name(self) -> str:
        """E.g. "scan_in: for update"."""
        return f"{self.owner}: {self.text}"


def tell_apart(protections: Sequence[Protection]) -> list[Protection]:
    """Return them, each with a name of its own: equal ones are told by table, line and number, whatever it takes."""
    for tell in (_with_tables, _with_line, _with_number):
        count = Counter(each.name for each in protections)
        protections = [
            tell(each, number) if count[each.name] > 1 else each for number, each in enumerate(protections, start=1)
        ]
    return list(protections)


def find_in_statements(
    system: System, name: str, statements: Sequence[Statement], *, has_row_locks: bool
) -> Iterator[Protection]:
    """Yield what in an operation's statements keeps calls apart."""
    for statement in statements:
        sql = statement.sql
        keys = {
            column.name
            for table in system.metadata.sorted_tables
            if name_in_text(table) in written_tables(sql)
            for column in table.primary_key.columns
        }
        locks = [find_row_lock(sql)] if has_row_locks else []  # else the words are dropped
        parts = [part for part in (*locks, find_on_conflict(sql)) if part]
        for part in (*parts, *find_guards(sql, keys=keys)):
            strip = _change(name, replacing(sql, part.remove()))
            text = part.text.removeprefix("and ").removesuffix(" and")
            yield Protection(name, text, frozenset({name}), strip, statement=statement)


def find_transactions(name: str, statements: Sequence[Statement], *, has_one_writer: bool) -> Iterator[Protection]:
    """Yield the transaction of one that reads before it writes: with one writer it is a lock, and the only one."""
    writes = [bool(written_tables(each.sql)) for each in statements]
    if has_one_writer and True in writes and False in writes[: writes.index(True)]:
        yield Protection(name, "its transaction", frozenset({name}), _split(name))


def find_levels(name: str, isolation: Isolation) -> Iterator[Protection]:
    """Yield the level of an operation's transactions, if that is above the least."""
    if isolation is not Isolation.READ_COMMITTED:
        yield Protection(name, f"isolation level {isolation.value}", frozenset({name}), _lower(name))


def find_constraints(metadata: MetaData, statements: dict[str, list[Statement]]) -> Iterator[Protection]:
    """Yield the unique, check and exclusion constraints and unique indexes of the tables that the operations write."""
    for table in metadata.sorted_tables:
        writers = frozenset(
            name
            for name, made in statements.items()
            if any(name_in_text(table) in written_tables(each.sql) for each in made)
        )
        for constraint in _constraints_of(table) if writers else ():
            qualified = f"{name_of(table)}.{constraint}"
            yield Protection(table.name, constraint, writers, _drop(qualified), qualified)


def _constraints_of(table: Table) -> list[str]:
    names = [
        str(constraint.name)
        for constraint in table.constraints
        if isinstance(constraint, UniqueConstraint | CheckConstraint)
    ]
    if isinstance(table.metadata, Reflected) and table.metadata.catalogue is not None:
        names += [each.name for each in table.metadata.catalogue.exclusions.get((schema_of(table), table.name), ())]
    return sorted([*names, *(str(index.name) for index in table.indexes if index.unique)])


def _with_tables(protection: Protection, _number: int) -> Protection:
    tables = sorted(
        table.rpartition(".")[2] for table in tables_of(protection.statement.sql if protection.statement else "")
    )
    return replace(protection, text=f"{protection.text} on {', '.join(tables)}") if tables else protection


def _with_line(protection: Protection, _number: int) -> Protection:
    line = protection.statement.place.rpartition(":")[2] if protection.statement else ""
    return replace(protection, text=f"{protection.text} (line {line})") if line else protection


def _with_number(protection: Protection, number: int) -> Protection:
    return replace(protection, text=f"{protection.text} (no. {number})")


def _change(name: str, change: Callable[[Step], Step]) -> Strip:
    def strip(contest: Contest) -> Contest:
        if name not in contest.names:
            return contest
        return contest.replacing(with_steps_changed(contest.operations[name], change))

    return strip


def _split(name: str) -> Strip:
    def strip(contest: Contest) -> Contest:
        return contest.replacing(in_parts(contest.operations[name])) if name in contest.names else contest

    return strip


def _lower(name: str) -> Strip:
    def change(step: Step) -> Step:
        return Begin(Isolation.READ_COMMITTED) if isinstance(step, Begin) else step

    return _change(name, change)


def _drop(qualified: str) -> Strip:
    def strip(contest: Contest) -> Contest:
        return replace(contest, dropped=contest.dropped | {qualified})

    return strip

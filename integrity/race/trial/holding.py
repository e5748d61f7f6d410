"""What a cure is held against: calls one after the other that are right without it, with other arguments and rows, too.

A guard can fit by chance: a unique index refuses the second of two calls, which is right where one seat is left and wrong
where two are. So whatever of the rows of a race the calls may compare with, whole numbers, is raised so that all of the
calls fit. Orders that violate an invariant say nothing; neither do rows that the database refuses.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from string import ascii_uppercase

from sqlalchemy import Integer, Table

from integrity.database.names import full_name, name_of
from integrity.errors import UsageError
from integrity.operation import Value
from integrity.race.judge.contest import Contest, Ground
from integrity.race.judge.judge import Judge
from integrity.race.program.trace import Failed, TraceEvent, told_of_failure
from integrity.race.program.wire import StatementRefused
from integrity.race.trial.arena import Arena
from integrity.race.trial.choices import by_pattern
from integrity.sql.tokens import code_tokens
from integrity.systems.row_needs import unique_keys_of
from integrity.systems.stage import Expression, Ref, Stage, StagedRow

_CHOICES_MAX = 3  # of arguments, beside those of the race
_COLUMNS_MAX = 4
_INTEGER = re.compile(r"-?\d{1,9}")


@dataclass(frozen=True, slots=True)
class Course:
    """Calls that are right one after the other.

    Args:
        words: what is other than in the race; empty: nothing is.
        contest: its calls in the order in which they are made.
        refused: the actors whose calls fail all the same.
    """

    words: str
    contest: Contest
    refused: frozenset[str]


def find_courses(arena: Arena, ground: Ground, contest: Contest, events: Sequence[TraceEvent]) -> list[Course]:
    """Return what the calls do one after the other and is right: each order, as raced and varied.

    Args:
        events: of the schedule that went wrong.

    Raises:
        DatabaseError: the server is gone.
    """
    courses = (
        _course(arena, words, varied.part(calls))
        for words, varied in _variations(ground, contest, events)
        for calls in ([varied.calls, varied.calls[::-1]] if varied.calls != varied.calls[::-1] else [varied.calls])
    )
    return [course for course in courses if course is not None]


def hold_against(
    arena: Arena, courses: Sequence[Course], change: Callable[[Contest], Contest]
) -> tuple[str, Sequence[Course]]:
    """Return with what, and how, a call of these courses is refused when they are changed, in words; empty: none is.

    Beside that, the courses that were made: of some there can be no rows with the change.

    Raises:
        UsageError: the rows of a race contradict the change.
        DatabaseError: it cannot be made, or the server is gone.
    """
    made = []
    for course in courses:
        cured = change(course.contest)
        try:
            run = arena.scheduler(cured.dropped, cured.added).play(cured.program())
        except (StatementRefused, UsageError):
            if not course.words:
                raise
            continue  # no such rows can be with it: that says nothing of calls
        made.append(course)
        for actor, returned in sorted(run.trace.returns.items()):
            if isinstance(returned, Failed) and actor not in course.refused:
                call = course.contest.calls[ascii_uppercase.index(actor)]
                place = "alone" if actor == "A" else "after another"
                among = f" with {course.words}" if course.words else ""
                return f"{among}: {call} {place} {told_of_failure(returned)}", made
    return "", made


def _course(arena: Arena, words: str, contest: Contest) -> Course | None:
    scheduler, program = arena.scheduler(contest.dropped, contest.added), contest.program()
    try:
        run = scheduler.play(program)
        judge = Judge(scheduler, program, is_serial_judged=False, are_failures_judged=False)
        if run.cut or judge.judge(run).alarms:
            return None
    except (StatementRefused, UsageError):
        if not words:
            raise
        return None  # no such rows can be
    refused = frozenset(actor for actor, returned in run.trace.returns.items() if isinstance(returned, Failed))
    return Course(words, contest, refused)


def _variations(ground: Ground, contest: Contest, events: Sequence[TraceEvent]) -> Iterator[tuple[str, Contest]]:
    yield "", contest
    yield from islice(_other_rows(contest, events), _COLUMNS_MAX)
    others = (contest.part(each.calls) for each in ground.vary(contest.names, bug=contest.bug))
    first, rest = by_pattern((each for each in others if each.calls != contest.calls), known=[contest])
    for other in [*first, *rest][:_CHOICES_MAX]:
        yield " + ".join(map(str, other.calls)), other


def _other_rows(contest: Contest, events: Sequence[TraceEvent]) -> Iterator[tuple[str, Contest]]:
    """Yield the contest on rows of which one column is greater, in all of its table."""
    make = contest.system.stage
    assert make is not None
    named = {token.text.lower().strip('"') for event in events for token in code_tokens(event.sql)}
    tables = {name: table for table in contest.system.metadata.sorted_tables for name in _spellings(table)}
    found: dict[tuple[str, str], set[int]] = {}
    for row in make().rows:
        for column, number in _numbers(row, tables.get(row.table)).items():
            if "*" in named or column.lower() in named:
                found.setdefault((row.table, column), set()).add(number)
    more = len(contest.calls)
    for (name, column), numbers in found.items():

        def stage(name: str = name, column: str = column) -> Stage:
            staged = make()
            rows = [_raised(row, tables[name], column, more) if row.table == name else row for row in staged.rows]
            return replace(staged, rows=rows)

        by = f"= {max(numbers) + more}" if len(numbers) == 1 else f"greater by {more}"
        words = f"{name_of(tables[name])}.{column} {by}"
        yield words, replace(contest, system=replace(contest.system, stage=stage))


def _spellings(table: Table) -> set[str]:
    return {full_name(table), name_of(table), table.fullname}


def _numbers(row: StagedRow, table: Table | None) -> Mapping[str, int]:
    """Return the whole numbers of a row that are no keys, those of defaults included."""
    if table is None:
        return {}
    keys = {name for key in unique_keys_of(table) for name in key}
    numbers: dict[str, int] = {}
    for column in table.columns:
        is_key = column.name in keys or column.primary_key or column.foreign_keys
        if is_key or column.computed is not None or column.identity is not None:
            continue
        if not isinstance(column.type, Integer):
            continue
        default = str(getattr(column.server_default, "arg", ""))
        value: Value | Ref | Expression = row.values.get(column.name, Expression(default))
        text = value.sql.strip() if isinstance(value, Expression) else str(value)
        if not isinstance(value, Ref | bool) and _INTEGER.fullmatch(text):
            numbers[column.name] = int(text)
    return numbers


def _raised(row: StagedRow, table: Table, column: str, more: int) -> StagedRow:
    numbers = _numbers(row, table)
    return replace(row, values={**row.values, column: numbers[column] + more}) if column in numbers else row

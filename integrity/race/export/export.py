"""From a finding to a test for pytest: plays it once on an empty database and says what the test must assert."""

import math
from collections.abc import Hashable, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from itertools import permutations
from pathlib import Path
from string import ascii_uppercase
from textwrap import dedent
from typing import Any
from uuid import UUID

from integrity.operation import Row, Statement
from integrity.race.export.case import Assertion, CannotTell, Case, FailureAssertion, SerialAssertion
from integrity.race.export.exported_driver import driver_of
from integrity.race.export.pytest_export import check_path, write_pytest
from integrity.race.export.script import staging_queries
from integrity.race.finding.finding import Finding
from integrity.race.judge.contest import Contest
from integrity.race.judge.failures import DEADLOCK
from integrity.race.judge.oracles import Oracle
from integrity.race.judge.relations import history_of
from integrity.race.play.recording import Recording, following, record
from integrity.race.play.scheduler import PlayedSchedule, Scheduler
from integrity.race.program.program import Program
from integrity.race.trial.arena import Arena
from integrity.sql.file import SqlFile
from integrity.sql.name import quoted

_FAILURE_TITLES = {
    Oracle.FAILURE: "no call fails beside another one that does not fail alone",
    Oracle.DEADLOCK: "no call is refused for a deadlock",
}
_SERIAL_TITLE = "the rows are those of one call after the other, in some order"


def export_pytest(
    arena: Arena, contest: Contest, finding: Finding, path: Path, *, files: Sequence[SqlFile], replay_command: str
) -> Path:
    """Write the test and, beside it, its SQL; return the path of that.

    Args:
        path: of the test; ends with .py.
        files: the invariants, for their titles.
        replay_command: plays the finding with this package.

    Raises:
        CannotTell: rows with literal keys cannot show the failure.
        UsageError: the path cannot be a test's or be written.
        ScheduleError: the schedule does not fit this version's operations.
    """
    check_path(path)
    program = contest.program()
    spread = arena.scheduler(contest.dropped)
    spread.acquaint(program)  # else the first run on the empty database would not be the recording
    scheduler = arena.fresh_scheduler(contest.dropped)
    recording = record(scheduler, program, finding.letters, queries=staging_queries(contest.system.metadata))
    keys = recording.run.keys
    case = Case(
        title=f"{' and '.join(contest.names)}: a race ({finding.anomaly}), found by integrity",
        name="_and_".join(contest.names),
        calls={
            letter: (call.operation, ", ".join(f"{name}={keys.get(str(v), v)!r}" for name, v in call.arguments.items()))
            for letter, call in zip(ascii_uppercase, contest.calls, strict=False)
        },
        isolation=contest.isolation,
        recording=recording,
        assertion=_assert_no_failure(finding, scheduler.dialect)
        or assert_invariant(program, finding, recording, files)
        or assert_serial(scheduler, program, recording, spread=spread),
        replay=replay_command,
        dialect=scheduler.dialect,
        journal_mode=scheduler.engine.journal_mode,
        is_deferred=program.is_deferred,
        standing=program.standing.holds,
    )
    return write_pytest(case, path, metadata=contest.system.metadata, dropped=contest.dropped)


def title_of_failure(oracle: Oracle) -> str:
    """Return what must hold where a call's failure, or a deadlock, was found."""
    return _FAILURE_TITLES[oracle]


def _assert_no_failure(finding: Finding, dialect: str) -> FailureAssertion | None:
    """Return the assertion that no call fails as one did; None where that is not what was found.

    Raises:
        CannotTell: it was found in what a client was told, which a test of statements cannot see.
    """
    for alarm in finding.alarms:
        if alarm.oracle in (Oracle.SWALLOWED, Oracle.REPLIES):
            raise CannotTell(
                f"this race shows in what a client was told ({alarm.oracle}), and a test of statements cannot tell that"
            )
        if alarm.oracle in (Oracle.FAILURE, Oracle.DEADLOCK):
            error = DEADLOCK if alarm.oracle is Oracle.DEADLOCK else alarm.name.rpartition(": ")[2]
            return FailureAssertion(_FAILURE_TITLES[alarm.oracle], driver_of(dialect).told(error))
    return None


def assert_invariant(
    program: Program, finding: Finding, recording: Recording, files: Sequence[SqlFile]
) -> Assertion | None:
    """Return the assertion of the first invariant that was violated; None when serial equivalence alone spoke.

    One that is violated one after the other, too, is asserted only where nothing else is wrong: no cure of a race mends it.

    One that asks the history would compare with what the calls returned as they were recorded, and code that is mended
    returns something else: it cannot be asserted.
    """
    checks = {check.name: check for check in program.checks}
    for alarm in finding.alarms:
        if alarm.is_serial and finding.is_race:
            continue
        if alarm.name in checks and not checks[alarm.name].reads:
            title = next((file.title for file in files if file.name == alarm.name), alarm.name)
            return Assertion(title, checks[alarm.name].violations(recording.run.keys, history_of(recording.run, program)))
    return None


def assert_serial(
    scheduler: Scheduler, program: Program, recording: Recording, *, spread: Scheduler | None = None
) -> SerialAssertion:
    """Return the assertion that the rows are those of a serial order, in the columns that no run makes up by itself.

    Args:
        spread: where no key is equal to an amount or a count, so that which columns hold keys is known by their values; on
            the empty database the second row's key is the 2 of "2 seats". None: that is so where it was recorded.

    Raises:
        CannotTell: the rows are those of a serial order, but for what the runs make up.
    """
    runs, states = _play_serially(scheduler, program, recording.run)
    known, known_states = runs, states
    if spread is not None:
        raced = spread.play(program, decide=following(recording.run.letters))
        known, known_states = _play_serially(spread, program, raced)
    made_up = [run.trace.generated | set(run.operation_ids) for run in known]
    queries: dict[str, Statement] = {}
    tables: list[dict[str, list[tuple[Any, ...]]]] = [{} for _ in runs]
    for digest in program.digests:
        columns = _plain_columns([state[digest.table] for state in known_states], made_up)
        contents = [
            sorted((tuple(row[name] for name in columns) for row in state[digest.table]), key=repr) for state in states
        ]
        if columns and any(content != contents[0] for content in contents):
            inner = digest.rows(recording.run.keys, recording.run.operation_ids)
            text = dedent(inner.sql.strip("\n")).strip()
            queries[digest.table] = Statement(
                f"select {', '.join(map(quoted, columns))} from (\n{text}\n) as rows", inner.parameters
            )
            for number, content in enumerate(contents):
                tables[number][digest.table] = content
    if tables[0] in tables[1:]:
        raise CannotTell(
            "this race shows in the replies, or in which row refers to which, and a test with literal keys cannot tell"
        )
    return SerialAssertion(_SERIAL_TITLE, queries, tables[1:])


def _play_serially(
    scheduler: Scheduler, program: Program, raced: PlayedSchedule
) -> tuple[list[PlayedSchedule], list[dict[str, Sequence[Row]]]]:
    """Return a run that was just played and each serial order, with the rows that they left."""
    runs, states = [raced], [_read_rows(scheduler, program, raced)]
    for actors in permutations(program.actors):  # the rows of one may be gone when the next is played
        runs.append(scheduler.play(replace(program, actors=actors)))
        states.append(_read_rows(scheduler, program, runs[-1]))
    return runs, states


def _read_rows(scheduler: Scheduler, program: Program, run: PlayedSchedule) -> dict[str, Sequence[Row]]:
    statements = [digest.rows(run.keys, run.operation_ids) for digest in program.digests]
    answers = scheduler.ask_of(run, statements)
    return {digest.table: answer.rows for digest, answer in zip(program.digests, answers, strict=True)}


def _plain_columns(states: Sequence[Sequence[Row]], made_up: Sequence[frozenset[Any]]) -> list[str]:
    """Return the columns that hold plain values in every run."""
    columns: dict[str, bool] = {}
    for rows, made in zip(states, made_up, strict=True):
        for row in rows:
            for name, value in row.items():
                is_key = isinstance(value, UUID | datetime) or (isinstance(value, Hashable) and value in made)
                is_plain = value is None or not (is_key or _is_nan(value))
                columns[name] = columns.get(name, True) and is_plain
    return [name for name, is_plain in columns.items() if is_plain]


def _is_nan(value: Any) -> bool:
    """Return whether a value is equal to nothing, itself included."""
    return isinstance(value, Decimal | float) and math.isnan(value)

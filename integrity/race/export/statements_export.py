"""A finding of calls that are not ours to step as a test that needs neither them nor us: psycopg, and their statements.

The schedule is played once more, and what passed the proxy is written down: the tables, the rows that it began with, each
call's statements with their values. What shows in no row and in no refusal, as an answer does not, cannot be told so.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sqlalchemy import MetaData, Table

from integrity.database.names import full_name
from integrity.engines.values import sql_of
from integrity.errors import UsageError
from integrity.numbers import counted
from integrity.operation import Begin, Commit, Isolation, Rollback, Row, Statement
from integrity.race.export.case import Assertion, CannotTell, Case, FailureAssertion, SerialAssertion
from integrity.race.export.export import assert_invariant, assert_serial, title_of_failure
from integrity.race.export.pytest_export import write_pytest
from integrity.race.export.script import staging_queries
from integrity.race.finding.finding import Finding
from integrity.race.judge.oracles import Oracle
from integrity.race.play.recording import PlayedStep, Recording
from integrity.race.play.scheduler import Scheduler
from integrity.race.program.program import Digest, Keys, Program
from integrity.race.program.statements import tables_of
from integrity.race.program.trace import StepPhase, Trace
from integrity.race.rows.postgresql.tables import SCHEMA as OURS
from integrity.systems.reflect import Reflected

_SECRET_LEAST = 8  # letters; a shorter one would be found in every text
ROWS_MOST = 200
"""Of a table, that a test can hold and a reader look at."""
_SEQUENCES = """
select format('%I.%I', schemaname, sequencename) as name, start_value from pg_catalog.pg_sequences
where schemaname <> 'integrity_capture' order by 1
"""
_ENDS: dict[str, Commit | Rollback] = {"commit": Commit(), "rollback": Rollback()}
_STATE = "select {} as name, last_value, is_called from {}"


def export_statements(
    scheduler: Scheduler,
    program: Program,
    finding: Finding,
    path: Path,
    *,
    metadata: Reflected,
    replay_command: str,
    secrets: frozenset[str],
) -> Path:
    """Write the test and, beside it, its SQL; return the path of that.

    Args:
        program: of the finding.
        path: of the test; ends with .py.
        metadata: the tables, as the database has them.
        secrets: that are to stand in no file.

    Raises:
        UsageError: a test of statements cannot tell it, or the rows are too many.
    """
    _take_out_ours(metadata)
    tables = _tables_of(finding, metadata)
    staged: dict[str, Sequence[Row]] = {}
    sequences: list[Row] = []

    def look() -> None:
        queries = {name: query for name, query in staging_queries(metadata).items() if name in tables}
        answers = scheduler.ask([Statement(f"{query} limit {ROWS_MOST + 1}") for query in queries.values()])
        staged.update({name: answer.rows for name, answer in zip(queries, answers, strict=True)})
        (found,) = scheduler.ask([Statement(_SEQUENCES)])
        names = [str(row["name"]) for row in found.rows]
        states = scheduler.ask([Statement(_STATE.format(sql_of(name), name)) for name in names])
        sequences[:] = [row for state in states for row in state.rows]

    run = scheduler.play(program, finding.letters, on_staged=look)
    if full := [name for name, rows in staged.items() if len(rows) > ROWS_MOST]:
        raise UsageError(
            f"table {full[0]} has more than {counted(ROWS_MOST, 'row')}, too many for a test to hold",
            hint="Race on a database of few rows, e.g. one that [setup] fills.",
        )
    compared = replace(program, digests=tuple(_digest(tables[name]) for name in sorted(tables)))
    recording = Recording(run, staged, {letter: _steps(run.trace, letter) for letter in finding.calls})
    assertion = _assertion(scheduler, compared, finding, recording)
    silent = replace(run, trace=replace(run.trace, returns={}))
    names = {letter: re.sub(r"\W+", "_", call.operation).strip("_").lower() for letter, call in finding.calls.items()}
    case = Case(
        title=f"{' and '.join(call.operation for _, call in sorted(finding.calls.items()))}: a race ({finding.anomaly}), "
        "found by integrity",
        name="_and_".join(name for _, name in sorted(names.items())),
        calls={letter: (name, "") for letter, name in sorted(names.items())},
        isolation=Isolation.READ_COMMITTED,
        recording=replace(recording, run=silent),
        assertion=assertion,
        replay=replay_command,
        dialect=scheduler.dialect,
        standing=program.standing.holds,
    )
    counted_on = "".join(
        f"select setval({sql_of(each['name'])}, {each['last_value']}, {str(each['is_called']).lower()});\n"
        for each in sequences
    )
    return write_pytest(
        case, path, metadata=metadata, appended=f"\n{counted_on}", hide=lambda text: _without_secrets(text, secrets)
    )


def _without_secrets(text: str, secrets: frozenset[str]) -> str:
    """Return a text with a name in place of each secret, in statements and rows alike, so that they still meet."""
    for number, secret in enumerate(sorted(each for each in secrets if len(each) >= _SECRET_LEAST), start=1):
        text = text.replace(secret, f"hidden{number}")
    return text


def _assertion(
    scheduler: Scheduler, program: Program, finding: Finding, recording: Recording
) -> Assertion | SerialAssertion | FailureAssertion:
    for alarm in finding.alarms:
        if alarm.oracle in (Oracle.FAILURE, Oracle.DEADLOCK):
            refused = next((event.refusal for event in recording.run.trace.events if event.refusal), None)
            if refused is None:
                raise CannotTell("this race shows in an answer of the application, and no statement of it was refused")
            return FailureAssertion(title_of_failure(alarm.oracle), refused.sqlstate)
    return assert_invariant(program, finding, recording, ()) or assert_serial(scheduler, program, recording)


def _take_out_ours(metadata: Reflected) -> None:
    """Leave out what keeps the rows of a race: it stands in the database for as long as that is played."""
    if metadata.catalogue is not None:
        left = [each for each in metadata.catalogue.definitions if OURS not in (each.schema, each.name)]
        left = [each for each in left if not each.name.startswith(f"~{OURS}")]
        metadata.catalogue = replace(metadata.catalogue, definitions=left)


def schemas_of(finding: Finding) -> tuple[str, ...]:
    """Return the schemas whose tables the statements of a finding name."""
    return tuple(sorted({name.rpartition(".")[0] for event in finding.events for name in tables_of(event.sql)}))


def _tables_of(finding: Finding, metadata: MetaData) -> dict[str, Table]:
    """Return the tables that its statements name, with those that they refer to."""
    named = {name.rpartition(".")[2] for event in finding.events for name in tables_of(event.sql)}
    found = {table.fullname: table for table in metadata.sorted_tables if table.name.lower() in named}
    waiting = list(found.values())
    while waiting:
        for key in waiting.pop().foreign_keys:
            if key.column.table.fullname not in found:
                found[key.column.table.fullname] = key.column.table
                waiting.append(key.column.table)
    return found


def _digest(table: Table) -> Digest:
    sql = f"select * from {full_name(table)}"

    def rows(_keys: Keys, _ids: Sequence[object]) -> Statement:
        return Statement(sql)

    return Digest(table.fullname, rows)


def _steps(trace: Trace, letter: str) -> list[PlayedStep]:
    """Return what a call did, as the steps that an operation would have made."""
    steps: list[PlayedStep] = []
    is_open = False
    for event in trace.events:
        if event.actor != letter or event.phase is StepPhase.WAITS:
            continue
        if event.opens:
            steps.append(PlayedStep(Begin(isolation=None if event.level is Isolation.READ_COMMITTED else event.level)))
            is_open = True
        end = _ENDS.get(event.sql.strip().rstrip(";").lower())
        if end is None:
            refused = event.refusal.sqlstate if event.refusal else ""
            steps.append(PlayedStep(Statement(event.sql, event.parameters), refused))
        elif is_open:
            steps.append(PlayedStep(end))
        if event.closes and is_open:
            steps.append(PlayedStep(Commit()))
        is_open = is_open and not event.closes and end is None
    return steps

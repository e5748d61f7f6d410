"""The audit: judges invariants on one snapshot of a database and yields events. It does not know who listens.

    for event in audit(target, invariants, AuditSettings()):
        ...

Nothing is written and nothing is created in the database. What cannot be found out about one invariant (a missing table, a
timeout, a query that fails) is the verdict unknown with its reason, and the others are judged all the same. When a standby
gives up the snapshot, or a connection breaks, what was still open is judged once more on a second one.
"""

import random
import time
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace

from integrity.engines.facts import Facts, TableName
from integrity.engines.server_text import Rows
from integrity.engines.snapshot import QueryFailed, Reader, Snapshot
from integrity.engines.spelling import NotPortable
from integrity.engines.target import Target
from integrity.errors import DatabaseError
from integrity.events import AuditFinished, AuditStarted, Event, InvariantJudged
from integrity.invariants.evidence import HISTORY, operation_ids_of, systems_of
from integrity.invariants.plan import Plan, PlannedJudging, make_plan
from integrity.invariants.run import Judged, judge
from integrity.invariants.syntax import tables_of
from integrity.queries.run import load_query, show_query
from integrity.runs.coverage import Known, find_doubts
from integrity.sql.file import SqlFile, printable_path
from integrity.value import Value
from integrity.verdict import InvariantVerdict, Verdict

OPERATIONS_MAX = 50  # operations of one violation that are looked up in the history; an evidence row may name thousands
CALLS_MAX = 1_000


@dataclass(frozen=True, slots=True)
class AuditSettings:
    """How to audit.

    Args:
        connections: how many read the snapshot at once; SQLite is always read through one.
        timeout_s: of each query.
        row_limit: how many violating rows to show; all are counted.
        is_exact: ask every query as its file has it: no proofs, no shared scans, no fingerprints.
        trusted_functions: as "schema.name", what queries may call although it could do more than read.
        role: whose rights the audit takes on; None: those of the role that connects.
        given: values of parameters, for the invariants that have them, e.g. run_id.
        known: what is known of runs beside what the database says.
        place: what to say of the database where it lacks a table, e.g. that it is the empty one that nobody named.
        random_source: of the fingerprints' seeds. From the system by default, so that no data can be made to fit them.
    """

    connections: int = 2
    timeout_s: float = 300
    row_limit: int = 10
    is_exact: bool = False
    trusted_functions: Collection[str] = ()
    role: str | None = None
    given: Mapping[str, Value] = field(default_factory=dict)
    known: Known = field(default_factory=Known)
    place: str = ""
    random_source: random.Random = field(default_factory=random.SystemRandom)


def audit(target: Target, invariants: Sequence[SqlFile], settings: AuditSettings) -> Generator[Event, None, None]:
    """Yield the events of an audit. Closing the iterator ends the running queries.

    Raises:
        Unreachable: no connection.
        UnsuitableServer: too old.
    """
    started = time.perf_counter()
    open_files = {file.name: file for file in invariants}
    with _open(target, settings) as snapshot:
        yield AuditStarted(
            target=str(target),
            invariants=tuple(open_files),
            taken_at=snapshot.taken_at,
            consistency=snapshot.consistency,
            caution=snapshot.caution,
        )
        for judged in _judge(invariants, snapshot, settings):
            if not judged.is_lost:
                del open_files[judged.step.name]
                yield _event(judged.step.question.file, judged.finding, judged)
    if open_files:
        yield from _judge_again(target, open_files, settings)
    yield AuditFinished(seconds=time.perf_counter() - started)


def plan_audit(target: Target, invariants: Sequence[SqlFile], settings: AuditSettings) -> Plan:
    """Return how the invariants would be judged, without judging them.

    Raises:
        Unreachable: no connection.
        UnsuitableServer: too old.
        DatabaseError: the snapshot was lost.
    """
    with _open(target, replace(settings, connections=1)) as snapshot:
        try:
            return _plan(invariants, snapshot, settings)
        except QueryFailed:
            raise DatabaseError(f"{target}: the snapshot was lost", hint="Ask again.") from None


def _judge_again(target: Target, open_files: dict[str, SqlFile], settings: AuditSettings) -> Iterator[InvariantJudged]:
    reason = "the snapshot was lost, and the second one too"
    try:
        with _open(target, settings) as snapshot:
            for judged in _judge(list(open_files.values()), snapshot, settings):
                file = open_files.pop(judged.step.name)
                finding = replace(judged.finding, method=f"{judged.finding.method}, on a second snapshot")
                yield _event(file, finding, judged)
    except DatabaseError as error:
        reason = f"the snapshot was lost, and there was no second one: {error.message}"
    for file in open_files.values():
        yield _event(file, InvariantVerdict(file.name, Verdict.UNKNOWN, 0, [], 0.0, "none", reason))


def _judge(invariants: Sequence[SqlFile], snapshot: Snapshot, settings: AuditSettings) -> Iterator[Judged]:
    """Yield what can be found out on this snapshot; nothing when it is lost before there is a plan."""
    try:
        plan = _plan(invariants, snapshot, settings)
        doubts = find_doubts(
            snapshot.sessions[0],
            [step.question.file for step in plan.steps if not step.unjudged],
            settings.known,
            settings.given,
            now=snapshot.taken_at,
        )
    except QueryFailed:
        return
    history = load_query("history/calls-of-operations")

    def find_calls(session: Reader, step: PlannedJudging, rows: Rows) -> Rows:
        ids = " ".join(str(operation_id) for operation_id in operation_ids_of(rows)[:OPERATIONS_MAX])
        if not ids:
            return []
        try:
            return show_query(
                session,
                history,
                {"operation_ids": ids, "systems": _name_systems(session, step)},
                now=snapshot.taken_at,
                row_limit=CALLS_MAX,
            )
        except (QueryFailed, NotPortable):  # most databases have no history of ours; the violation stands without it
            return []

    for judged in judge(
        plan, snapshot.sessions, row_limit=settings.row_limit, companion=find_calls, timeout_s=settings.timeout_s
    ):
        yield _doubted(judged, doubts.get(judged.step.name))


def _name_systems(session: Reader, step: PlannedJudging) -> str:
    """Return the systems whose calls can have made what the invariant judges, with blanks between; empty: any of them.

    Raises:
        QueryFailed: the catalogue could not be read.
    """
    systems = systems_of(step.tables)
    views = {TableName(HISTORY, f"{system}_calls"): system for system in systems}
    # A schema that has no view of the histories is no system that we know.
    known = [] if "" in systems else [views[view] for view in session.read_facts(views)]
    return " ".join(sorted(known))


def _open(target: Target, settings: AuditSettings) -> AbstractContextManager[Snapshot]:
    return target.open_snapshot(connections=settings.connections, timeout_s=settings.timeout_s, role=settings.role)


def _doubted(judged: Judged, doubt: str | None) -> Judged:
    """Return what was found out; what found nothing is unknown where not all is known that it rests on."""
    if doubt is None or judged.is_lost or judged.finding.verdict in (Verdict.VIOLATED, Verdict.UNKNOWN):
        return judged
    return replace(judged, finding=replace(judged.finding, verdict=Verdict.UNKNOWN, reason=doubt))


def _plan(invariants: Sequence[SqlFile], snapshot: Snapshot, settings: AuditSettings) -> Plan:
    """Return the plan.

    Raises:
        QueryFailed: the snapshot was lost.
    """
    refused = {file.name: why for file in invariants if (why := file.fault or _describe_valueless(file, settings.given))}
    session = snapshot.sessions[0]
    texts = {file.name: file.numbered for file in invariants if not file.fault}
    refused = session.find_refusals(texts, settings.trusted_functions) | refused
    facts: Facts | None = None
    try:
        tables = {table for file in invariants if not file.fault for table in tables_of(file.tree)}
        facts = session.read_facts(tables)
    except QueryFailed as failed:  # a catalogue that is locked: every query is asked, and says for itself what it waits for
        if failed.is_snapshot_lost:
            raise
    except Exception:  # what the catalogue holds that we cannot read: every query is asked as it is written
        facts = None
    plan = make_plan(
        invariants,
        facts,
        refused=refused,
        now=snapshot.taken_at,
        spelling=session.spelling,
        is_exact=settings.is_exact or snapshot.is_shadowed,
        given=settings.given,
        random_source=settings.random_source,
    )
    if not settings.place:
        return plan
    steps = [replace(step, missing=step.missing and f"{step.missing}: {settings.place}") for step in plan.steps]
    return replace(plan, steps=tuple(steps))


def _describe_valueless(file: SqlFile, given: Mapping[str, Value]) -> str:
    """Return which parameter has no value at all; empty: none."""
    missing = next((each for each in file.parameters if each.is_required and each.name not in given), None)
    if missing is None:
        return ""
    return (
        f"{printable_path(file.path)}:1: parameter {missing.name!r} has no default"
        f"\n  hint: Give it one: `-- parameter: {missing.name} {missing.type} = null`; or a value: --set {missing.name}=..."
    )


def _event(file: SqlFile, finding: InvariantVerdict, judged: Judged | None = None) -> InvariantJudged:
    """Return the event of a finding; with what else is known where the database was asked."""
    return InvariantJudged(
        finding=finding,
        title=file.title,
        severity=file.severity,
        source=file.source,
        why=file.why,
        hint=file.hint,
        path=printable_path(file.path),
        rows_estimate=judged.step.rows_estimate if judged is not None else None,
        operation_count=len(operation_ids_of(finding.rows)),
        calls=judged.companions if judged is not None else [],
    )

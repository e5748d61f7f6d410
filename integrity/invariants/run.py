"""Runs a plan on the sessions of a snapshot and yields a finding for each invariant, as each is found out.

Scans and queries go to the sessions longest first. A step whose scans are in is judged by its proofs, if the server takes
its query for one that it could run; where they fail, the query is asked as it stands, with nothing around it: first for the
count of its rows, which alone decides, then, if there are any, for the first of them. Where it returned none and its tables
are all empty, there was nothing to judge. Whatever goes wrong with one invariant, in the server or in us, makes that one
unknown and nothing else.
"""

import itertools
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Self

from integrity.engines.facts import TableName
from integrity.engines.server_text import Rows
from integrity.engines.snapshot import QueryFailed, Reader
from integrity.errors import describe_unexpected
from integrity.invariants.emptiness import Emptiness
from integrity.invariants.plan import Plan, PlannedJudging, Question, Scan, is_proved
from integrity.invariants.proof import Balance
from integrity.sql.parameters import find_parameters
from integrity.verdict import InvariantVerdict, Verdict


@dataclass(frozen=True, slots=True)
class Judged:
    """A finding.

    Args:
        companions: rows that belong to its evidence.
        is_lost: the snapshot was lost before the answer; a new one may do better.
    """

    step: PlannedJudging
    finding: InvariantVerdict
    companions: Rows = field(default_factory=list)
    is_lost: bool = False


Companion = Callable[[Reader, PlannedJudging, Rows], Rows]
"""Asked on the session that found violating rows for what belongs to them, within the same snapshot."""


def judge(
    plan: Plan, sessions: Sequence[Reader], *, row_limit: int, companion: Companion, timeout_s: float
) -> Iterator[Judged]:
    """Yield a finding for every step of the plan, as each is found out.

    Closing the iterator ends the running queries.

    Args:
        row_limit: how many violating rows to keep; all are counted.
        timeout_s: what the sessions were told, for the reason of a verdict that it made unknown.
    """
    run = _Run(plan, row_limit, companion, timeout_s)
    with _Workers(sessions) as workers:
        for scan in plan.scans:
            workers.submit(scan.bytes, _scan_task(scan))
        for step in plan.steps:
            if step.unjudged:
                yield Judged(step, _unknown(step, step.unjudged, method="none"))
            elif not step.proofs:
                workers.submit(step.cost, run.query_task(step, "query"))
            elif not step.scans:
                workers.submit(0, run.proved_task(step))
        while workers.pending:
            done = workers.next()
            if isinstance(done, Judged):
                yield done
            else:
                for step in run.take(done):
                    outcome = run.decide(step)
                    if isinstance(outcome, Judged):
                        yield outcome
                    else:
                        workers.submit(step.cost, outcome)


@dataclass(frozen=True, slots=True)
class _Scanned:
    """What a scan found; without answers where it failed: the checks that share it are then asked one by one."""

    scan: int
    answers: Sequence[Any] | None = None
    rows_read: int = 0
    seconds: float = 0.0
    is_lost: bool = False


class _Run:
    """What is known so far: the scans' answers."""

    def __init__(self, plan: Plan, row_limit: int, companion: Companion, timeout_s: float) -> None:
        self._plan = plan
        self._row_limit = row_limit
        self._companion = companion
        self._timeout_s = timeout_s
        self._emptiness = Emptiness()
        self._scanned: dict[int, _Scanned] = {}

    def take(self, scanned: _Scanned) -> list[PlannedJudging]:
        """Return the steps whose scans are all in with this one."""
        self._scanned[scanned.scan] = scanned
        known = self._scanned.keys()
        return [step for step in self._plan.steps if scanned.scan in step.scans and step.scans <= known]

    def decide(self, step: PlannedJudging) -> "Judged | _Task":
        """Return the step's finding, or its query where the scans do not decide."""
        try:
            return self._decide(step)
        except Exception as error:  # an answer that the proof cannot take
            return self.query_task(step, f"query, after {describe_unexpected(error)}")

    def _decide(self, step: PlannedJudging) -> "Judged | _Task":
        scanned = [self._scanned[number] for number in sorted(step.scans)]
        seconds = sum(scan.seconds for scan in scanned)
        method = step.method(self._plan.scans)
        if any(scan.is_lost for scan in scanned):
            return Judged(step, _unknown(step, "the snapshot was lost", method=method), is_lost=True)
        if any(scan.answers is None for scan in scanned):  # one of the checks that share it failed: each is asked alone
            return self.query_task(step, "query")
        answers = [self._scanned[n].answers if n in self._scanned else None for n in range(len(self._plan.scans))]
        if all(is_proved(proof, places, answers) for proof, places in step.proofs):
            return self.proved_task(step, seconds=seconds, has_rows=any(scan.rows_read for scan in scanned))
        if step.is_whole:
            place = step.proofs[0][1][0]
            counted = answers[place.scan]
            assert counted is not None
            return self.query_task(step, method, count=counted[place.answers[0]], seconds=seconds)
        failed = any(isinstance(p, Balance) and not is_proved(p, places, answers) for p, places in step.proofs)
        return self.query_task(step, "query, as fingerprints differ" if failed else "query", seconds=seconds)

    def proved_task(self, step: PlannedJudging, *, seconds: float = 0.0, has_rows: bool = False) -> "_Task":
        """Return the task that judges a step whose proofs hold.

        The server plans the query and does not run it: a proof knows nothing of what the query selects and who may read it.

        Args:
            has_rows: a scan has seen a row, so that there was something to judge.
        """
        method = step.method(self._plan.scans)

        def ask(session: Reader, took: Callable[[], float]) -> Judged:
            _require_runnable(session, step.question)
            if has_rows:
                return Judged(step, _holds(step, method, took()))
            return self._without_violation(session, step, method, took)

        return self._task(step, method, seconds, ask)

    def query_task(self, step: PlannedJudging, method: str, *, count: int | None = None, seconds: float = 0.0) -> "_Task":
        """Return the task that asks the step's query; `count` is of its rows, where a scan knows it."""

        def ask(session: Reader, took: Callable[[], float]) -> Judged:
            violations = session.count(_text(session, step.question), step.question.values) if count is None else count
            if not violations:
                return self._without_violation(session, step, method, took)
            rows, companions, reason = self._evidence(session, step)
            return Judged(
                step, InvariantVerdict(step.name, Verdict.VIOLATED, violations, rows, took(), method, reason), companions
            )

        return self._task(step, method, seconds, ask)

    def _task(
        self, step: PlannedJudging, method: str, seconds: float, ask: Callable[[Reader, Callable[[], float]], Judged]
    ) -> "_Task":
        """Return the task, with every failure turned into a verdict of its own step."""

        def task(session: Reader) -> Judged:
            started = time.perf_counter()

            def took() -> float:
                return seconds + time.perf_counter() - started

            try:
                return ask(session, took)
            except QueryFailed as failed:
                finding = _unknown(step, self._explain(step, failed), method=method, seconds=took())
                return Judged(step, finding, is_lost=failed.is_snapshot_lost)
            except Exception as error:
                return Judged(step, _unknown(step, describe_unexpected(error), method=method, seconds=took()))

        return task

    def _without_violation(self, session: Reader, step: PlannedJudging, method: str, took: Callable[[], float]) -> Judged:
        tables = _tables_of(session, step)
        if not self._emptiness.are_all_empty(session, tables):
            return Judged(step, _holds(step, method, took()))
        names = ", ".join(sorted(map(str, tables)))
        reason = f"{names} {'is' if len(tables) == 1 else 'are all'} empty"
        return Judged(step, InvariantVerdict(step.name, Verdict.EMPTY, 0, [], took(), method, reason))

    def _evidence(self, session: Reader, step: PlannedJudging) -> tuple[Rows, Rows, str]:
        """Return the first rows, what belongs to them, and why there are none where they cannot be had."""
        if not self._row_limit:
            return [], [], ""
        rows: Rows = []
        companions: Rows = []
        reason = ""
        try:
            rows = session.read_text(_text(session, step.question), step.question.values, row_limit=self._row_limit)
            with suppress(Exception):  # rows without what belongs to them are better than none
                companions = self._companion(session, replace(step, tables=_tables_of(session, step)), rows)
        except QueryFailed as failed:
            reason = f"no answer within {self._timeout_s:g} s" if failed.is_timeout else failed.reason
        except Exception as error:
            reason = describe_unexpected(error)
        return rows, companions, reason and f"its rows cannot be shown: {reason}"

    def _explain(self, step: PlannedJudging, failed: QueryFailed) -> str:
        if failed.is_timeout:
            return f"no answer within {self._timeout_s:g} s; a longer --timeout may help"
        reason = step.missing if failed.is_missing and step.missing else failed.reason
        return step.question.file.describe_server_error(reason, position=failed.position, hint=failed.hint)


_Task = Callable[[Reader], "Judged | _Scanned"]


def _scan_task(scan: Scan) -> _Task:
    def task(session: Reader) -> _Scanned:
        started = time.perf_counter()
        try:
            types = {name: kind for name, (kind, _) in scan.parameters.items()}
            query = scan.query(session.spelling)
            values = [scan.parameters[name][1] for name in find_parameters(query)]
            row = session.read(session.spelling.marked(query, types), values)[0]
        except QueryFailed as failed:
            return _Scanned(scan.number, seconds=time.perf_counter() - started, is_lost=failed.is_snapshot_lost)
        except Exception:  # a total that cannot be read: each invariant's own query says more
            return _Scanned(scan.number, seconds=time.perf_counter() - started)
        answers = [row[f"answer_{number}"] for number in range(len(scan.answers))]
        return _Scanned(scan.number, answers, row["rows_read"], time.perf_counter() - started)

    return task


def _text(session: Reader, question: Question) -> str:
    return session.spelling.numbered(question.file)


def _require_runnable(session: Reader, question: Question) -> None:
    """Let the server plan the query, and not run it; a failure's position is the query's own.

    Raises:
        QueryFailed: it is none that could be run.
    """
    prefix = "explain "
    try:
        session.read(f"{prefix}{_text(session, question)}", question.values)
    except QueryFailed as failed:
        if failed.position is not None:
            failed.position = max(1, failed.position - len(prefix))
        raise


def _tables_of(session: Reader, step: PlannedJudging) -> tuple[TableName, ...]:
    """Return the tables that a step reads; the server is asked where the parser does not know the query.

    Raises:
        QueryFailed: the snapshot was lost.
    """
    if step.question.file.tree is not None:
        return step.tables
    try:
        return tuple(TableName(*table) for table in session.tables(_text(session, step.question), step.question.values))
    except QueryFailed as failed:  # what it reads is not known, and so not that it is empty
        if failed.is_snapshot_lost:
            raise
        return ()


def _holds(step: PlannedJudging, method: str, seconds: float) -> InvariantVerdict:
    return InvariantVerdict(step.name, Verdict.HOLDS, 0, [], seconds, method)


def _unknown(step: PlannedJudging, reason: str, *, method: str, seconds: float = 0.0) -> InvariantVerdict:
    return InvariantVerdict(step.name, Verdict.UNKNOWN, 0, [], seconds, method, reason)


class _Workers:
    """One thread a session; each takes the longest task that waits."""

    def __init__(self, sessions: Sequence[Reader]) -> None:
        self._sessions = sessions
        self._waiting: queue.PriorityQueue[tuple[int, int, _Task | None]] = queue.PriorityQueue()
        self._done: queue.SimpleQueue[Judged | _Scanned | BaseException] = queue.SimpleQueue()
        self._numbers = itertools.count()
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=[session], daemon=True) for session in sessions]
        self.pending = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for _session in self._sessions:
            self._waiting.put((-(2**63), -1, None))
        for session, thread in zip(self._sessions, self._threads, strict=True):
            while thread.ident and thread.is_alive():
                thread.join(timeout=0.05)  # an idle one ends by itself
                if thread.is_alive():  # again and again: a query that starts just now is not there yet to be cancelled
                    session.cancel()

    def submit(self, cost: int, task: _Task) -> None:
        """Queue a task; the threads start with the first result that is waited for, so that all know the longest."""
        self.pending += 1
        self._waiting.put((-cost, next(self._numbers), task))

    def next(self) -> "Judged | _Scanned":
        """Return the next result."""
        for thread in self._threads:
            if not thread.ident:
                thread.start()
        done = self._done.get()
        self.pending -= 1
        if isinstance(done, BaseException):
            raise done
        return done

    def _work(self, session: Reader) -> None:
        while True:
            _, _, task = self._waiting.get()
            if task is None or self._stopping.is_set():
                return
            try:
                self._done.put(task(session))
            except BaseException as error:  # raised again where the results are waited for
                self._done.put(error)

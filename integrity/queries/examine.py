"""Examines named queries on real data: how long they take, how they are answered, and whether that is within their limits.

A query is asked with values that the database really holds: its samples, one after the other. A limit holds for the 95th
percentile of a hundred times, as in a run; an index that is named must be used by the plan of each, and no plan of a query
whose time has a limit may read a larger table from end to end: its time grows with the table. Nothing that was not measured
passes: a query without values, or for which there was no time, or an index on a table too small for any planner to bother,
is unknown.
"""

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from integrity.engines.query_plan import QueryPlan
from integrity.engines.snapshot import QueryFailed, Reader
from integrity.engines.spelling import NotPortable
from integrity.errors import describe_unexpected
from integrity.exit_codes import Shortfall
from integrity.numbers import counted
from integrity.queries.run import run_query
from integrity.sql.file import SqlFile
from integrity.value import Value

ASKED_LEAST = 5
SAMPLES_MOST = 20
P95_ASKED = 100
"""Times that a query with a limit is asked: as many as a p95 needs, of which five may be over it."""

P95_OVER_MOST = 5
P95_S_MOST = 60.0
"""How long a query is asked for its p95 at most."""

SMALL_ROWS = 1_000
"""Up to so many rows a sequential scan is as good as any index, and a planner is right to take it."""


class ExaminedState(StrEnum):
    """Passed and failed are of a query with limits; one without has none of them to keep."""

    PASSED = "passed"
    FAILED = "failed"
    UNKNOWN = "unknown"
    NO_LIMIT = "no limit"


@dataclass(frozen=True, slots=True)
class Examination:
    """What came out of a query.

    Args:
        asked: how many times it was asked; 0: not at all, see reasons.
        rows: of the answer that had most.
        median_ms, p95_ms: None when it was not asked.
        plan: of the first values.
        reasons: why it failed or is unknown.
    """

    query: SqlFile
    state: ExaminedState
    asked: int = 0
    rows: int = 0
    median_ms: float | None = None
    p95_ms: float | None = None
    plan: QueryPlan | None = None
    reasons: tuple[str, ...] = ()

    @property
    def shortfall(self) -> Shortfall | None:
        """What fell short: its limits are thresholds."""
        return {ExaminedState.FAILED: Shortfall.MISSED, ExaminedState.UNKNOWN: Shortfall.NOT_MEASURED}.get(self.state)


def examine(
    session: Reader, queries: Iterable[SqlFile], *, now: datetime, refused: Mapping[str, str] = {}
) -> Iterator[Examination]:
    """Yield the examination of each query, in their order.

    Args:
        refused: name -> why it is not asked at all.
    """
    for query in queries:
        if query.name in refused:
            yield Examination(query, ExaminedState.UNKNOWN, reasons=(f"not asked: {refused[query.name]}",))
            continue
        try:
            yield _examine(session, query, now)
        except QueryFailed as error:
            yield Examination(query, ExaminedState.UNKNOWN, reasons=(f"the database did not answer: {error.reason}",))
        except NotPortable as error:
            yield Examination(query, ExaminedState.UNKNOWN, reasons=(str(error),))
        except Exception as error:  # whatever goes wrong with one, the others are asked
            yield Examination(query, ExaminedState.UNKNOWN, reasons=(describe_unexpected(error),))


def _examine(session: Reader, query: SqlFile, now: datetime) -> Examination:
    given = draw_samples(session, query)
    missing = [p.name for p in query.parameters if p.is_required and not all(p.name in values for values in given)]
    if missing or not given:
        what = f"no value for parameter {missing[0]}" if missing else "its samples found no row"
        return Examination(query, ExaminedState.UNKNOWN, reasons=(f"not asked: {what}",))
    plans = [_plan(session, query, values, now) for values in given]
    times_ms, rows = _ask(session, query, given, now)
    state, reasons = _judge(query, times_ms, plans)
    times_ms.sort()
    p95_ms = times_ms[math.ceil(0.95 * len(times_ms)) - 1]
    median_ms = times_ms[(len(times_ms) - 1) // 2]
    return Examination(query, state, len(times_ms), rows, median_ms, p95_ms, plans[0], reasons)


def _ask(session: Reader, query: SqlFile, given: Sequence[Mapping[str, Value]], now: datetime) -> tuple[list[float], int]:
    """Return how long each asking took, in ms, and the rows of the answer that had most.

    A query with a limit is asked until its p95 is known: a hundred times, or until one time too many was over.
    """
    times_ms: list[float] = []
    rows = 0
    least = max(ASKED_LEAST, len(given))
    most = least if query.limit_ms is None else P95_ASKED
    first_started = time.perf_counter()
    while len(times_ms) < most:
        started = time.perf_counter()
        if len(times_ms) >= least and started - first_started > P95_S_MOST:
            break
        answer = run_query(session, query, given[len(times_ms) % len(given)], now=now)
        times_ms.append((time.perf_counter() - started) * 1000)
        rows = max(rows, len(answer))
        if len(times_ms) >= ASKED_LEAST and _count_over(query, times_ms) > P95_OVER_MOST:
            break
    return times_ms, rows


def _count_over(query: SqlFile, times_ms: Sequence[float]) -> int:
    return 0 if query.limit_ms is None else sum(time_ms > query.limit_ms for time_ms in times_ms)


def draw_samples(session: Reader, query: SqlFile) -> list[dict[str, Value]]:
    """Return values for the query's parameters, at most SAMPLES_MOST sets; one empty set for a query without samples."""
    sets: list[dict[str, Value]] = [{}]
    for sample in query.samples:
        found = session.read(session.spelling.adapted(sample.query), row_limit=SAMPLES_MOST)
        drawn = [dict(zip(sample.names, row.values(), strict=True)) for row in found]
        if not drawn:
            return []
        count = max(len(sets), len(drawn))
        sets = [{**sets[n % len(sets)], **drawn[n % len(drawn)]} for n in range(count)]
    return sets[:SAMPLES_MOST]


def _plan(session: Reader, query: SqlFile, given: Mapping[str, Value], now: datetime) -> QueryPlan:
    values = query.values(given, now=now)
    return session.explain(query, [values[name] for name in query.parameter_names])


def _judge(query: SqlFile, times_ms: Sequence[float], plans: Sequence[QueryPlan]) -> tuple[ExaminedState, tuple[str, ...]]:
    if query.limit_ms is None and not query.indexes:
        return ExaminedState.NO_LIMIT, ()
    failed, unknown = [], []
    over, asked = _count_over(query, times_ms), len(times_ms)
    if over > P95_OVER_MOST:
        took = f"took up to {max(times_ms):.0f} ms, over its limit of {query.limit_ms} ms {over} of {asked} times"
        failed.append(f"{took}: its p95 allows {P95_OVER_MOST} of {P95_ASKED}")
    elif query.limit_ms is not None and asked < P95_ASKED:
        unknown.append(f"asked {asked} times in {P95_S_MOST:.0f} s: a p95 needs {P95_ASKED}")
    for name in query.indexes:
        without = [plan for plan in plans if name not in plan.indexes]
        if without and max(_scanned(without).values(), default=SMALL_ROWS) < SMALL_ROWS:
            unknown.append(f"index {name} is not used, but the table is too small to say (seed more, or --scale)")
        elif without:
            instead = "" if _scanned(without) else f": {without[0].shape}"
            failed.append(f"index {name} is not used by {len(without)} of {counted(len(plans), 'plan')}{instead}")
    for table, count in _scanned(plans).items():
        if count > SMALL_ROWS and query.limit_ms is not None:
            reading = [plan for plan in plans if table in plan.scanned]
            of_all = f"{len(reading)} of {counted(len(plans), 'plan')}"
            said = f"reads {table} ({counted(count, 'row')}) from end to end in {of_all}"
            if all(plan.is_bounded for plan in reading):
                unknown.append(f"{said}, unless its limit stops it before {SMALL_ROWS:,}: SQLite does not say")
            else:
                failed.append(f"{said}, over {SMALL_ROWS:,}")
    if failed:
        return ExaminedState.FAILED, tuple(failed)
    return (ExaminedState.UNKNOWN, tuple(unknown)) if unknown else (ExaminedState.PASSED, ())


def _scanned(plans: Sequence[QueryPlan]) -> dict[str, int]:
    """Return the tables that the plans read from end to end, with the most rows that one scan of them read."""
    tables = {table for plan in plans for table in plan.scanned}
    return {table: max(plan.scanned.get(table, 0) for plan in plans) for table in sorted(tables)}

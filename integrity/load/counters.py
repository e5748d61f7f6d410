"""Counters that a server tells, held against rows: what it counted is what the table holds, or one of the two is wrong.

Both are looked at before the first call and after the last, when nothing is under way: the counter, then the rows, then the
counter again. Where it moved meanwhile somebody else was calling, and nothing is known.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from integrity.engines.snapshot import QueryFailed
from integrity.engines.spelling import NotPortable
from integrity.engines.target import Target
from integrity.errors import SqlFileError
from integrity.load.judging import ThresholdJudgement
from integrity.load.thresholds import Grade, Threshold
from integrity.monitor.scraping import CALLS, MetricsSource, Unscraped, series
from integrity.numbers import counted as counted_of
from integrity.project import Project
from integrity.queries.load import find_query, load_queries
from integrity.queries.run import run_query
from integrity.sql.file import SqlFile

HELD = "held_count"
"""The column of the one row that a query tells, or none of whose rows are needed but their number."""

TIMEOUT_S = 60
ROWS_MOST = 1_000_000
LOOKS = 5
PAUSE_S = 0.2
"""Between looks, as long as the counter moves: a server counts a moment after it has answered."""


@dataclass(frozen=True, slots=True)
class Look:
    """What was there at one moment.

    Args:
        counted, held: None: not known, for this reason.
        unknown: calls so far of which the server itself does not know whether they had an effect.
    """

    counted: float | None
    held: int | None
    reason: str = ""
    unknown: float = 0.0


@dataclass(frozen=True, slots=True)
class Counted:
    """A counter.

    Args:
        query: of the rows that it counts.
        operation: whose calls it counts, where that is known.
        is_asked_for: somebody named it: what is not known of it is not measured then, and else only told.
    """

    query: str
    operation: str = ""
    is_asked_for: bool = True


class CountedRows:
    """Counters of a run's server, each with the query of the rows that it counts.

    Raises:
        UsageError: there is no such query.
        SqlFileError: it cannot be used.
    """

    def __init__(
        self, project: Project, target: Target, source: MetricsSource | None, counters: Mapping[str, Counted]
    ) -> None:
        queries = load_queries(project) if counters and source is not None else {}
        self._queries = {name: find_query(queries, each.query) for name, each in counters.items()} if queries else {}
        self._counters = counters
        self.judged: Sequence[ThresholdJudgement] = ()
        self.notes: Sequence[str] = ()
        for file in self._queries.values():
            if file.fault:
                raise SqlFileError(file.fault)
        self._target = target
        self._source = source
        self._before: Mapping[str, Look] = {}

    def begin(self) -> None:
        """Look before the first call."""
        self._before = {name: self._look(name, file) for name, file in self._queries.items()}

    def end(self) -> None:
        """Look after the last, and judge how far apart each counter's rise and its rows' are."""
        judged = [self._judge(name, self._before[name], self._look(name, file)) for name, file in self._queries.items()]
        idle = [
            each
            for each in judged
            if each.state is Grade.NOT_MEASURED and not self._counters[each.threshold.operation or ""].is_asked_for
        ]
        self.judged = [each for each in judged if each not in idle]
        self.notes = [f"{each.threshold.operation} is not held against rows: {each.reason}" for each in idle]

    def _look(self, name: str, file: SqlFile) -> Look:
        for _ in range(LOOKS):
            try:
                first, unknown = self._count(name)
                held = self._held(file)
                if self._count(name) == (first, unknown):
                    return Look(first, held, unknown=unknown)
            except Unscraped as error:
                return Look(None, None, str(error))
            except (QueryFailed, NotPortable) as error:
                return Look(None, None, f"the query was not answered: {error}")
            time.sleep(PAUSE_S)
        return Look(None, None, "the counter did not stand still: somebody else calls the server, too")

    def _count(self, name: str) -> tuple[float, float]:
        """Return what is counted, and how many calls it is not known of."""
        assert self._source is not None
        told = self._source.scrape()
        if name not in told:
            raise Unscraped(f"{self._source} tells no {name}")
        return told[name], told.get(series(CALLS, operation=self._counters[name].operation, outcome="unknown"), 0.0)

    def _held(self, file: SqlFile) -> int:
        with self._target.open_snapshot(connections=1, timeout_s=TIMEOUT_S) as snapshot:
            rows = run_query(snapshot.sessions[0], file, {}, now=snapshot.taken_at, row_limit=ROWS_MOST)
        return int(rows[0][HELD]) if len(rows) == 1 and HELD in rows[0] else len(rows)

    def _judge(self, name: str, before: Look, after: Look) -> ThresholdJudgement:
        file = self._queries[name]
        threshold = Threshold(statistic="counter_off", operation=name, most=0, source=f"what {file.name} holds")
        reason = before.reason or after.reason
        if before.counted is None or after.counted is None or before.held is None or after.held is None:
            return ThresholdJudgement(threshold, Grade.NOT_MEASURED, None, 0, reason)
        counted, held = after.counted - before.counted, after.held - before.held
        if counted < 0:
            return ThresholdJudgement(threshold, Grade.NOT_MEASURED, None, 0, "the server was started anew meanwhile")
        off, unknown = abs(counted - held), after.unknown - before.unknown
        said = f"it rose by {counted:,.0f}, and the rows by {held:,}"
        if 0 < off <= unknown:
            why = f"{said}; of {counted_of(unknown, 'call')} the server itself does not know"
            return ThresholdJudgement(threshold, Grade.NOT_MEASURED, None, 0, why)
        return ThresholdJudgement(threshold, threshold.grade(off), off, int(counted), said)

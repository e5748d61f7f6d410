"""End states: what thresholds of rows ask of the database, when a run's history is loaded.

How calls were answered is one thing, what became of what they began another: a tap that was taken may never be accepted. A
query of `queries/` finds what the run began, a row each, with `began_at` and `reached_at`; null is what never came.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from integrity.engines.snapshot import QueryFailed
from integrity.engines.spelling import NotPortable
from integrity.engines.target import Target
from integrity.errors import SqlFileError
from integrity.load.judging import RowTimes
from integrity.load.thresholds import Threshold
from integrity.project import Project
from integrity.queries.load import find_query, load_queries
from integrity.queries.run import run_query
from integrity.runs.result import LeftOut
from integrity.sql.file import SqlFile

RUN_ID = "run_id"
BEGAN_AT, REACHED_AT = "began_at", "reached_at"
Span = tuple[int, int]
"""From and to, in microseconds since the epoch."""
TIMEOUT_S = 60
ROWS_MOST = 1_000_000
"""Of a query: they are read whole."""


def find_end_states(project: Project, thresholds: Sequence[Threshold]) -> dict[str, SqlFile]:
    """Return the queries whose rows thresholds are of, by the names that these have for them.

    Raises:
        UsageError: there is no such query.
        SqlFileError: it cannot be used, or is not asked of one run.
    """
    wanted = dict.fromkeys(each.rows for each in thresholds if each.rows is not None)
    if not wanted:
        return {}
    queries = load_queries(project)
    found = {name: find_query(queries, name) for name in wanted}
    for file in found.values():
        check_of_run(file)
    return found


def check_of_run(file: SqlFile) -> None:
    """Check that a query can be asked of one run.

    Raises:
        SqlFileError: it cannot be used, or has no parameter for it.
    """
    if file.fault:
        raise SqlFileError(file.fault)
    if RUN_ID not in file.parameter_names:
        raise SqlFileError(
            f"{file.path}: a run is judged by its rows, and it has no parameter {RUN_ID}",
            hint=f"Add the line: -- parameter: {RUN_ID} text, and ask for that run's calls only.",
        )


def ask_end_states(
    target: Target,
    queries: Mapping[str, SqlFile],
    run_id: str,
    *,
    left_out: Sequence[LeftOut] = (),
    spans: Sequence[Span] = (),
) -> dict[str, RowTimes]:
    """Return what each query finds of the run; where it could not be asked, why.

    Args:
        left_out: what began then, or shortly before, is not judged.
        spans: of what began in each of them it is said by itself, too.

    Raises:
        Unreachable: no connection.
        DatabaseError: the database refused.
    """
    if not queries:
        return {}
    found = {}
    with target.open_snapshot(connections=1, timeout_s=TIMEOUT_S) as snapshot:
        for name, file in queries.items():
            try:
                rows = run_query(
                    snapshot.sessions[0], file, {RUN_ID: run_id}, now=snapshot.taken_at, row_limit=ROWS_MOST + 1
                )
            except QueryFailed as failed:
                found[name] = RowTimes(reason=f"the query was not answered: {failed.reason}")
            except NotPortable as error:
                found[name] = RowTimes(reason=f"the query uses {error}, which cannot be said in this database")
            else:
                found[name] = times_of(rows, left_out, spans) if len(rows) <= ROWS_MOST else RowTimes(reason=_TOO_MANY)
    return found


_TOO_MANY = f"the query found more than {ROWS_MOST:,} rows"
LEAD_US = 5_000_000
"""What began so long before something was broken may have been under way when it was."""


def times_of(rows: Sequence[Mapping[str, Any]], left_out: Sequence[LeftOut] = (), spans: Sequence[Span] = ()) -> RowTimes:
    """Return how long each row took from its `began_at` to its `reached_at`, in all and of each span."""
    found = RowTimes(pieces=[RowTimes() for _ in spans])
    for row in rows:
        if BEGAN_AT not in row or REACHED_AT not in row or row[BEGAN_AT] is None:
            return RowTimes(reason=f"the query has a row without {BEGAN_AT} and {REACHED_AT}")
        began_us = _moment(row[BEGAN_AT]).timestamp() * 1_000_000
        if any(each.from_us - LEAD_US <= began_us <= each.to_us for each in left_out):
            continue
        took_ms = None
        if row[REACHED_AT] is not None:
            took_ms = max(0.0, (_moment(row[REACHED_AT]) - _moment(row[BEGAN_AT])).total_seconds() * 1000)
        found.add(took_ms)
        for (from_us, to_us), piece in zip(spans, found.pieces, strict=True):
            if from_us <= began_us < to_us:
                piece.add(took_ms)
    return found


def _moment(at: datetime | str) -> datetime:
    """Return a moment as every engine spells it: SQLite has it as text, and in UTC."""
    moment = datetime.fromisoformat(at) if isinstance(at, str) else at
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)

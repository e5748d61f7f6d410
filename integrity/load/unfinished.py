"""Unfinished: what a run was told is under way and is not done when it has ended, counted from rows.

How calls were answered does not say it, and what nobody takes up is not all of it (sweeping.py): a system's own query
`queries/<system>/unfinished.sql` counts it, a row for each kind, with `what` it is and its `open_count`. It is asked with
the run's id, when the history is loaded.
"""

from integrity.engines.snapshot import QueryFailed
from integrity.engines.spelling import NotPortable
from integrity.engines.target import Target
from integrity.load.end_states import RUN_ID, TIMEOUT_S, check_of_run
from integrity.project import Project
from integrity.queries.load import load_queries
from integrity.queries.run import run_query
from integrity.runs.result import Unfinished
from integrity.sql.file import SqlFile

NAME = "unfinished"
WHAT, OPEN_COUNT = "what", "open_count"


def find_unfinished(project: Project, system_name: str) -> SqlFile | None:
    """Return the system's query; None: it has none.

    Raises:
        SqlFileError: it cannot be used, or is not asked of one run.
    """
    file = load_queries(project).get(f"{system_name}/{NAME}")
    if file is not None:
        check_of_run(file)
    return file


def count_unfinished(target: Target, file: SqlFile | None, run_id: str) -> Unfinished | None:
    """Return what the query counts, or why it could not; None: there is none.

    Raises:
        Unreachable: no connection.
        DatabaseError: the database refused.
    """
    if file is None:
        return None
    with target.open_snapshot(connections=1, timeout_s=TIMEOUT_S) as snapshot:
        try:
            rows = run_query(snapshot.sessions[0], file, {RUN_ID: run_id}, now=snapshot.taken_at)
        except QueryFailed as failed:
            return Unfinished(reason=failed.reason)
        except NotPortable as error:
            return Unfinished(reason=f"the query uses {error}, which cannot be said in this database")
    if any(WHAT not in row or OPEN_COUNT not in row for row in rows):
        return Unfinished(reason=f"the query has a row without {WHAT} and {OPEN_COUNT}")
    return Unfinished(counts={str(row[WHAT]): int(row[OPEN_COUNT]) for row in rows})

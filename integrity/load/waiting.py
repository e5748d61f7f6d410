"""Waiting: a run begins when its limits can be judged.

One that must lie in an hour of the clock begins when there is room for it; one with limits on how much is refused, when
limiters have forgotten what calls before it did, or it would be charged with what another run left there.
"""

import time
from collections.abc import Mapping, Sequence

from integrity.engines.snapshot import QueryFailed
from integrity.engines.spelling import NotPortable
from integrity.engines.target import Target
from integrity.engines.transaction import refusal
from integrity.errors import SqlFileError, UsageError
from integrity.events import Job, Noted
from integrity.load.profile import OpenProfile, Profile
from integrity.load.thresholds import Threshold
from integrity.numbers import counted, show_duration
from integrity.project import Project
from integrity.queries.load import find_query, load_queries
from integrity.queries.run import run_query
from integrity.sql.file import SqlFile

HOUR_S = 3600.0
MARGIN_S = 15.0
"""Around a run: it is prepared, and the last calls come late."""

LOOK_S = 0.25
TIMEOUT_S = 60
LEFT_MOST_S = HOUR_S + MARGIN_S
"""Longer than any limiter that a run is waited with for."""


def wait_for_hour(profile: Profile) -> Job[None]:
    """Return when the whole run fits into the hour, where its profile asks for that. Yields Noted, with how long."""
    if not isinstance(profile, OpenProfile) or not profile.fits_hour:
        return
    wait_s = seconds_to_wait(time.time(), profile.duration_s)
    if wait_s:
        told = show_duration(round(wait_s))
        yield Noted(f"waiting for {told}, until the hour is over: the run has to lie in one, and takes longer than that")
        time.sleep(wait_s)


def seconds_to_wait(now_s: float, duration_s: float) -> float:
    """Return how long until a run of that length fits into one hour; 0: it does now, or never will.

    Args:
        now_s: since the epoch, whose hours are the clock's.
    """
    left_s = HOUR_S - now_s % HOUR_S
    needed_s = duration_s + MARGIN_S
    return 0.0 if needed_s <= left_s or needed_s > HOUR_S else left_s


def find_left(project: Project, thresholds: Sequence[Threshold]) -> dict[str, SqlFile]:
    """Return the queries of what limits count that calls before the run did, by the names that thresholds have for them.

    Raises:
        UsageError: there is no such query.
        SqlFileError: it cannot be used.
    """
    wanted = dict.fromkeys(each.waits_for for each in thresholds if each.waits_for is not None)
    if not wanted:
        return {}
    queries = load_queries(project)
    found = {name: find_query(queries, name) for name in wanted}
    for file in found.values():
        if file.fault:
            raise SqlFileError(file.fault)
    return found


def wait_for_left(target: Target, queries: Mapping[str, SqlFile]) -> Job[None]:
    """Return when nothing is left of what each query finds now. Yields Noted, with how much that is.

    What comes meanwhile is not waited for: somebody else may be at work here for as long as he likes.

    Raises:
        DatabaseError: the database refuses a query.
        UsageError: it cannot be asked there, or finds the same for longer than any limiter remembers.
    """
    for name, file in queries.items():
        left = _look(target, name, file)
        if not left:
            continue
        yield Noted(
            f"waiting until what calls before this run left is over: {counted(len(left), 'row')} of {name}, which its "
            "limits would count"
        )
        until_s = time.monotonic() + LEFT_MOST_S
        while left := left & _look(target, name, file):
            if time.monotonic() >= until_s:
                raise UsageError(
                    f"query {name} has found {counted(len(left), 'row')} for {show_duration(round(LEFT_MOST_S))}, and the "
                    "run begins when they are gone",
                    hint="waits_for names a query of what goes by itself, as an open rate window does.",
                )
            time.sleep(LOOK_S)


def _look(target: Target, name: str, file: SqlFile) -> frozenset[tuple[object, ...]]:
    """Return what a query finds now."""
    with target.open_snapshot(connections=1, timeout_s=TIMEOUT_S) as snapshot:
        try:
            rows = run_query(snapshot.sessions[0], file, {}, now=snapshot.taken_at)
        except QueryFailed as failed:
            raise refusal(target, Exception(failed.reason), of=f"query {name}") from None
        except NotPortable as error:
            raise UsageError(
                f"{target}: query {name} uses {error}, which cannot be said in this database", hint="Write it without."
            ) from None
    return frozenset(tuple(row.values()) for row in rows)

"""Runs that a database notes as running: that they have begun, that they live, that they were killed, that they are lost.

A run is noted before its first call, and its history comes in one transaction with its end. So whoever reads the database
sees all of a run's calls or none, and can tell which. Of one that was killed, the history is loaded by whoever has its
folder; one whose folder is gone is given up by whoever says so, and by nobody else.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, LiteralString

import psycopg

from integrity.database.contents import inspect_database
from integrity.engines.postgresql.session_settings import OWN
from integrity.engines.target import Target
from integrity.engines.transaction import refusal
from integrity.errors import AuditError, UsageError
from integrity.project import Project
from integrity.runs.folder import RunFolder
from integrity.runs.heartbeat import ALIVE_S, alive_until_text, session_name
from integrity.runs.times import moment, time_text

if TYPE_CHECKING:
    from integrity.runs.loading import LoadedRun


@dataclass(frozen=True, slots=True)
class Unfinished:
    """The runs that were noted as running.

    Args:
        loaded: those that were killed and are in the database now.
        alive: those whose process was found to live, by the lock on their history.
        reasons: of others, run -> why its history cannot be loaded, where this project has it.
    """

    loaded: "Sequence[LoadedRun]" = ()
    alive: frozenset[str] = frozenset()
    reasons: Mapping[str, str] = field(default_factory=dict)


def note_running(target: Target, folder: RunFolder) -> None:
    """Note in the database that this run has begun.

    Raises:
        DatabaseError: it cannot be noted.
    """
    settings = folder.settings()
    row = (folder.run_id, settings.system, settings.profile, settings.bug, settings.seed)
    columns = "insert into integrity.runs (run_id, system, profile, bug, seed, started_at, alive_until, state)"
    started_at_us = settings.started_at_us
    if target.is_sqlite:
        times: tuple[Any, ...] = (time_text(started_at_us), alive_until_text())
        _write(target, f"{columns} values (?, ?, ?, ?, ?, ?, ?, 'running')", (*row, *times))
    else:
        times = (moment(started_at_us), timedelta(seconds=ALIVE_S))
        _write(target, f"{columns} values (%s, %s, %s, %s, %s, %s, clock_timestamp() + %s, 'running')", (*row, *times))


def unnote_running(target: Target, run_id: str) -> None:
    """Take back that a run has begun: it never made a call.

    Raises:
        DatabaseError: it cannot be taken back.
    """
    mark = "?" if target.is_sqlite else "%s"
    _write(target, f"delete from integrity.runs where run_id = {mark} and state = 'running'", (run_id,))


def load_unfinished(target: Target, project: Project, *, is_read_only: bool = False) -> Unfinished:
    """Load the runs of this project that were killed before their history was in the database; say what became of each.

    Only runs that this very database notes as running, and only where our notes say that it is ours: elsewhere, and on a
    standby, nothing is written. Runs whose process still lives are left alone.

    Args:
        is_read_only: load none.
    """
    loaded, alive, reasons = [], set(), {}
    noted = _without_history(target)
    # Asked after what is noted: one that has ended meanwhile is seen as ended by the audit's snapshot, which comes later.
    sessions = _sessions(target) if noted else None
    for run_id, state, is_broken_off in noted:
        folder = RunFolder(project.runs_folder / run_id)
        if not folder.history.exists():
            if state == "running" and sessions is not None and session_name(run_id) not in sessions:
                reasons[run_id] = f"it has no session any more, its history is not loaded, and {folder.path} does not exist"
            continue
        if is_broken_off and not folder.is_whole:
            continue
        if folder.is_alive():
            alive.add(run_id)
        elif is_read_only:
            reasons[run_id] = f"its history is in {folder.path}, and is not loaded, as nothing is to be written"
        elif not target.is_sqlite and sessions is None:
            reasons[run_id] = f"its history is in {folder.path}, and this is a standby: validate on the primary loads it"
        else:
            from integrity.runs.loading import load_history

            try:
                loaded.append(load_history(target, folder))
            except AuditError as error:
                reasons[run_id] = f"its history cannot be loaded: {error.message}"
    return Unfinished(tuple(loaded), frozenset(alive), reasons)


def forget_run(target: Target, project: Project, run_id: str) -> None:
    """Note that what a run did will never be known, or not all of it; rows of its time are not judged by what was asked.

    Raises:
        UsageError: there is no such run in the database, its history is there and whole, or it lives.
        DatabaseError: it cannot be noted.
    """
    noted = {row[0]: row[1:] for row in _ask(target, _NOTED)} if _has_runs(target) else {}
    if run_id not in noted:
        known = ", ".join(list(noted)[-3:])
        raise UsageError(
            f"{target}: no run {run_id!r} is noted there",
            hint=f"The last ones are: {known}." if known else "There is none.",
        )
    state, is_broken_off = noted[run_id]
    if state == "lost" or not (state == "running" or is_broken_off):
        said = "has been given up already" if state == "lost" else "is in the database, with all its calls"
        raise UsageError(f"{target}: the run {run_id} {said}", hint="Only a run without its history can be given up.")
    if state == "running" and (RunFolder(project.runs_folder / run_id).is_alive() or run_id in find_beating(target)):
        hint = f"Stop it first: integrity stop {run_id}. One that was killed is believed dead {ALIVE_S:.0f} s later."
        raise UsageError(f"{target}: the run {run_id} is running", hint=hint)
    mark = "?" if target.is_sqlite else "%s"
    _write(target, f"update integrity.runs set state = 'lost' where run_id = {mark}", (run_id,))


def find_beating(target: Target) -> set[str]:
    """Return the runs that are noted as running, have given a sign of life lately, and have a session where one is seen."""
    if target.is_sqlite:
        query: LiteralString = "select run_id from integrity.runs where state = 'running' and alive_until > datetime('now')"
    else:
        query = "select run_id from integrity.runs where state = 'running' and alive_until > clock_timestamp()"
    sessions = _sessions(target)
    return {run_id for (run_id,) in _ask(target, query) if sessions is None or session_name(run_id) in sessions}


def find_systems_that_ran(target: Target) -> set[str]:
    """Return the systems of which a run is recorded in the database.

    Raises:
        DatabaseError: the database refuses the question.
    """
    return {row[0] for row in _ask(target, "select distinct system from integrity.runs")} if _has_runs(target) else set()


def _has_runs(target: Target) -> bool:
    return "runs" in inspect_database(target).ours.get("integrity", ())


def _without_history(target: Target) -> list[tuple[str, str, bool]]:
    """Return the runs whose history is not there, or breaks off (True); one that was given up may be found after all."""
    noted = _ask(target, _NOTED) if _has_runs(target) else []
    return [
        (run_id, state, bool(is_broken_off))
        for run_id, state, is_broken_off in noted
        if state in ("running", "lost") or is_broken_off
    ]


_NOTED: LiteralString = """
    select run_id, state, coalesce(calls_until, requests_until, received_until) is not null
    from integrity.runs
    order by started_at, run_id
    """


def _sessions(target: Target) -> set[str] | None:
    """Return the names of the sessions in the database; None where there are none to be seen: SQLite, a standby."""
    if target.is_sqlite or _ask(target, "select pg_catalog.pg_is_in_recovery()") == [(True,)]:
        return None
    query: LiteralString = """
        select application_name from pg_catalog.pg_stat_activity where datname = pg_catalog.current_database()
    """
    return {row[0] for row in _ask(target, query)}


def _ask(target: Target, query: LiteralString) -> list[tuple[Any, ...]]:
    try:
        if target.is_sqlite:
            with closing(target.connect_sqlite(("integrity",), is_read_only=True)) as connection:
                return [tuple(row) for row in connection.execute(query)]
        with target.asking() as connection:
            return connection.execute(query).fetchall()
    except (psycopg.Error, sqlite3.Error) as error:
        raise refusal(target, error) from None


def _write(target: Target, statement: LiteralString, values: Sequence[Any]) -> None:
    try:
        if target.is_sqlite:
            with closing(target.connect_sqlite(("integrity",))) as connection:
                connection.execute(statement, values)
        else:
            with closing(target.connect(settings=OWN)) as connection:
                connection.execute(statement, values)
    except (psycopg.Error, sqlite3.Error) as error:
        raise refusal(target, error) from None

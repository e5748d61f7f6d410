"""Runs that a database notes as running: that they have begun, that they live, that they were killed, that they are lost.

A run is noted before its first call, and its history comes in one transaction with its end. So whoever reads the database
sees all of a run's calls or none, and can tell which. Of one that was killed, the history is loaded by whoever has its
folder; one whose folder is gone is given up by whoever says so, and by nobody else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, LiteralString

from integrity.database.contents import inspect_database
from integrity.engines.line import Row
from integrity.engines.target import Target
from integrity.errors import AuditError, UsageError
from integrity.project import Project
from integrity.runs.folder import RunFolder
from integrity.runs.heartbeat import ALIVE_S, session_name
from integrity.runs.times import moment
from integrity.typed import typed

if TYPE_CHECKING:
    from integrity.runs.loading import LoadedRun
    from integrity.runs.settings import RunSettings


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


def note_running(target: Target, run_id: str, settings: "RunSettings") -> None:
    """Note in the database that this run has begun.

    Raises:
        DatabaseError: it cannot be noted.
    """
    row = (run_id, settings.system, settings.profile, settings.bug, settings.seed)
    with target.open_line(("integrity",)) as line:
        expression, alive_until = line.after(timedelta(seconds=ALIVE_S))
        line.write(_NOTE.format(expression), (*row, moment(settings.started_at_us), alive_until))


_NOTE: LiteralString = """
    insert into integrity.runs (run_id, system, profile, bug, seed, started_at, alive_until, state)
    values (%s, %s, %s, %s, %s, %s, {}, 'running')
    """


def unnote_running(target: Target, run_id: str) -> None:
    """Take back that a run has begun: it never made a call.

    Raises:
        DatabaseError: it cannot be taken back.
    """
    with target.open_line(("integrity",)) as line:
        line.write("delete from integrity.runs where run_id = %s and state = 'running'", (run_id,))


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
    sessions = target.engine.find_session_names(target) if noted else None
    for run_id, state, is_broken_off in noted:
        folder = RunFolder(project.runs_folder / run_id)
        if not folder.history.exists():
            if state == "running" and sessions is not None and session_name(run_id) not in sessions:
                reasons[run_id] = f"it has no session any more, its history is not loaded, and {folder.path} does not exist"
            continue
        try:
            if is_broken_off and not folder.is_whole:
                continue
        except AuditError as error:
            reasons[run_id] = f"its history cannot be loaded: {error.message}"
            continue
        if folder.is_alive():
            alive.add(run_id)
        elif is_read_only:
            reasons[run_id] = f"its history is in {folder.path}, and is not loaded, as nothing is to be written"
        elif target.engine.has_server and sessions is None:
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
        hint = f"Stop it first: {typed(f'stop {run_id}')}. One that was killed is believed dead {ALIVE_S:.0f} s later."
        raise UsageError(f"{target}: the run {run_id} is running", hint=hint)
    with target.open_line(("integrity",)) as line:
        line.write("update integrity.runs set state = 'lost' where run_id = %s", (run_id,))


def find_beating(target: Target) -> set[str]:
    """Return the runs that are noted as running, have given a sign of life lately, and have a session where one is seen."""
    sessions = target.engine.find_session_names(target)
    with target.open_line(("integrity",), is_read_only=True) as line:
        beating = line.ask(_BEATING.format(line.now))
    return {run_id for (run_id,) in beating if sessions is None or session_name(run_id) in sessions}


_BEATING: LiteralString = "select run_id from integrity.runs where state = 'running' and alive_until > {}"


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


def _ask(target: Target, query: LiteralString) -> list[Row]:
    with target.open_line(("integrity",), is_read_only=True) as line:
        return line.ask(query)

"""Coverage: whether the histories that a database holds are all of what was done to it, and what that means for a verdict.

An invariant over calls can only hold as far as calls are known. Where a run's history is neither loaded nor on its way,
such an invariant of its system that finds nothing is unknown, not satisfied. Where a history breaks off, what it tells
stays a verdict; what rests on the absence of a call is unknown if it finds rows younger than the last whole line. Those
invariants say so themselves, by a parameter `in_gaps`: with it they are asked about these times, and only about them.

What was found violated stays so: it rests on calls that are known.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from integrity.engines.snapshot import QueryFailed, Reader
from integrity.engines.spelling import NotPortable
from integrity.errors import describe_unexpected
from integrity.invariants.syntax import tables_of
from integrity.numbers import counted
from integrity.queries.run import run_query
from integrity.sql.file import SqlFile
from integrity.typed import typed
from integrity.value import Value

OURS = "integrity"
IN_GAPS = "in_gaps"

_NOTED = """
    select run_id, system, state, case when alive_until > {now} then 1 else 0 end as is_beating
    from integrity.runs
    where
        state = 'running'
        or (state <> 'lost' and coalesce(calls_until, requests_until, received_until) is not null)
    order by started_at, run_id
"""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of runs beside what the database says.

    Args:
        alive: those whose process was found to live.
        reasons: run -> why its history is not loaded.
        folder: where their folders are looked for.
    """

    alive: frozenset[str] = frozenset()
    reasons: Mapping[str, str] = field(default_factory=dict)
    folder: str = ""


def find_doubts(
    session: Reader,
    files: Iterable[SqlFile],
    known: Known,
    given: Mapping[str, Value],
    *,
    now: datetime,
) -> dict[str, str]:
    """Return why invariants that find nothing cannot be said to hold, by name; most have no such reason.

    What cannot be found out is a reason, too.

    Raises:
        QueryFailed: the snapshot is lost.
    """
    over_calls = {file.name: (file, _systems_of(file)) for file in files}
    over_calls = {name: pair for name, pair in over_calls.items() if pair[1]}
    if not over_calls:
        return {}
    try:
        return _find_doubts(session, over_calls, known, given, now=now)
    except QueryFailed:
        raise
    except Exception as error:
        return dict.fromkeys(over_calls, _describe_unknown(error))


def _find_doubts(
    session: Reader,
    over_calls: Mapping[str, tuple[SqlFile, set[str]]],
    known: Known,
    given: Mapping[str, Value],
    *,
    now: datetime,
) -> dict[str, str]:
    try:
        noted = session.read(_NOTED.format(now=session.spelling.mark(1, "timestamptz")), [now], is_own=True)
    except QueryFailed as failed:
        if failed.is_snapshot_lost:
            raise
        if failed.is_missing:  # no books of ours: what asks for them will say so itself
            return {}
        return dict.fromkeys(over_calls, f"which runs are noted cannot be found out: {failed.reason}")
    missing = {
        row["system"]: _describe_missing(row, known)
        for row in reversed(noted)  # the first one of each system
        if row["state"] == "running"
        and (row["run_id"] in known.reasons or not (row["run_id"] in known.alive or int(row["is_beating"])))
    }
    broken_off = {row["system"] for row in noted if row["state"] != "running"}
    doubts = {}
    for name, (file, systems) in over_calls.items():
        of_missing = [reason for system, reason in missing.items() if system in systems or "" in systems]
        if of_missing:
            doubts[name] = of_missing[0]
        elif systems & broken_off and any(parameter.name == IN_GAPS for parameter in file.parameters):
            try:
                rows = _ask_in_gaps(session, file, given, now=now)
            except QueryFailed:
                raise
            except Exception as error:
                doubts[name] = _describe_unknown(error)
                continue
            if rows:
                doubts[name] = _describe_rows(rows, noted)
    return doubts


def _systems_of(file: SqlFile) -> set[str]:
    """Return the systems whose history the invariant reads; an empty name is all of them."""
    names = {table.name for table in tables_of(file.tree) if table.schema == OURS}
    return {name.rpartition("_")[0] for name in names}


def _ask_in_gaps(session: Reader, file: SqlFile, given: Mapping[str, Value], *, now: datetime) -> list[Any]:
    own = {parameter.name for parameter in file.parameters}
    values = {name: value for name, value in given.items() if name in own}
    try:
        return list(run_query(session, file, {**values, IN_GAPS: True}, now=now))
    except QueryFailed as failed:
        if failed.is_snapshot_lost:
            raise
        return []  # the question itself fails, too, and says why
    except NotPortable:
        return []


def _describe_unknown(error: Exception) -> str:
    return f"whether all calls are known that it rests on cannot be found out: {describe_unexpected(error)}"


def _describe_missing(row: Mapping[str, Any], known: Known) -> str:
    run_id = row["run_id"]
    reason = known.reasons.get(run_id)
    if reason is None:
        where = f" in {known.folder}" if known.folder else ""
        reason = f"it gives no sign of life, its history is not loaded, and there is no folder of it{where}"
    return (
        f"run {run_id} is noted as running, and is not: {reason}. What its clients asked for is not known. "
        f"A validate that may write loads its calls where its folder is; or give the run up: {typed(f'forget {run_id}')}"
    )


def _describe_rows(rows: list[Any], noted: list[Any]) -> str:
    runs = sorted({str(row["run_id"]) for row in rows if row.get("run_id")})
    named = runs or [row["run_id"] for row in noted if row["state"] != "running"]
    names = ", ".join(named)
    subject = "it" if len(named) == 1 else "one"
    whose = f"history of run {names} does" if len(named) == 1 else f"histories of runs {names} do"
    give_up = typed(f"forget {names.partition(', ')[0]}")
    count = counted(len(rows), "row is", "rows are")
    return (
        f"{count} of a time that the {whose} not cover: {subject} breaks off, or a server did not tell "
        "what it did by itself, and what it lacks says nothing. Where its folder was cut, bring the whole of it back and "
        f"validate again; what a server did not tell nobody can bring. Or give that time up: {give_up}"
    )

"""Loading: a run's history into the tables of the schema `integrity` of the database that it ran on.

A run is noted there as running before its first call, and its calls come in one transaction with its end. So whoever reads
the database sees all of a run's calls or none, and can tell which; and a run that was killed is known to be missing.
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString

import orjson
import psycopg
from psycopg.types.json import Jsonb, set_json_dumps
from sqlalchemy import Table

from integrity.database.bookkeeping import calls, received, requests
from integrity.database.namespace import inspect_database
from integrity.database.session_settings import OWN
from integrity.database.target import Target
from integrity.database.transaction import refusal
from integrity.errors import HistoryError
from integrity.history import Outcome, decode, decode_received, decode_requested
from integrity.project import Project
from integrity.workload.run_folder import RunFolder

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_Row = tuple[Any, ...]


@dataclass(slots=True)
class _Last:
    """When something was last heard of a run."""

    at_us: int = 0


@dataclass(frozen=True, slots=True)
class LoadedRun:
    """A run whose history is in the database.

    Args:
        state: "finished" or "interrupted".
        call_count: its calls; of these unknown_count are unknown.
    """

    run_id: str
    state: str
    call_count: int
    unknown_count: int


def note_running(target: Target, folder: RunFolder) -> None:
    """Note in the database that this run has begun.

    Raises:
        DatabaseError: it cannot be noted.
    """
    settings = folder.settings()
    row = (
        folder.run_id,
        settings["system"],
        settings["profile"],
        settings["bug"],
        settings["seed"],
        _time(target, settings["started_at_us"]),
    )
    columns = "insert into integrity.runs (run_id, system, profile, bug, seed, started_at, state)"
    try:
        if target.is_sqlite:
            with closing(target.connect_sqlite(("integrity",))) as connection:
                connection.execute(f"{columns} values (?, ?, ?, ?, ?, ?, 'running')", row)
        else:
            with closing(target.connect(settings=OWN)) as connection:
                connection.execute(f"{columns} values (%s, %s, %s, %s, %s, %s, 'running')", row)
    except (psycopg.Error, sqlite3.Error) as error:
        raise refusal(target, error) from None


def load_history(target: Target, folder: RunFolder) -> LoadedRun:
    """Load a run's calls, and its end; a run that is loaded already stays as it is.

    A run without a result was interrupted. Its run must have been noted as running in this database.

    Raises:
        HistoryError: the folder or its history cannot be read.
        DatabaseError: the database refused; nothing of the run was loaded then.
    """
    result = folder.result()
    state = result["state"] if result else "interrupted"
    try:
        if target.is_sqlite:
            return _load_sqlite(target, folder, state)
        return _load_postgresql(target, folder, state)
    except (psycopg.Error, sqlite3.Error) as error:
        raise refusal(target, error) from None


def load_unfinished(target: Target, project: Project) -> list[LoadedRun]:
    """Load the runs of this project that were killed before their history was in the database; return them.

    Only runs that this very database notes as running, and only on a database of ours: elsewhere nothing is written. Runs
    whose process still lives are left alone.
    """
    if "runs" not in inspect_database(target).ours.get("integrity", ()):
        return []
    folders = [RunFolder(project.runs_folder / run_id) for run_id in _running(target)]
    return [load_history(target, folder) for folder in folders if folder.history.exists() and not folder.is_alive()]


def find_systems_that_ran(target: Target) -> set[str]:
    """Return the systems of which a run is recorded in the database.

    Raises:
        DatabaseError: the database refuses the question.
    """
    if "runs" not in inspect_database(target).ours.get("integrity", ()):
        return set()
    return set(_ask(target, "select distinct system from integrity.runs"))


def _running(target: Target) -> list[str]:
    return _ask(target, "select run_id from integrity.runs where state = 'running' order by started_at, run_id")


def _ask(target: Target, query: LiteralString) -> list[str]:
    """Return the first column of the answer."""
    try:
        if target.is_sqlite:
            with closing(target.connect_sqlite(("integrity",), is_read_only=True)) as connection:
                return [row[0] for row in connection.execute(query)]
        with target.asking() as connection:
            return [row[0] for row in connection.execute(query).fetchall()]
    except (psycopg.Error, sqlite3.Error) as error:
        raise refusal(target, error) from None


def _load_postgresql(target: Target, folder: RunFolder, state: str) -> LoadedRun:
    with closing(target.connect(settings=OWN)) as connection, connection.transaction():
        set_json_dumps(orjson.dumps, connection)
        noted = connection.execute(
            "select state from integrity.runs where run_id = %s for update", (folder.run_id,)
        ).fetchone()
        if _is_missing(noted, target, folder):
            last = _Last()
            for relation in _RELATIONS:
                columns = ", ".join(column.name for column in relation.table.columns)
                command = f"copy integrity.{relation.table.name} ({columns}) from stdin (format binary)"
                adapters = [_TO_POSTGRESQL.get(kind, _printable if kind == "text" else None) for kind in relation.types]
                with connection.cursor().copy(command) as copy:
                    copy.set_types(relation.types)
                    for row in relation.rows(folder, last):
                        copy.write_row(_adapted(row, adapters))
            connection.execute(
                "update integrity.runs set state = %s, ended_at = %s where run_id = %s",
                (state, _moment(_ended_at_us(folder, last.at_us)), folder.run_id),
            )
            # Without statistics the audit that follows joins the new calls row by row: 16 s were seen where 0.02 s are due.
            connection.execute("analyze integrity.runs, integrity.calls, integrity.requests, integrity.received")
        return _loaded(connection.execute(_LOADED.format("%s"), (folder.run_id,)).fetchone())


def _load_sqlite(target: Target, folder: RunFolder, state: str) -> LoadedRun:
    with closing(target.connect_sqlite(("integrity",))) as connection:
        connection.execute("begin immediate")
        noted = connection.execute("select state from integrity.runs where run_id = ?", (folder.run_id,)).fetchone()
        if _is_missing(noted, target, folder):
            last = _Last()
            for relation in _RELATIONS:
                columns = ", ".join(column.name for column in relation.table.columns)
                marks = ", ".join("?" * len(relation.types))
                adapters = [_TO_SQLITE.get(kind) for kind in relation.types]
                connection.executemany(
                    f"insert into integrity.{relation.table.name} ({columns}) values ({marks})",
                    (_adapted(row, adapters) for row in relation.rows(folder, last)),
                )
            connection.execute(
                "update integrity.runs set state = ?, ended_at = ? where run_id = ?",
                (state, _text(_ended_at_us(folder, last.at_us)), folder.run_id),
            )
        loaded = _loaded(connection.execute(_LOADED.format("?"), (folder.run_id,)).fetchone())
        connection.execute("commit")
        return loaded


_LOADED = f"""
    select runs.run_id, runs.state, count(calls.run_id),
        coalesce(sum(case when calls.outcome = '{Outcome.UNKNOWN.value}' then 1 else 0 end), 0)
    from integrity.runs as runs
    left join integrity.calls as calls on calls.run_id = runs.run_id
    where runs.run_id = {{}}
    group by runs.run_id, runs.state
    """


def _loaded(row: Any) -> LoadedRun:
    run_id, state, call_count, unknown_count = row
    return LoadedRun(run_id, state, call_count, int(unknown_count))


def _is_missing(noted: Any, target: Target, folder: RunFolder) -> bool:
    if noted is None:
        raise HistoryError(
            f"{folder.path}: this run did not run on {target} as it is now",
            hint="The database was seeded anew since; run the workload again.",
        )
    return bool(noted[0] == "running")


def _calls(folder: RunFolder, last: _Last) -> Iterator[_Row]:
    with folder.history.open("rb") as lines:
        for call in decode(lines, place=str(folder.history)):
            last.at_us = max(last.at_us, call.returned_at_us or call.invoked_at_us)
            yield (
                folder.run_id,
                call.operation_id,
                call.operation,
                call.arguments,
                call.client,
                call.intended_at_us,
                call.invoked_at_us,
                call.returned_at_us,
                call.outcome.value,
                call.reply,
                call.error,
                call.attempts,
            )


def _requests(folder: RunFolder, last: _Last) -> Iterator[_Row]:
    with folder.requests.open("rb") as lines:
        for number, request in enumerate(decode_requested(lines, place=str(folder.requests)), start=1):
            ids = (folder.run_id, number, request.operation_id)
            yield (*ids, request.service, request.payload, request.answer, request.at_us)


def _received(folder: RunFolder, last: _Last) -> Iterator[_Row]:
    with folder.received.open("rb") as lines:
        for number, event in enumerate(decode_received(lines, place=str(folder.received)), start=1):
            ids = (folder.run_id, number, event.operation_id, event.client)
            times = (event.sent_at_us, event.received_at_us)
            yield (*ids, event.stream, event.sequence, event.event_id, *times)


@dataclass(frozen=True, slots=True)
class _Relation:
    """One file of a run's folder and the table that it goes to.

    Args:
        types: of the table's columns, as PostgreSQL's binary COPY needs them.
        rows: its lines as rows; times in microseconds since the epoch, JSON as mappings.
    """

    table: Table
    types: Sequence[str]
    rows: Callable[[RunFolder, _Last], Iterator[_Row]]


_TIME = "timestamptz"
_RELATIONS = (
    _Relation(
        calls,
        ("text", "uuid", "text", "jsonb", "int4", _TIME, _TIME, _TIME, "text", "jsonb", "text", "int4"),
        _calls,
    ),
    _Relation(requests, ("text", "int8", "uuid", "text", "jsonb", "jsonb", _TIME), _requests),
    _Relation(received, ("text", "int8", "uuid", "int4", "int8", "int8", "int8", _TIME, _TIME), _received),
)


def _adapted(row: _Row, adapters: Sequence[Callable[[Any], Any] | None]) -> list[Any]:
    return [value if adapt is None or value is None else adapt(value) for value, adapt in zip(row, adapters, strict=True)]


def _ended_at_us(folder: RunFolder, last_us: int) -> int:
    """Return when the run ended; of a killed one, when it was last heard of."""
    result = folder.result()
    ended_at_us: int = result["ended_at_us"] if result else last_us or folder.settings()["started_at_us"]
    return ended_at_us


def _time(target: Target, at_us: int) -> datetime | str:
    return _text(at_us) if target.is_sqlite else _moment(at_us)


def _moment(at_us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=at_us)


def _text(at_us: int) -> str:
    return _moment(at_us).strftime("%Y-%m-%d %H:%M:%S.%f")


def _printable(text: str) -> str:
    return text.replace("\0", "")  # PostgreSQL stores no NUL


_TO_POSTGRESQL: Mapping[str, Callable[[Any], Any]] = {"jsonb": Jsonb, _TIME: _moment}
_TO_SQLITE: Mapping[str, Callable[[Any], Any]] = {
    "uuid": str,
    "jsonb": lambda value: orjson.dumps(value).decode(),
    _TIME: _text,
}

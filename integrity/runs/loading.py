"""Loading: a run's history into the tables of the schema `integrity` of the database that it ran on.

A run is noted there before its first call (see unfinished.py), and its history comes in one transaction with its end. Of a
file that was not ended in good order, it is noted up to when it tells: what it lacks after that says nothing.
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString

import orjson
import psycopg
from psycopg.types.json import Jsonb, set_json_dumps
from sqlalchemy import Table

from integrity.chain import Records
from integrity.database.bookkeeping import calls, received, requests
from integrity.engines.postgresql.session_settings import OWN
from integrity.engines.target import Target
from integrity.engines.transaction import refusal
from integrity.errors import HistoryError
from integrity.history import Outcome, decode_calls, decode_received, decode_requested
from integrity.runs.folder import RunFolder
from integrity.runs.times import moment, time_text

_Row = tuple[Any, ...]


@dataclass(slots=True)
class _Heard:
    """What a file said.

    Args:
        at_us: when something was last heard of the run.
        is_whole: it was ended in good order.
    """

    at_us: int = 0
    is_whole: bool = False


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


def load_history(target: Target, folder: RunFolder) -> LoadedRun:
    """Load a run's calls, and its end; a run that is loaded already, and whole, stays as it is.

    A run without a result was interrupted. Its run must have been noted as running in this database.

    Raises:
        HistoryError: the folder or its history cannot be read.
        DatabaseError: the database refused; nothing of the run was loaded then.
    """
    result = folder.result()
    state = result.state if result else "interrupted"
    try:
        if target.is_sqlite:
            return _load_sqlite(target, folder, state)
        return _load_postgresql(target, folder, state)
    except (psycopg.Error, sqlite3.Error) as error:
        raise refusal(target, error) from None


def _load_postgresql(target: Target, folder: RunFolder, state: str) -> LoadedRun:
    with closing(target.connect(settings=OWN)) as connection, connection.transaction():
        set_json_dumps(orjson.dumps, connection)
        noted = connection.execute(_STATE.format("%s for update"), (folder.run_id,)).fetchone()
        if _is_missing(noted, target, folder):
            heard = {relation.table.name: _Heard() for relation in _RELATIONS}
            for relation in _RELATIONS:
                connection.execute(_CLEAR[relation.table.name].format("%s"), (folder.run_id,))
                columns = ", ".join(column.name for column in relation.table.columns)
                command = f"copy integrity.{relation.table.name} ({columns}) from stdin (format binary)"
                adapters = [_TO_POSTGRESQL.get(kind, _printable if kind == "text" else None) for kind in relation.types]
                with connection.cursor().copy(command) as copy:
                    copy.set_types(relation.types)
                    for row in relation.rows(folder, heard[relation.table.name]):
                        copy.write_row(_adapted(row, adapters))
            times = [None if at_us is None else moment(at_us) for at_us in _times(folder, heard)]
            connection.execute(_END.format(*["%s"] * 7), (state, *times, folder.run_id))
            # Without statistics the audit that follows joins the new calls row by row: 16 s were seen where 0.02 s are due.
            connection.execute("analyze integrity.runs, integrity.calls, integrity.requests, integrity.received")
        return _loaded(connection.execute(_LOADED.format("%s"), (folder.run_id,)).fetchone())


def _load_sqlite(target: Target, folder: RunFolder, state: str) -> LoadedRun:
    with closing(target.connect_sqlite(("integrity",))) as connection:
        connection.execute("begin immediate")
        noted = connection.execute(_STATE.format("?"), (folder.run_id,)).fetchone()
        if _is_missing(noted, target, folder):
            heard = {relation.table.name: _Heard() for relation in _RELATIONS}
            for relation in _RELATIONS:
                connection.execute(_CLEAR[relation.table.name].format("?"), (folder.run_id,))
                columns = ", ".join(column.name for column in relation.table.columns)
                marks = ", ".join("?" * len(relation.types))
                adapters = [_TO_SQLITE.get(kind) for kind in relation.types]
                connection.executemany(
                    f"insert into integrity.{relation.table.name} ({columns}) values ({marks})",
                    (_adapted(row, adapters) for row in relation.rows(folder, heard[relation.table.name])),
                )
            times = [None if at_us is None else time_text(at_us) for at_us in _times(folder, heard)]
            connection.execute(_END.format(*"???????"), (state, *times, folder.run_id))
        loaded = _loaded(connection.execute(_LOADED.format("?"), (folder.run_id,)).fetchone())
        connection.execute("commit")
        return loaded


_STATE: LiteralString = """
    select state, coalesce(calls_until, requests_until, received_until) is not null as is_broken_off
    from integrity.runs
    where run_id = {}
    """

_CLEAR: Mapping[str, LiteralString] = {
    "calls": "delete from integrity.calls where run_id = {}",
    "requests": "delete from integrity.requests where run_id = {}",
    "received": "delete from integrity.received where run_id = {}",
}
"""What was loaded of a history that broke off."""

_END: LiteralString = """
    update integrity.runs
    set state = {}, ended_at = {}, settled_at = {}, calls_until = {}, requests_until = {}, received_until = {}
    where run_id = {}
    """

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
    return noted[0] in ("running", "lost") or bool(noted[1])  # what was given up, or was cut short, may be found after all


def _calls(folder: RunFolder, heard: _Heard) -> Iterator[_Row]:
    with _records(folder.history, heard) as records:
        for call in decode_calls(records):
            heard.at_us = max(heard.at_us, call.returned_at_us or call.invoked_at_us)
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


def _requests(folder: RunFolder, heard: _Heard) -> Iterator[_Row]:
    with _records(folder.requests, heard) as records:
        for number, request in enumerate(decode_requested(records), start=1):
            heard.at_us = max(heard.at_us, request.at_us)
            ids = (folder.run_id, number, request.operation_id)
            yield (*ids, request.service, request.payload, request.answer, request.at_us)


def _received(folder: RunFolder, heard: _Heard) -> Iterator[_Row]:
    with _records(folder.received, heard) as records:
        for number, event in enumerate(decode_received(records), start=1):
            heard.at_us = max(heard.at_us, event.received_at_us)
            ids = (folder.run_id, number, event.operation_id, event.client)
            times = (event.sent_at_us, event.received_at_us)
            yield (*ids, event.stream, event.sequence, event.event_id, *times)


@contextmanager
def _records(file: Path, heard: _Heard) -> Iterator[Records]:
    """Give the records of a file; one that is not there holds none, and is not whole."""
    if not file.exists():
        yield Records((), place=str(file))
        return
    with file.open("rb") as lines:
        records = Records(lines, place=str(file))
        yield records
        heard.is_whole = records.is_whole


@dataclass(frozen=True, slots=True)
class _Relation:
    """One file of a run's folder and the table that it goes to.

    Args:
        types: of the table's columns, as PostgreSQL's binary COPY needs them.
        rows: its lines as rows; times in microseconds since the epoch, JSON as mappings.
    """

    table: Table
    types: Sequence[str]
    rows: Callable[[RunFolder, _Heard], Iterator[_Row]]


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


def _times(folder: RunFolder, heard: Mapping[str, _Heard]) -> list[int | None]:
    """Return when the run ended and when it had settled what it owed, and up to when each file tells that is not whole.

    A killed run ended when it was last heard of.
    """
    result = folder.result()
    began_us = folder.settings().started_at_us
    ended_us = result.ended_at_us if result else heard["calls"].at_us or began_us
    settled_us = result.settled_at_us if result else None
    until = [None if each.is_whole else each.at_us or began_us for each in (heard[name] for name in _FILES)]
    return [ended_us, settled_us, *until]


_FILES = ("calls", "requests", "received")


def _printable(text: str) -> str:
    return text.replace("\0", "")  # PostgreSQL stores no NUL


_TO_POSTGRESQL: Mapping[str, Callable[[Any], Any]] = {"jsonb": Jsonb, _TIME: moment}
_TO_SQLITE: Mapping[str, Callable[[Any], Any]] = {
    "uuid": str,
    "jsonb": lambda value: orjson.dumps(value).decode(),
    _TIME: time_text,
}

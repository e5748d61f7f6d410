"""Loading: a run's history into the tables of the schema `integrity` of the database that it ran on.

A run is noted there before its first call (see unfinished.py), and its history comes in one transaction with its end. Of a
file that was not ended in good order, it is noted up to when it tells: what it lacks after that says nothing.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, LiteralString, TypeVar

from sqlalchemy import Table

from integrity.database.bookkeeping import calls, received, requests, type_of
from integrity.engines.line import Row
from integrity.engines.target import Target
from integrity.errors import HistoryError
from integrity.history import Outcome
from integrity.runs.folder import RunFolder
from integrity.runs.histories import History, open_calls, open_received, open_requests
from integrity.runs.times import moment

if TYPE_CHECKING:
    from integrity.runs.result import RunResult


Told = TypeVar("Told")


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
    with target.open_line(("integrity",)) as line, line.transaction():
        noted = line.ask(_STATE + line.lock, (folder.run_id,))
        if _is_missing(noted, target, folder):
            heard = {relation.name: _Heard() for relation in _RELATIONS}
            for relation in _RELATIONS:
                line.write(relation.clear, (folder.run_id,))
                columns = [column.name for column in relation.table.columns]
                rows = relation.rows(folder, heard[relation.name])
                line.copy(relation.name, columns, [type_of(column) for column in relation.table.columns], rows)
            times = [None if at_us is None else moment(at_us) for at_us in _times(folder, result, heard)]
            line.write(_END, (state, *times, folder.run_id))
            # Without statistics the audit that follows joins the new calls row by row: 16 s were seen where 0.02 s are due.
            line.analyze(("integrity.runs", *(relation.name for relation in _RELATIONS)))
        return _loaded(line.ask(_LOADED, (folder.run_id,))[0])


_STATE: LiteralString = """
    select state, coalesce(calls_until, requests_until, received_until) is not null as is_broken_off
    from integrity.runs
    where run_id = %s
    """

_END: LiteralString = """
    update integrity.runs
    set state = %s, ended_at = %s, settled_at = %s, calls_until = %s, requests_until = %s, received_until = %s
    where run_id = %s
    """

_LOADED = f"""
    select runs.run_id, runs.state, count(calls.run_id),
        coalesce(sum(case when calls.outcome = '{Outcome.UNKNOWN.value}' then 1 else 0 end), 0)
    from integrity.runs as runs
    left join integrity.calls as calls on calls.run_id = runs.run_id
    where runs.run_id = %s
    group by runs.run_id, runs.state
    """


def _loaded(row: Any) -> LoadedRun:
    run_id, state, call_count, unknown_count = row
    return LoadedRun(run_id, state, call_count, int(unknown_count))


def _is_missing(noted: Sequence[Row], target: Target, folder: RunFolder) -> bool:
    if not noted:
        raise HistoryError(
            f"{folder.path}: this run did not run on {target} as it is now",
            hint="The database was seeded anew since; run the workload again.",
        )
    state, is_broken_off = noted[0]
    return state in ("running", "lost") or bool(
        is_broken_off
    )  # what was given up, or was cut short, may be found after all


def _calls(folder: RunFolder, heard: _Heard) -> Iterator[Row]:
    with _heard(open_calls(folder), heard) as history:
        for call in history:
            heard.at_us = max(heard.at_us, call.returned_at_us or call.invoked_at_us)
            yield (
                folder.run_id,
                call.operation_id,
                call.operation,
                call.arguments,
                call.client,
                moment(call.intended_at_us),
                moment(call.invoked_at_us),
                None if call.returned_at_us is None else moment(call.returned_at_us),
                call.outcome.value,
                call.reply,
                call.error,
                call.attempts,
            )


def _requests(folder: RunFolder, heard: _Heard) -> Iterator[Row]:
    with _heard(open_requests(folder), heard) as history:
        for number, request in history:
            heard.at_us = max(heard.at_us, request.returned_at_us or request.at_us)
            ids = (folder.run_id, number, request.operation_id)
            returned_at = None if request.returned_at_us is None else moment(request.returned_at_us)
            yield (*ids, request.service, request.payload, request.answer, moment(request.at_us), returned_at)


def _received(folder: RunFolder, heard: _Heard) -> Iterator[Row]:
    with _heard(open_received(folder), heard) as history:
        for number, event in enumerate(history, start=1):
            heard.at_us = max(heard.at_us, event.received_at_us)
            ids = (folder.run_id, number, event.operation_id, event.client)
            times = (moment(event.sent_at_us), moment(event.received_at_us))
            yield (*ids, event.stream, event.sequence, event.event_id, *times)


@contextmanager
def _heard(opened: AbstractContextManager[History[Told]], heard: _Heard) -> Iterator[History[Told]]:
    """Give what a run's logs of one kind say; one that is not there says nothing, and is not whole."""
    with opened as history:
        yield history
        heard.is_whole = history.is_whole


@dataclass(frozen=True, slots=True)
class _Relation:
    """One file of a run's folder and the table that it goes to.

    Args:
        name: the table's, with its schema.
        clear: takes out what was loaded of a history that broke off.
        rows: its lines as rows; JSON as mappings.
    """

    name: LiteralString
    clear: LiteralString
    table: Table
    rows: Callable[[RunFolder, _Heard], Iterator[Row]]


_RELATIONS = (
    _Relation(
        "integrity.calls",
        "delete from integrity.calls where run_id = %s",
        calls,
        _calls,
    ),
    _Relation(
        "integrity.requests",
        "delete from integrity.requests where run_id = %s",
        requests,
        _requests,
    ),
    _Relation(
        "integrity.received",
        "delete from integrity.received where run_id = %s",
        received,
        _received,
    ),
)


def _times(folder: RunFolder, result: "RunResult | None", heard: Mapping[str, _Heard]) -> list[int | None]:
    """Return when the run ended and when it had settled what it owed, and up to when each file tells that is not whole.

    A killed run ended when it was last heard of.
    """
    began_us = folder.settings().started_at_us
    ended_us = result.ended_at_us if result else heard["integrity.calls"].at_us or began_us
    settled_us = result.settled_at_us if result else None
    is_unheard = bool(result.unheard if result else folder.settings().over)
    until = [None if each.is_whole else each.at_us or began_us for each in heard.values()]
    if is_unheard:  # of a server's webhooks and jobs nobody can say from when on they are missing
        until[:2] = [began_us, began_us]
    return [ended_us, settled_us, *until]

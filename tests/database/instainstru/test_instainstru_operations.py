"""Each operation of instainstru, played alone: what it answers, what it pushes and exactly the rows that it makes.

And each planted bug, played by its own schedule or by a client that dies: exactly the invariants that it names are
violated, and none when the sound operations take the same turns.
"""

import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.rows import dict_row

from integrity.database.constraints import plant
from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.sqlite.dialect import adapt, to_sqlite
from integrity.engines.target import Target
from integrity.operation import Begin, Commit, Declined, Ok, Push, Reply, Rollback, Statement, Steps
from integrity.reference.instainstru import operations
from integrity.reference.instainstru.operations import SUBSCRIPTIONS
from integrity.reference.instainstru.schema import METADATA
from integrity.reference.instainstru.system import INSTAINSTRU
from integrity.sql.parameters import number_parameters
from integrity.systems.system import Bug
from tests.database.ghostpass.player import STEPS_MAX, call, operation_ids, play
from tests.database.instainstru.calls import PLAYED
from tests.database.instainstru.world import FILES, NOW, WORLD, listening, sending
from tests.database.worlds import PostgresEngine, SqliteEngine, lay_out, postgres_world

Contents = dict[str, dict[Any, dict[str, Any]]]
Seen = list[tuple[int, int, int]]


@pytest.fixture(scope="module")
def template(server: EmbeddedServer) -> Iterator[str]:
    """The name of a database with the world in it, that nobody is connected to."""
    with postgres_world(server, f"lessons_template_{os.getpid()}", METADATA, WORLD) as connection:
        name = connection.info.dbname
        connection.close()
        yield name


@pytest.fixture
def lessons(make_database: Any, template: str) -> Target:
    """A database of its own with the world in it."""
    target: Target = make_database(template)
    return target


@pytest.mark.parametrize("name", PLAYED)
def test_an_operation_alone_makes_exactly_its_rows_and_breaks_nothing(lessons: Target, name: str) -> None:
    played = PLAYED[name]
    operation_id = next(operation_ids())
    before = _read(lessons)
    steps = INSTAINSTRU.operations[played.operation].steps(operation_id=operation_id, **played.arguments)
    assert _drive(lessons, steps) == (played.reply, list(played.pushed))
    assert _changes(before, _read(lessons), operation_id) == played.changes
    assert _find_violated(lessons) == set()


@pytest.mark.parametrize("name", PLAYED)
def test_an_operation_makes_the_same_rows_on_sqlite(tmp_path: Path, name: str) -> None:
    played = PLAYED[name]
    target = Target.parse(f"sqlite:///{tmp_path / 'lessons.db'}")
    operation_id = next(operation_ids())
    steps = INSTAINSTRU.operations[played.operation].steps(operation_id=operation_id, **played.arguments)
    with closing(target.connect_sqlite(("instainstru", "integrity"))) as connection:
        connection.row_factory = lambda cursor, row: {
            column[0]: value for column, value in zip(cursor.description, row, strict=True)
        }
        lay_out(target, SqliteEngine(connection), METADATA, WORLD)
        before = _read_sqlite(connection)
        assert _carry_out(steps, partial(_execute_on_sqlite, connection)) == (played.reply, list(played.pushed))
        assert _changes(before, _read_sqlite(connection), str(operation_id)) == played.changes


def test_every_operation_is_played_with_both_answers() -> None:
    answers = {(played.operation, type(played.reply)) for played in PLAYED.values()}
    both = {(name, kind) for name in INSTAINSTRU.operations for kind in (Ok, Declined)}
    assert answers == both - {("list_conversations", Declined)}, "an inbox can always be looked at"


def test_the_times_of_messages_never_fall_behind_their_numbers(lessons: Target) -> None:
    """Two senders: the first to begin is the last to get the lock, and its transaction's time is the earlier one."""
    calls = [_sending(1, "c-2", 100), _sending(2, "c-2", 101)]
    replies, _ = play(lessons, calls, "A" + "B" * 8)
    assert [reply.value["sequence"] for reply in replies if isinstance(reply, Ok)] == [5, 4]
    with closing(lessons.connect()) as connection:
        times = connection.execute("select sent_at from instainstru.messages order by sequence").fetchall()
    assert times == sorted(times)
    assert _find_violated(lessons) == set()


# Streams.


@pytest.mark.parametrize("seed", range(5))
def test_a_listener_who_comes_and_goes_misses_and_repeats_nothing(lessons: Target, seed: int) -> None:
    random, ids = Random(seed), operation_ids()
    reply, seen = _drive(lessons, _stream(2, None))
    cursor = _cursor(reply)
    for number in range(40):
        match random.choice(("send", "send", "follow", "reopen")):
            case "send":
                _drive(lessons, _sending(random.randint(1, 3), f"c-{number + 2}", next(ids).int))
                continue
            case "follow":
                reply, pushed = _drive(lessons, _follow(2, cursor))
            case _:
                # Cut off: what it knows is what it has seen, not what the server has told it.
                reply, pushed = _drive(lessons, _stream(2, seen[-1][1] if seen else cursor))
        seen += pushed
        cursor = _cursor(reply)
    _, pushed = _drive(lessons, _follow(2, cursor))
    with closing(lessons.connect()) as connection:
        stored = connection.execute(
            "select conversation_id, sequence, id from instainstru.messages where sequence > 3 order by sequence"
        ).fetchall()
    assert [*seen, *pushed] == stored
    assert len(stored) > 10, "too few to say anything"


def test_a_long_absence_comes_in_pages(lessons: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "PAGE_MOST", 2)
    assert _drive(lessons, _stream(2, 0)) == (Ok({"last_sequence": 2}), [(1, 1, 1), (1, 2, 2)])
    assert _drive(lessons, _follow(2, 2)) == (Ok({"last_sequence": 3}), [(1, 3, 3)])
    assert _drive(lessons, _follow(2, 3)) == (Ok({"last_sequence": 3}), [])


def test_a_stream_that_goes_on_after_the_newest_message_says_so_and_shows_nothing(lessons: Target) -> None:
    bug = INSTAINSTRU.bugs["missed_on_reconnect"]
    steps = bug.operations["open_stream"].steps(operation_id=UUID(int=100), **listening(1, 1))
    assert _drive(lessons, steps) == (Ok({"last_sequence": 3}), [])
    steps = bug.operations["open_stream"].steps(operation_id=UUID(int=100), **listening(1, None))
    assert _drive(lessons, steps) == (Ok({"last_sequence": 3}), []), "a fresh one is as it should be"


# Bugs. The letters of the player here are finer than those of a bug's own schedule: every step is one.

RACED: Mapping[str, tuple[Sequence[Mapping[str, Any]], str]] = {
    "sequence_gap": ((sending(1, "c-2"), sending(2, "c-2")), "AAA" + "B" * 8 + "A" * 5),
    "duplicate_conversation": (({"participant_id": 6}, {"participant_id": 7}), "AA" + "B" * 5 + "A" * 3),
    "lost_unread": ((sending(1, "c-2"), sending(1, "c-3")), "AA" + "B" * 10 + "A" * 8),
    "double_message": ((sending(1, "c-2"), sending(1, "c-2")), "AA" + "B" * 9 + "A" * 7),
    "stale_last_message": ((sending(1, "c-2"), sending(2, "c-2")), "A" * 8 + "B" * 10 + "A" * 2),
}


def test_every_bug_that_needs_an_interleaving_is_played() -> None:
    assert set(RACED) == {bug.name for bug in INSTAINSTRU.bugs.values() if bug.race}


@pytest.mark.parametrize("name", RACED)
def test_a_bug_s_schedule_breaks_exactly_what_it_names(lessons: Target, name: str) -> None:
    bug = INSTAINSTRU.bugs[name]
    replies, left = _race(lessons, bug, is_planted=True)
    assert [type(reply) for reply in replies] == [Ok, Ok]
    assert left == 0, "the schedule is whole"
    assert _find_violated(lessons) == set(bug.violates)


@pytest.mark.parametrize("name", RACED)
def test_the_sound_operations_stand_the_same_schedule(lessons: Target, name: str) -> None:
    _race(lessons, INSTAINSTRU.bugs[name], is_planted=False)
    assert _find_violated(lessons) == set()


@pytest.mark.parametrize("name", RACED)
def test_a_bug_s_operations_are_sound_one_after_the_other(lessons: Target, name: str) -> None:
    """What is wrong is their interleaving, and nothing else."""
    bug = INSTAINSTRU.bugs[name]
    plant(lessons, INSTAINSTRU, bug.dropped, bug=bug.name)
    for operation, arguments, operation_id in zip(bug.race, RACED[name][0], operation_ids(), strict=False):
        call(lessons, bug.operations[operation], {"operation_id": operation_id, **arguments})
    assert _find_violated(lessons) == set()


@pytest.mark.parametrize(("name", "step_count"), [("undelivered_message", 7), ("stale_last_message", 8)])
def test_a_client_that_dies_after_the_commit_leaves_what_its_retry_does_not_mend(
    lessons: Target, name: str, step_count: int
) -> None:
    bug = INSTAINSTRU.bugs[name]
    plant(lessons, INSTAINSTRU, bug.dropped, bug=bug.name)
    send = bug.operations["send_message"]
    assert call(lessons, send, {"operation_id": UUID(int=100), **sending(1, "c-2")}, dies_after=step_count) is None
    assert _find_violated(lessons) == set(bug.violates)
    resend = bug.operations["resend_message"]
    retried = call(lessons, resend, {"operation_id": UUID(int=101), **sending(1, "c-2")})
    assert retried == Ok({"message_id": 4, "sequence": 4}), "it was sent, and is not sent again"
    assert _find_violated(lessons) == set(bug.violates)


@pytest.mark.parametrize("name", ["undelivered_message", "stale_last_message"])
def test_a_client_that_does_not_die_leaves_nothing_wrong(lessons: Target, name: str) -> None:
    bug = INSTAINSTRU.bugs[name]
    plant(lessons, INSTAINSTRU, bug.dropped, bug=bug.name)
    assert call(lessons, bug.operations["send_message"], {"operation_id": UUID(int=100), **sending(1, "c-2")}) == Ok(
        {"message_id": 4, "sequence": 4}
    )
    assert _find_violated(lessons) == set()


@pytest.mark.parametrize("dies_after", range(1, 9))
def test_a_client_that_dies_anywhere_leaves_all_or_nothing(lessons: Target, dies_after: int) -> None:
    send = INSTAINSTRU.operations["send_message"]
    call(lessons, send, {"operation_id": UUID(int=100), **sending(1, "c-2")}, dies_after=dies_after)
    assert _find_violated(lessons) == set()
    retried = call(lessons, send, {"operation_id": UUID(int=101), **sending(1, "c-2")}, dies_after=STEPS_MAX)
    assert isinstance(retried, Ok)
    assert retried.value["sequence"] == 4
    assert _find_violated(lessons) == set()


def _race(lessons: Target, bug: Bug, *, is_planted: bool) -> tuple[list[Reply | None], int]:
    if is_planted:
        plant(lessons, INSTAINSTRU, bug.dropped, bug=bug.name)
    known = INSTAINSTRU.operations_with(bug if is_planted else None)
    arguments, schedule = RACED[bug.name]
    calls = [
        known[operation].steps(operation_id=operation_id, **each)
        for operation, each, operation_id in zip(bug.race, arguments, operation_ids(), strict=False)
    ]
    return play(lessons, calls, schedule)


def _sending(sender: int, client_message_id: str, operation_id: int) -> Steps:
    send = INSTAINSTRU.operations["send_message"]
    return send.steps(operation_id=UUID(int=operation_id), **sending(sender, client_message_id))


def _stream(participant: int, last_sequence: int | None) -> Steps:
    return INSTAINSTRU.operations["open_stream"].steps(operation_id=UUID(int=99), **listening(participant, last_sequence))


def _follow(participant: int, last_sequence: int) -> Steps:
    follow = SUBSCRIPTIONS["open_stream"].follow
    return follow.steps(operation_id=UUID(int=99), **listening(participant, last_sequence))


def _cursor(reply: Reply) -> int:
    assert isinstance(reply, Ok)
    cursor = reply.value["last_sequence"]
    assert isinstance(cursor, int)
    return cursor


def _drive(lessons: Target, steps: Steps) -> tuple[Reply, Seen]:
    """Carry an operation out alone; return its reply and what it pushed."""
    with closing(lessons.connect()) as connection:

        def execute(step: Begin | Commit | Rollback | Statement) -> Any:
            if not isinstance(step, Statement):
                return connection.execute(type(step).__name__.lower().encode()) and None
            cursor = psycopg.RawCursor(connection, row_factory=dict_row)
            text, names = number_parameters(step.sql)
            cursor.execute(text.encode(), [step.parameters[name] for name in names])
            return cursor.fetchall() if cursor.description else []

        return _carry_out(steps, execute)


def _execute_on_sqlite(connection: sqlite3.Connection, step: Begin | Commit | Rollback | Statement) -> Any:
    if not isinstance(step, Statement):
        return connection.execute(type(step).__name__.lower()) and None
    values = {name: to_sqlite(value) for name, value in step.parameters.items()}
    return connection.execute(adapt(step.sql, "sqlite"), values).fetchall()


def _carry_out(steps: Steps, execute: Callable[[Begin | Commit | Rollback | Statement], Any]) -> tuple[Reply, Seen]:
    answer: Any = None
    seen: Seen = []
    try:
        while True:
            match steps.send(answer):
                case Push(events):
                    seen += [(event["stream"], event["sequence"], event["event_id"]) for event in events]
                    answer = None
                case Begin() | Commit() | Rollback() | Statement() as step:
                    answer = execute(step)
    except StopIteration as stop:
        return stop.value, seen


def _find_violated(lessons: Target) -> set[str]:
    with closing(lessons.connect()) as connection:
        engine = PostgresEngine(connection)
        return {file.name for file in FILES.values() if engine.run(file, file.values({}, now=NOW))}


def _read(lessons: Target) -> Contents:
    """Return every row of instainstru by table and key."""
    contents: Contents = {}
    with closing(lessons.connect()) as connection:
        for table in METADATA.sorted_tables:
            rows = connection.cursor(row_factory=dict_row).execute(f"select * from {table.fullname} order by id".encode())
            contents[table.name] = {row["id"]: row for row in rows}
    return contents


def _read_sqlite(connection: sqlite3.Connection) -> Contents:
    return {
        table.name: {row["id"]: row for row in connection.execute(f"select * from {table.fullname} order by id")}
        for table in METADATA.sorted_tables
    }


def _changes(before: Contents, after: Contents, operation_id: UUID | str) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of `after` that `before` has not, without times; a call's own operation_id is "this"."""
    changes: dict[str, list[dict[str, Any]]] = {}
    for table, rows in after.items():
        assert before[table].keys() <= rows.keys(), "nothing is ever deleted"
        for key, row in rows.items():
            if before[table].get(key) == row:
                continue
            shown = {name: value for name, value in row.items() if not name.endswith("_at")}
            shown["operation_id"] = "this" if shown["operation_id"] == operation_id else str(shown["operation_id"])
            changes.setdefault(table, []).append(shown)
    return changes

"""An exported test goes as the scheduler does: who is refused in a deadlock, and which ends of transactions are turns."""

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.target import Target
from integrity.operation import Begin, Commit, Isolation, Ok, Rollback, Statement, StatementFailed, Steps
from integrity.race.export.case import Assertion, Case
from integrity.race.export.pytest_export import render_test
from integrity.race.play.recording import Recording, record
from integrity.race.play.scheduler import Scheduler
from integrity.race.program.program import Actor, Keys, Program
from integrity.race.program.trace import Failed
from tests.detection.race_tables import create_tables, new_database, stage

ADD_ONE = "update accounts set n = n + 1 where id = "
READ = "select n from accounts where id = :account"
AT_ONCE = f"{READ} for update nowait"
ALONE_AT_ONCE = "lock table accounts in access exclusive mode nowait"
FAIL = "select 1 / 0"


def calling(*steps: str, last: str = "commit") -> Actor:
    """Return a call of these statements in one transaction, which goes on behind an error if it has one of these next."""

    def call(keys: Keys, _operation_id: UUID) -> Steps:
        yield Begin()
        for sql in steps:
            try:
                yield Statement(sql, keys if ":" in sql else {})
            except StatementFailed:
                if sql != FAIL:
                    raise
        yield Commit() if last == "commit" else Rollback()
        return Ok()

    return Actor("call", call)


def adding_to(*names: str) -> Actor:
    """Return a call that adds one to each of these accounts, in this order, in one transaction."""
    return calling(*(f"{ADD_ONE}:{name}" for name in names))


@pytest.fixture(scope="module")
def database(server: EmbeddedServer) -> Iterator[Target]:
    with new_database(server.target) as database:
        create_tables(database)
        yield database


@pytest.fixture(scope="module")
def scheduler(database: Target) -> Iterator[Scheduler]:
    with Scheduler(database) as scheduler:
        yield scheduler


def exported(recording: Recording, program: Program, wrong: str = READ) -> ModuleType:
    """Return the module that the exported test is, on the rows that were played on."""
    calls = dict.fromkeys(recording.played, ("call", ""))
    asserted = Assertion("two were added", Statement(wrong, recording.run.keys))
    standing = program.standing.holds
    case = Case("call: a race", "call", calls, Isolation.READ_COMMITTED, recording, asserted, "", standing=standing)
    module = ModuleType("exported")
    exec(compile(render_test(case, sql_name="", test_name=""), "exported", "exec"), module.__dict__)  # noqa: S102  (ours)
    return module


Played = dict[str, Any]


def replayed(scheduler: Scheduler, database: Target, program: Program, letters: str) -> tuple[Played, Played]:
    """Return how the calls were refused and what they left, as they were played and as the exported test plays them."""
    recording = record(scheduler, program, letters)
    run = recording.run
    left = [Statement("select n from accounts where id in (:account, :second) order by id", run.keys)]
    refused = {letter: value.sqlstate for letter, value in run.trace.returns.items() if isinstance(value, Failed)}
    played = {"refused": refused, "left": scheduler.ask(left)[0].rows}
    scheduler.ask([Statement("update accounts set n = 0")])
    module = exported(recording, program)
    play: Callable[..., dict[str, psycopg.Error]] = module.play
    errors = play(make_conninfo(database.text), run.letters, module.CALLS)
    refused = {letter: error.sqlstate for letter, error in errors.items()}
    return played, {"refused": refused, "left": scheduler.ask(left)[0].rows}


@pytest.mark.parametrize("letters", ["ABAB", "ABBA", "BAAB"])
def test_the_same_call_is_refused_in_a_deadlock_as_when_it_was_found(
    scheduler: Scheduler, database: Target, letters: str
) -> None:
    program = Program((adding_to("account", "second"), adding_to("second", "account")), stage)
    played, again = replayed(scheduler, database, program, letters)
    assert again == played
    assert list(played["refused"].values()) == ["40P01"]


ADD = f"{ADD_ONE}:account"
DIES_HOLDING = calling(ADD, "savepoint s", FAIL, last="rollback")
HEALS = calling(ADD, "savepoint s", FAIL, "rollback to savepoint s", ADD)


@pytest.mark.parametrize(
    ("one", "other", "letters", "refused"),
    [
        (DIES_HOLDING, calling(AT_ONCE), "AAAB", {"B": "55P03"}),  # its rollback is a turn
        (DIES_HOLDING, calling(AT_ONCE), "AAAAB", {}),
        (calling(ADD, "savepoint s", "select 2 / 0"), calling(AT_ONCE), "AAAB", {"A": "22012", "B": "55P03"}),
        (calling(ADD, "savepoint s", "select 2 / 0"), calling(AT_ONCE), "AAAAB", {"A": "22012"}),
        (calling("savepoint s", ADD, FAIL), calling(AT_ONCE), "AAAB", {}),  # what was locked behind it is let go
        (calling(ADD, FAIL), calling(AT_ONCE), "AAB", {}),  # without a savepoint the error ends it
        (HEALS, adding_to("account"), "AAABAA", {}),  # another waits when the savepoint heals it
        (calling(READ), calling(ALONE_AT_ONCE), "AB", {"B": "55P03"}),  # a reader's end is a turn here
        (calling(READ), calling(ALONE_AT_ONCE), "AAB", {}),
        (calling(READ, "savepoint s", FAIL), calling(ALONE_AT_ONCE), "AAAB", {"B": "55P03"}),
        (calling(READ), calling(AT_ONCE), "AB", {}),  # and none there
    ],
)
def test_the_end_of_a_transaction_is_a_turn_where_others_notice_it(  # noqa: PLR0917  (a row of the table)
    scheduler: Scheduler, database: Target, one: Actor, other: Actor, letters: str, refused: dict[str, str]
) -> None:
    played, again = replayed(scheduler, database, Program((one, other), stage), letters)
    assert played["refused"] == refused
    assert again == played


def adding_unsafely(keys: Keys, _operation_id: UUID) -> Steps:
    """Look, try in vain behind a savepoint, and write what was seen and one more."""
    yield Begin()
    rows = yield Statement(READ, keys)
    yield Statement("savepoint s")
    try:
        yield Statement(FAIL)
    except StatementFailed:
        yield Statement("rollback to savepoint s")
    assert rows
    yield Statement("update accounts set n = :n where id = :account", {**keys, "n": rows[0]["n"] + 1})
    yield Commit()
    return Ok()


def test_a_race_behind_a_savepoint_is_red_until_the_call_is_mended(scheduler: Scheduler, database: Target) -> None:
    actor = Actor("call", adding_unsafely)
    program = Program((actor, actor), stage)
    recording = record(scheduler, program, "AAAABBBBAABB")
    module = exported(recording, program, wrong=f"{READ} and n <> 2")
    url = make_conninfo(database.text)
    scheduler.ask([Statement("update accounts set n = 0")])
    with pytest.raises(AssertionError, match="two were added"):
        module.test_call(url)

    def mended(connection: "psycopg.Connection[Any]") -> None:
        connection.execute("savepoint s")
        with pytest.raises(psycopg.errors.DivisionByZero):
            connection.execute(FAIL)
        connection.execute("rollback to savepoint s")
        connection.execute(f"{ADD_ONE}{recording.run.keys['account']}")
        connection.commit()

    scheduler.ask([Statement("update accounts set n = 0")])
    module.CALLS.update(A=mended, B=mended)
    module.test_call(url)

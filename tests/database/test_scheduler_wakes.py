"""Those that one letter lets go on are noted in an order that does not depend on when we look, nor at whom first."""

import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from integrity.engines.target import Target
from integrity.operation import Isolation
from integrity.race.play.postgresql import control as postgres_control
from integrity.race.play.postgresql import engine as postgres_engine
from integrity.race.play.postgresql.engine import PostgresEngine
from integrity.race.play.scheduler import Scheduler
from integrity.race.play.session import ActorState, Session
from integrity.race.program.program import Program
from integrity.race.program.trace import Failed
from tests.database.boxes import QUEUE, QUEUE_SCHEMA, RING, SCHEMA, TRANSFER, add, in_one_transaction, program, read, story

Find = Callable[[PostgresEngine, Sequence[Session], Sequence[Session]], Session | None]

find_woken: Find = PostgresEngine.find_woken
SECONDS_MAX = 20.0


def find_another(engine: PostgresEngine, waiting: Sequence[Session], sessions: Sequence[Session]) -> Session | None:
    return find_woken(engine, waiting[::-1], sessions)


def find_late(engine: PostgresEngine, waiting: Sequence[Session], sessions: Sequence[Session]) -> Session | None:
    """As on a busy machine: before we look, the server has let all go on that it is going to."""
    is_end = any(session.state is ActorState.DONE for session in sessions)
    if is_end or len(waiting) == len(sessions):  # else they wait for one who ends its transaction by a later letter
        deadline = time.monotonic() + SECONDS_MAX
        while any(engine._ask_blockers(waiting).values()):
            assert time.monotonic() < deadline
    return find_woken(engine, waiting, sessions)


FINDERS = {"at once": find_woken, "another first": find_another, "late": find_late}

APART = program(
    in_one_transaction(add("first"), add("second")), in_one_transaction(add("first")), in_one_transaction(add("second"))
)
STALE = program(*[in_one_transaction(read("first"), add("first"))] * 3, isolation=Isolation.REPEATABLE_READ)


@pytest.fixture
def scheduler(database: Target) -> Iterator[Scheduler]:
    with database.connect() as connection:
        connection.execute(SCHEMA)
        connection.execute(QUEUE_SCHEMA)
    with Scheduler(database, letter_seconds_max=SECONDS_MAX) as scheduler:
        yield scheduler


@pytest.mark.parametrize("finder", FINDERS.values(), ids=FINDERS)
@pytest.mark.parametrize(
    "case",
    [
        (TRANSFER, "ABAB", ["B update waits for A", "B update resumed 40P01", "A update resumed"]),
        (TRANSFER, "ABBA", ["A update waits for B", "A update resumed 40P01", "B update resumed"]),
        (APART, "AACBA", ["A commit done", "B update resumed", "C update resumed"]),
        (STALE, "ABCACBA", ["A commit done", "C update resumed 40001", "B update resumed 40001"]),
    ],
    ids=["deadlock", "deadlock the other way", "two by one commit", "a refusal by a refusal"],
)
def test_those_that_go_on_are_noted_in_the_order_of_their_causes(
    scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch, case: tuple[Program, str, list[str]], finder: Find
) -> None:
    raced, letters, told = case
    monkeypatch.setattr(PostgresEngine, "find_woken", finder)
    lines = story(scheduler.play(raced, letters))
    first = lines.index(told[0])
    assert lines[first : first + 3] == told


@pytest.mark.parametrize(
    ("raced", "letters", "refused"),
    [(TRANSFER, "ABBA", "A"), (RING, "ACBBCA", "A"), (QUEUE, "ABBCA", "")],
    ids=["deadlock", "ring", "queue"],
)
def test_a_server_that_takes_its_time_to_look_for_a_deadlock_is_not_forestalled(
    scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch, raced: Program, letters: str, refused: str
) -> None:
    """However long a look takes on a busy machine, it decides; of two, it could only decide as we do."""
    monkeypatch.setattr(postgres_engine, "_LOOK_SECONDS", 0.0)
    monkeypatch.setattr(postgres_control, "_DEADLOCK_SECONDS", 0.0)
    for _ in range(10):
        returned = scheduler.play(raced, letters).trace.returns
        assert [actor for actor, each in returned.items() if each == Failed("40P01", "deadlock detected")] == list(refused)

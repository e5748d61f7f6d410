"""Boxes with a number each, and programs that add to them: what the tests of the scheduler play."""

from collections.abc import Callable
from uuid import UUID

from integrity.operation import Begin, Commit, Isolation, Ok, Statement, Steps
from integrity.race.play.scheduler import PlayedSchedule
from integrity.race.program.program import Actor, Keys, Program
from integrity.race.program.trace import StepPhase
from integrity.systems.stage import Ref, Stage, StagedRow

SCHEMA = "create table boxes (id bigint generated always as identity (start with 1000001) primary key, n bigint not null)"


def stage() -> Stage:
    names = ("first", "second", "third")
    return Stage([StagedRow(name, "boxes", {"n": 0}) for name in names], {name: Ref(name) for name in names})


def program(*calls: Callable[[Keys], Steps], isolation: Isolation = Isolation.READ_COMMITTED) -> Program:
    def actor(call: Callable[[Keys], Steps]) -> Actor:
        def steps(keys: Keys, _operation_id: UUID) -> Steps:
            return call(keys)

        return Actor("call", steps)

    return Program(tuple(actor(call) for call in calls), stage, isolation)


def read(box: str, locking: str = "") -> Callable[[Keys], Statement]:
    return lambda keys: Statement(f"select n from boxes where id = :box {locking}", {"box": keys[box]})


def add(box: str) -> Callable[[Keys], Statement]:
    return lambda keys: Statement("update boxes set n = n + 1 where id = :box returning n", {"box": keys[box]})


def in_one_transaction(*statements: Callable[[Keys], Statement]) -> Callable[[Keys], Steps]:
    def call(keys: Keys) -> Steps:
        yield Begin()
        for statement in statements:
            yield statement(keys)
        yield Commit()
        return Ok()

    return call


def outside_transactions(*statements: Callable[[Keys], Statement]) -> Callable[[Keys], Steps]:
    def call(keys: Keys) -> Steps:
        for statement in statements:
            yield statement(keys)
        return Ok()

    return call


def story(run: PlayedSchedule) -> list[str]:
    """Return a run in one line an event, e.g. "B waits for A"."""
    lines = []
    for event in run.trace.events:
        verb = event.sql.split(maxsplit=1)[0]
        waits = f" for {event.waits_for}" if event.phase is StepPhase.WAITS else ""
        refused = f" {event.refusal.sqlstate}" if event.refusal else ""
        lines.append(f"{event.actor} {verb} {event.phase}{waits}{refused}")
    return lines


TRANSFER = program(in_one_transaction(add("first"), add("second")), in_one_transaction(add("second"), add("first")))
CONTENDED = program(*[in_one_transaction(read("first", "for update"), add("first"))] * 2)
RING = program(
    in_one_transaction(add("first"), add("second")),
    in_one_transaction(add("second"), add("third")),
    in_one_transaction(add("third"), add("first")),
)


QUEUE_SCHEMA = "create table if not exists one (id int); create table if not exists two (id int)"


def lock(*texts: str) -> Callable[[Keys], Steps]:
    return in_one_transaction(*(lambda _keys, text=text: Statement(text) for text in texts))


QUEUE = program(
    lock("lock table one in access share mode", "lock table two in access share mode"),
    lock("lock table two in access share mode", "lock table one in access exclusive mode"),
    lock("lock table two in access exclusive mode"),
)
"""Played as ABBCA a circle through a queue, which is no deadlock: the server reorders the queue."""

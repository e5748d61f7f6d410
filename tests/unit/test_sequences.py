"""A system as a state machine: what its rules are, what is wrong with a sequence, and with what each of them begins."""

import asyncio
import gc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import hypothesis
import pytest
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import BigInteger, CheckConstraint, Column, Integer, MetaData, Table

import integrity
from integrity.domain import IntegerIn, KeyOf
from integrity.errors import UsageError
from integrity.operation import Allowed, Ok, Operation, Request, Statement, Steps
from integrity.sequences.machine import SequenceMachine, WrongSequence
from integrity.systems.service import Context, Reaction
from integrity.systems.stage import Ref, Stage, StagedRow
from integrity.systems.system import System

METADATA = MetaData()
Table(
    "boxes",
    METADATA,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("size", BigInteger, CheckConstraint("size < 100", name="boxes_small"), nullable=False),
)
NO_BIG_BOX = (
    "-- title: no box is bigger than 30\n-- severity: error\nselect id as box_id, size from boxes where size > 30\n"
)


def make(*, operation_id: UUID, size: int) -> Steps:
    rows = yield Statement("insert into boxes (size) values (:size) returning id", {"size": size})
    return Ok({"box_id": rows[0]["id"]})


def grow(*, operation_id: UUID, box_id: int, target: int) -> Steps:
    yield Statement("update boxes set size = size + :by where id = :id", {"by": target, "id": box_id})
    return Ok()


def fail(*, operation_id: UUID, box_id: int) -> Steps:
    raise LookupError("no such box")
    yield  # it is a generator


def order(*, operation_id: UUID) -> Steps:
    yield Request("factory", {"command": "make"})
    return Ok()


def factory(payload: Any, context: Context) -> Reaction:
    return context.react({"status": "accepted"}, context.webhooks("make", {"size": 50}))


def system(*operations: Operation, **parts: Any) -> System:
    one = Stage([StagedRow("box", "boxes", {"size": 10})], {"boxes_1": Ref("box")})
    given: dict[str, Any] = {"stage": lambda: one, **parts}
    return System("store", "boxes", METADATA, {each.name: each for each in operations}, **given)


MAKE = Operation("make", make, {"size": IntegerIn(1, 3)})
GROW = Operation("grow", grow, {"box_id": KeyOf("boxes"), "target": IntegerIn(25, 30)})
FAIL = Operation("fail", fail, {"box_id": KeyOf("boxes")})
ORDER = Operation("order", order, {})


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "invariants" / "store").mkdir(parents=True)
    (tmp_path / "invariants" / "store" / "no-big-box.sql").write_text(NO_BIG_BOX)
    yield tmp_path
    gc.collect()


def play(wanted: System, folder: Path, *, examples: int = 60) -> type[SequenceMachine]:
    machine = integrity.machine(wanted, f"sqlite:///{folder / 'store.db'}", folder=folder)
    settings = hypothesis.settings(max_examples=examples, stateful_step_count=8, deadline=None, database=None)
    try:
        run_state_machine_as_test(hypothesis.seed(1)(machine), settings=settings)
    finally:
        machine.close()
    return machine


def test_a_wrong_sequence_is_shrunk_to_the_least_arguments_of_the_fewest_calls(folder: Path) -> None:
    """An argument may have the name of one that Hypothesis keeps for itself."""
    with pytest.raises(WrongSequence) as wrong:
        play(system(MAKE, GROW, makes={"make": ("boxes", "box_id")}), folder)
    (call,) = wrong.value.calls
    assert (call.operation, call.arguments["target"]) == ("grow", 25)
    (violated,) = wrong.value.violated
    assert violated.file.name == "store/no-big-box"
    assert [row["size"] for row in violated.rows] == [35]


def test_every_example_begins_with_the_same_rows_under_the_same_ids(folder: Path) -> None:
    seen = set()
    machine = integrity.machine(system(MAKE, GROW), f"sqlite:///{folder / 'store.db'}", folder=folder)
    for _ in range(3):
        state = machine()
        made = state.playground.call("make", {"size": 2})
        assert made.returned.reply is not None
        seen.add((*state.playground.keys["boxes"], made.returned.reply["box_id"]))
    machine.close()
    assert seen == {(1000001, 1000002)}


def test_sequences_are_played_where_a_loop_runs_as_in_a_test_that_is_a_coroutine(folder: Path) -> None:
    async def test() -> None:
        play(system(MAKE, GROW), folder, examples=3)

    with pytest.raises(WrongSequence, match="store/no-big-box"):
        asyncio.run(test())


def test_what_an_operation_makes_is_a_key_for_others(folder: Path) -> None:
    empty = system(MAKE, GROW, makes={"make": ("boxes", "box_id")}, stage=None)
    with pytest.raises(WrongSequence) as wrong:
        play(empty, folder)
    assert wrong.value.calls[0].operation == "make"


def test_a_call_that_fails_is_wrong_unless_that_is_allowed(folder: Path) -> None:
    with pytest.raises(WrongSequence, match="fail failed: the operation raised LookupError: no such box"):
        play(system(FAIL), folder)
    play(system(replace(FAIL, allowed=Allowed(failures=frozenset({"LookupError"})))), folder, examples=3)


def test_a_webhook_is_delivered_in_the_sequence_or_at_its_end(folder: Path) -> None:
    ordered = system(MAKE, ORDER, services={"factory": factory})
    with pytest.raises(WrongSequence) as wrong:
        play(ordered, folder)
    assert [call.operation for call in wrong.value.calls] == ["order", "make"]
    machine = integrity.machine(ordered, f"sqlite:///{folder / 'store.db'}", folder=folder)
    state = machine()
    state.playground.call("order", {})
    state.invariants_hold()
    with pytest.raises(WrongSequence, match="no-big-box"):
        state.teardown()
    machine.close()


def test_what_cannot_be_played_is_said(folder: Path) -> None:
    target = f"sqlite:///{folder / 'store.db'}"
    with pytest.raises(UsageError, match="no operation can be called: there is no key of boxes"):
        integrity.machine(system(GROW, stage=None), target, folder=folder)
    with pytest.raises(UsageError, match="system store has no operation 'gorw'"):
        integrity.machine(system(GROW), target, operations=("gorw",), folder=folder)
    (folder / "invariants" / "store" / "broken.sql").write_text("-- title: broken\ndelete from boxes")
    with pytest.raises(UsageError, match=r"broken\.sql:2: not one read-only select"):
        integrity.machine(system(MAKE), target, folder=folder)()

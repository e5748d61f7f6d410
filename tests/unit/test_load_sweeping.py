"""What is left open at a run's end is asked about until it has ended, or until all have answered and it stays open."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from unittest.mock import AsyncMock

import pytest

from integrity.clients.driver import Driver
from integrity.domain import World
from integrity.errors import Unreachable
from integrity.load import sweeping
from integrity.load.caller import Caller
from integrity.load.client import Clock
from integrity.load.profile import load_profile
from integrity.load.sweeping import IN_VAIN_MOST, Sweeping
from integrity.operation import Begin, Ok, Operation, Request, Rows, Statement, Steps, Value
from integrity.reference.safebox.system import SAFEBOX
from integrity.systems.service import Context, Reaction, Trouble
from integrity.systems.system import Sweep
from tests.unit.test_load_caller import Pages

DONE = "delete the open row"


class OneOpen:
    """A connection to a database in which one row is open until it is ended."""

    attempts_most = 1
    is_open = True

    def __init__(self) -> None:
        self.open_count = 1

    async def open(self) -> None:
        return

    async def begin(self, begin: Begin) -> None:
        return

    async def begin_now(self) -> None:
        return

    async def execute(self, sql: str, parameters: Mapping[str, Value]) -> Rows:
        if sql == DONE:
            self.open_count = 0
        return [{"open_count": 1}] * self.open_count

    async def has_written(self) -> bool:
        return False

    async def commit(self) -> None:
        return

    async def rollback(self) -> None:
        return

    def abort(self) -> None:
        return

    async def close(self) -> None:
        return


def take_up(*, operation_id: object) -> Steps:
    answer = yield Request("mint", {})
    if answer["status"] == "settled":
        yield Statement(DONE)
    return Ok()


class Mint:
    """A mint that meets with trouble at first, and answers then."""

    def __init__(self, *, troubles: int, answer: str) -> None:
        self.asked = 0
        self._troubles = troubles
        self._answer = answer

    def __call__(self, payload: Mapping[str, Value], context: Context) -> Reaction:
        self.asked += 1
        trouble = (Trouble.LOST, Trouble.REFUSED)[self.asked % 2] if self.asked <= self._troubles else None
        return context.react({"status": self._answer}, trouble=trouble)


def sweep(mint: Mint, connection: OneOpen) -> Sweeping:
    system = replace(
        SAFEBOX,
        operations={"take_up": Operation("take_up", take_up, {})},
        sweeps=(Sweep("take_up", "select what is open"),),
        services={**SAFEBOX.services, "mint": mint},
        endpoints=None,
    )
    services = {"mint": {"timeout_s": 0.0, "latency_least_s": 0.0, "latency_most_s": 0.0}}
    caller = Caller(
        system=system,
        operations=system.operations,
        profile=load_profile(SAFEBOX, "test", {"test": {"extends": "hammer", "services": services}}),
        world=World({}, hot_share=1.0, hot_count=1),
        clock=Clock(),
        history=Pages(),
        first_free_number=1,
    )

    async def run() -> Sweeping:
        began_at = datetime.now(UTC)
        carry, connect = partial(Driver, connection), lambda: connection
        made = Sweeping(system, caller, seed=1, began_at=began_at, carry=carry, connect=connect)
        await asyncio.wait_for(made.run(nothing), 30)
        return made

    async def nothing() -> None:
        return

    return asyncio.run(run())


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeping, "PAUSE_S", 0.0)


def test_whom_nobody_lets_in_leaves_what_is_open_as_owed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(_: object) -> None:
        raise Unreachable("connection refused")

    mint, database = Mint(troubles=0, answer="settled"), OneOpen()
    monkeypatch.setattr(OneOpen, "is_open", False)
    monkeypatch.setattr(Sweeping, "_find_open", AsyncMock(return_value=[("take_up", {"open_count": 1})]))
    monkeypatch.setattr(OneOpen, "open", refuse)

    done = sweep(mint, database)

    assert (done.is_settled, mint.asked) == (False, 0)


def test_what_a_service_did_not_answer_for_is_asked_about_again_however_often_that_was() -> None:
    mint, database = Mint(troubles=10 * IN_VAIN_MOST, answer="settled"), OneOpen()

    done = sweep(mint, database)

    assert (done.is_settled, done.still_open) == (True, {"take_up": 0})


def test_what_stays_open_though_the_service_answers_is_given_up_as_nobodys() -> None:
    mint, database = Mint(troubles=10, answer="processing"), OneOpen()

    done = sweep(mint, database)

    assert (done.is_settled, done.still_open) == (True, {"take_up": 1})
    assert mint.asked == 10 + IN_VAIN_MOST

"""A call is written down before anything of it is sent; what it is drawn from depends on the seed alone."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from random import Random
from typing import Any, TypeVar

import orjson
import pytest

from integrity.clients.driver import Driver
from integrity.domain import Key, World
from integrity.history import Returned
from integrity.load.caller import Caller
from integrity.load.client import Client, Clock, Sources
from integrity.load.profile import load_profile
from integrity.operation import Begin, Rows, StatementFailed, Value
from integrity.reference.ghostpass.system import GHOSTPASS

Answer = TypeVar("Answer")


class Pages:
    """A history in memory: lines that are written, and lines that wait."""

    def __init__(self) -> None:
        self.written: list[dict[str, Any]] = []
        self.waiting: list[dict[str, Any]] = []
        self.requests: list[dict[str, Any]] = []
        self.received: list[dict[str, Any]] = []

    def append_request(self, line: bytes) -> None:
        self.requests.append(orjson.loads(line))

    def append_received(self, lines: Iterable[bytes]) -> None:
        self.received += [orjson.loads(line) for line in lines]

    def append(self, line: bytes) -> None:
        self.flush()
        self.written.append(orjson.loads(line))

    def append_soon(self, line: bytes) -> None:
        self.waiting.append(orjson.loads(line))

    def flush(self) -> None:
        self.written += self.waiting
        self.waiting.clear()

    @property
    def events(self) -> list[str]:
        return [line["event"] for line in self.written]


class Watching:
    """A connection on which every sale succeeds; it keeps what was written down when each step was sent."""

    attempts_most = 1
    is_open = True

    def __init__(self, pages: Pages, failure: StatementFailed | None = None) -> None:
        self.events_seen: list[list[str]] = []
        self._pages = pages
        self._failure = failure

    async def open(self) -> None:
        return

    async def begin(self, begin: Begin) -> None:
        self.events_seen.append(self._pages.events)

    async def begin_now(self) -> None:
        return

    async def execute(self, sql: str, parameters: Mapping[str, Value]) -> Rows:
        return [{"id": 900, "balance_minor": 5, "platform_fee_bps": 250, "venue_share_bps": 1000}]

    async def has_written(self) -> bool:
        return False

    async def commit(self) -> None:
        if self._failure is not None:
            raise self._failure

    async def rollback(self) -> None:
        return

    def abort(self) -> None:
        return

    async def close(self) -> None:
        return


def make_caller(pages: Pages, **settings: Any) -> Caller:
    profile = load_profile(GHOSTPASS, "test", {"test": {"extends": "hammer", "abandon": {}, **settings}})
    keys: dict[str, list[Key]] = {"wallets": list(range(100)), "terminals": [1, 2], "sales": [1, 2, 3]}
    return Caller(
        system=GHOSTPASS,
        operations=GHOSTPASS.operations,
        profile=profile,
        world=World(keys, hot_share=1.0, hot_count=4),
        clock=Clock(),
        history=pages,
        first_free_number=8,
    )


def sell(caller: Caller, client: Client, connection: Watching) -> Awaitable[Returned]:
    arguments = {"wallet_id": 1, "terminal_id": 1, "amount_minor": 500}
    return caller.call(Driver(connection, Random(1)), client, "sell", arguments, None)


def in_loop(act: Callable[[], Awaitable[Answer]]) -> Answer:
    async def run() -> Answer:
        return await act()

    return asyncio.run(run())


def test_a_call_is_written_down_before_anything_is_sent_and_its_return_before_the_next_is() -> None:
    pages = Pages()
    caller, connection, client = make_caller(pages), Watching(pages), Client(0, Sources(1, "a"))

    async def two() -> None:
        await sell(caller, client, connection)
        await sell(caller, client, connection)

    in_loop(two)

    assert connection.events_seen == [["invoked"], ["invoked", "returned", "invoked"]]


def test_a_return_does_not_wait_for_the_next_call() -> None:
    pages = Pages()

    async def one_and_a_moment() -> None:
        await sell(make_caller(pages), Client(0, Sources(1, "a")), Watching(pages))
        assert pages.events == ["invoked"]
        await asyncio.sleep(0)

    in_loop(one_and_a_moment)

    assert pages.events == ["invoked", "returned"]


def test_a_sale_that_was_made_can_be_refunded_at_once() -> None:
    pages = Pages()
    caller = make_caller(pages)

    in_loop(lambda: sell(caller, Client(0, Sources(1, "a")), Watching(pages)))

    assert caller.world.keys["sales"] == [1, 2, 3, 900]


@pytest.mark.parametrize(("failure", "number"), [(None, 0), (StatementFailed("gone", sqlstate=None), 8)])
def test_a_client_whose_call_is_unknown_goes_on_under_a_new_number(failure: StatementFailed | None, number: int) -> None:
    pages = Pages()
    client = Client(0, Sources(1, "a"))

    in_loop(lambda: sell(make_caller(pages), client, Watching(pages, failure)))

    assert client.number == number


def test_other_keys_become_the_hot_ones_after_so_many_draws() -> None:
    caller, random = make_caller(Pages(), hot_turn_calls=10), Random(1)

    def hot_wallets(draws: int) -> set[Any]:
        return {caller.draw("sell", random)["wallet_id"] for _ in range(draws)}

    assert hot_wallets(9) <= {96, 97, 98, 99}
    assert hot_wallets(10) <= {92, 93, 94, 95}
    assert hot_wallets(10) <= {88, 89, 90, 91}
    assert caller.world.keys["sales"] == [1, 2, 3]  # the newest stay the hot ones


SLOW = {"latency_least_s": 0.02, "latency_most_s": 0.02}


@pytest.mark.parametrize(
    ("settings", "answers", "answered"),
    [
        (SLOW, {"answered": 1}, 1),
        ({**SLOW, "error_share": 1.0, "error_codes": (429,)}, {"error 429": 1}, 0),
        ({"timeout_share": 1.0, "timeout_s": 0.02}, {"timeout": 1}, 0),
    ],
)
def test_what_a_service_is_asked_has_a_time_and_an_answer_of_its_own_and_the_call_one_without_it(
    settings: Mapping[str, Any], answers: Mapping[str, int], answered: int
) -> None:
    pages, client = Pages(), Client(0, Sources(1, "a"))
    caller = make_caller(pages, services={"processor": settings})
    driver = Driver(Watching(pages), Random(1))
    arguments = {"wallet_id": 1, "amount_minor": 500}

    in_loop(lambda: caller.call(driver, client, "request_funding", arguments, None))

    asked, returned = pages.requests
    assert asked["returned_at_us"] is None  # written before the service was waited for
    assert returned["operation_id"] == asked["operation_id"]
    assert returned["returned_at_us"] - asked["at_us"] >= 20_000
    (dependency,) = caller.services.measures.summarize()
    assert (dependency.service, dependency.requests, dependency.answers) == ("processor", 1, answers)
    assert dependency.answered == answered
    assert (dependency.p50_ms is not None) == bool(answered)  # what is refused at once is not quick
    measure = caller.measures.of("request_funding")
    assert len(measure.own_ms) == measure.answered == answered
    if answered:
        assert (measure.latencies_ms.greatest or 0.0) - (measure.own_ms.greatest or 0.0) > 19.9

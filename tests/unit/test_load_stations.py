"""Calls that stations on other machines make are those of one run; what a lost one had not told is unknown."""

import asyncio
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson
import pytest

from integrity.domain import Key, World
from integrity.errors import RunBroken
from integrity.events import Event, Noted
from integrity.history import Call, Outcome, decode, encode_invoked, encode_returned
from integrity.load.caller import Caller
from integrity.load.client import Clock
from integrity.load.profile import load_profile
from integrity.load.stations.calls_elsewhere import CLOCK_ROUNDS, CallsElsewhere
from integrity.load.stations.order import CLIENTS_OF_ONE, StationOrder
from integrity.load.stations.station import ToldLog
from integrity.load.workload import Workload
from integrity.reference.streamvote.system import STREAMVOTE

WORKLOAD = Workload(STREAMVOTE, load_profile(STREAMVOTE, "hammer", {}), None, 7)
AHEAD_US = 5_000_000
KEYS: list[Key] = [3, "a", UUID(int=4), Decimal("1.50"), datetime(2026, 1, 2, tzinfo=UTC), (1, "b")]


class Log:
    """A history that is looked at."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def append(self, line: bytes) -> None:
        self.lines.append(line)

    append_soon = append_request = append

    def flush(self) -> None:
        """There is no file."""

    def append_received(self, lines: object) -> None:
        raise AssertionError(lines)


class Locust:
    """The other end of the run's socket: whoever carries the messages of stations, and the stations."""

    def __init__(self) -> None:
        self.log, self.told = Log(), list[Event]()
        ours, self._theirs = socket.socketpair()
        self.calls = CallsElsewhere(self._theirs, "http://127.0.0.1:1")
        self.caller = Caller(
            system=STREAMVOTE,
            operations=WORKLOAD.operations,
            profile=WORKLOAD.profile,
            world=World({"wallets": [1]}),
            clock=Clock(),
            history=self.log,
            first_free_number=10,
        )
        self.stopping = asyncio.Event()
        self._ours = ours

    async def begin(self) -> "asyncio.Task[None]":
        """Let the run wait for stations."""
        self.calls.join(WORKLOAD, self.caller, self.log, stopping=self.stopping, told=self.told.append)
        self.reader, self.writer = await asyncio.open_unix_connection(sock=self._ours)
        await self.calls.open()
        assert await self.heard() == {"kind": "open"}
        return asyncio.create_task(self.calls.run())

    async def heard(self) -> Any:
        """Return what the run says next."""
        return orjson.loads(await asyncio.wait_for(self.reader.readline(), 5))

    def say(self, kind: str, **what: Any) -> None:
        self.writer.write(orjson.dumps({"kind": kind, **what}, option=orjson.OPT_APPEND_NEWLINE))

    async def join(self, worker: str) -> Any:
        """Let a station come whose clock is ahead; return its order."""
        self.say("joined", worker=worker)
        for _ in range(CLOCK_ROUNDS):
            asked = (await self.heard())["what"]
            here_us = self.caller.clock.now_us() + AHEAD_US
            self.say("said", worker=worker, what={"kind": "clock", "asked_us": asked["asked_us"], "here_us": here_us})
        told = await self.heard()
        assert told["worker"] == worker
        return told["what"]

    def tell_calls(self, worker: str, *calls: Call, ended: int) -> None:
        """Tell calls of a station, the first so many with their ends."""
        lines = [encode_invoked(call).decode() for call in calls] + [
            encode_returned(call).decode() for call in calls[:ended]
        ]
        self.say("said", worker=worker, what={"kind": "calls", "calls": lines, "requests": []})

    async def end(self, running: "asyncio.Task[None]") -> None:
        await asyncio.wait([running])
        self.calls.abort()
        self.writer.close()
        await self.writer.wait_closed()
        self._theirs.close()


def make_call(number: int) -> Call:
    call = Call(UUID(int=number), "tap", {"viewer_id": number}, CLIENTS_OF_ONE, 1_000, 1_000)
    call.returned_at_us, call.outcome, call.reply = 3_500, Outcome.OK, {}
    return call


def played(play: Callable[[Locust, "asyncio.Task[None]"], Any]) -> Locust:
    """Return what came of a run whose stations are played."""

    async def run() -> Locust:
        locust = Locust()
        running = await locust.begin()
        await asyncio.wait_for(play(locust, running), 20)
        await locust.end(running)
        return locust

    return asyncio.run(run())


def test_an_order_is_read_as_it_was_given() -> None:
    world = World({"wallets": KEYS, "none": []}, hot_share=0.3, hot_count=5)
    order = StationOrder.of(WORKLOAD, world, number=2, over="http://127.0.0.1:8000", ahead_us=-17)
    read = StationOrder.read(orjson.loads(orjson.dumps(order.message())))
    assert read == order
    assert read.world.keys["wallets"] == KEYS
    assert read.first_client == 3 * CLIENTS_OF_ONE


def test_a_station_is_told_how_far_its_clock_is_ahead_and_its_calls_are_the_runs() -> None:
    async def play(locust: Locust, running: "asyncio.Task[None]") -> None:
        order = await locust.join("one")
        assert order["ahead_us"] == pytest.approx(AHEAD_US, abs=1_000_000)  # as long as a busy machine may take to answer
        assert (await locust.join("two"))["number"] == 1
        locust.tell_calls("one", make_call(1), make_call(2), ended=2)
        locust.say("said", worker="one", what={"kind": "made", "pool": "wallets", "key": 77})
        assert (await locust.heard())["what"] == {"kind": "made", "pool": "wallets", "key": 77}
        locust.say("stop")
        assert await locust.heard() == {"kind": "tell", "worker": None, "what": {"kind": "end"}}
        for worker in ("one", "two"):
            assert not running.done()
            locust.say("said", worker=worker, what={"kind": "ended"})
        await running

    locust = played(play)
    assert [call.outcome for call in decode(locust.log.lines, place="here")] == [Outcome.OK, Outcome.OK]
    measure = locust.caller.measures.of("tap")
    assert (measure.calls, measure.ok, measure.latencies_ms.greatest) == (2, 2, 2.5)
    assert locust.caller.world.keys["wallets"] == [1, 77]
    assert locust.calls.unheard == ""


def test_of_a_lost_station_what_it_has_not_told_is_unknown_and_the_others_go_on() -> None:
    async def play(locust: Locust, running: "asyncio.Task[None]") -> None:
        await locust.join("one")
        await locust.join("two")
        locust.tell_calls("one", make_call(1), make_call(2), ended=1)
        locust.say("lost", worker="one")
        locust.tell_calls("one", make_call(3), ended=1)  # nobody listens to it any more
        locust.tell_calls("two", make_call(4), ended=1)
        locust.say("stop")
        locust.say("said", worker="two", what={"kind": "ended"})
        await running

    locust = played(play)
    calls = {call.operation_id.int: call.outcome for call in decode(locust.log.lines, place="here")}
    assert calls == {1: Outcome.OK, 4: Outcome.OK, 2: Outcome.UNKNOWN}
    measure = locust.caller.measures.of("tap")
    assert (measure.ok, measure.unknown) == (2, 1)
    assert locust.calls.unheard == "'one' was lost, with what it had not told of its calls"
    assert [type(each) for each in locust.told] == [Noted]


def test_when_locust_is_gone_so_is_every_station() -> None:
    async def play(locust: Locust, running: "asyncio.Task[None]") -> None:
        await locust.join("one")
        locust.tell_calls("one", make_call(1), ended=0)
        locust.writer.close()
        await running

    locust = played(play)
    assert locust.caller.measures.of("tap").unknown == 1
    assert locust.calls.unheard


@pytest.mark.parametrize(
    "said",
    [
        {"kind": "calls", "calls": ["no line"], "requests": []},
        {"kind": "calls", "calls": [encode_returned(make_call(1)).decode()], "requests": []},
        {"kind": "calls"},
        {"kind": "made", "pool": "wallets", "key": {"$class": "os.system"}},
    ],
)
def test_what_is_no_message_of_a_station_ends_the_run(said: dict[str, Any]) -> None:
    ended: list[BaseException | None] = []

    async def play(locust: Locust, running: "asyncio.Task[None]") -> None:
        await locust.join("one")
        locust.say("said", worker="one", what=said)
        await asyncio.wait([running])
        ended.append(running.exception())

    played(play)
    assert isinstance(ended[0], RunBroken)
    assert "one told what is no message of a station" in str(ended[0])


def test_what_a_station_could_not_do_is_told_by_the_run() -> None:
    ended: list[BaseException | None] = []

    async def play(locust: Locust, running: "asyncio.Task[None]") -> None:
        await locust.join("one")
        locust.say("said", worker="one", what={"kind": "failed", "error": "--host: nobody", "hint": "Somebody."})
        await asyncio.wait([running])
        ended.append(running.exception())

    played(play)
    assert str(ended[0]).startswith("on one: --host: nobody")


def test_lines_are_told_together_and_in_order() -> None:
    told: list[dict[str, Any]] = []

    async def append() -> None:
        log = ToldLog(lambda kind, **what: told.append({"kind": kind, **what}))
        log.append(b"1\n")
        log.append_soon(b"2\n")
        log.append_request(b"3\n")
        assert told == []
        log.tell_all()
        log.tell_all()

    asyncio.run(append())
    assert told == [{"kind": "calls", "calls": ["1\n", "2\n"], "requests": ["3\n"]}]

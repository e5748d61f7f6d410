"""What a server does by itself is in the history of the run that asks it, or the run says that it is not."""

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import orjson
import pytest

from integrity.clients.http import Server
from integrity.endpoints.record import ABANDONED, CAUSED, decode_page
from integrity.history import Outcome, Returned
from integrity.http.answer import Unanswered
from integrity.http.connection import RawAnswer
from integrity.load.caller import Caller, CallLog
from integrity.load.server_record import ServerRecord
from integrity.measure.calls import Measures
from integrity.operation import Request
from integrity.serve import record as serve_record
from integrity.serve.record import Asking, Record
from integrity.systems.service import Reaction

ENDED = Returned(Outcome.OK, {"paid": True}, "", 1)
DIED = Returned(Outcome.UNKNOWN, None, "abandoned: the client died", 1, was_abandoned=True)


class Told:
    """A server whose record is asked for, and the connection to it."""

    def __init__(self) -> None:
        self.record_headers = {"integrity-password": "pw"}
        self.record = Record()
        self.owed = self.owed_since = 0
        self.status = 200
        self.is_away = False

    def connect(self) -> "Told":
        return self

    async def ask(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> RawAnswer:
        if self.is_away:
            raise Unanswered("connection refused", was_sent=False)
        calls, requests, _ = (int(each.partition("=")[2]) for each in path.partition("?")[2].split("&"))
        assert headers == {"integrity-password": "pw"}
        return RawAnswer(self.status, {}, self.record.page(calls, requests, owed=self.owed, owed_since=self.owed_since))

    def hear(self, number: int, *, ends: bool = True, caused_at_us: int = 2**60) -> Any:
        """Make a call of its own; return what ends it."""
        returning = self.record.note_call(UUID(int=number), "hear", {"minor": number}, caused_at_us=caused_at_us)
        return returning(ENDED) if ends else returning


class Pages(SimpleNamespace):
    """A history, read back."""

    def __init__(self) -> None:
        super().__init__(calls=[], requests=[])
        self.append_soon = lambda line: self.calls.append(orjson.loads(line))
        self.append_request = lambda line: self.requests.append(orjson.loads(line))
        self.flush = lambda: None

    @property
    def heard(self) -> list[tuple[int, str]]:
        return [(UUID(each["operation_id"]).int, each["event"]) for each in self.calls]


def follow(told: Told, history: Pages) -> tuple[ServerRecord, Measures]:
    measures, numbers = Measures({}), iter(range(100, 200))
    clock = SimpleNamespace(now_us=iter(range(0, 10_000_000, 100_000)).__next__)
    caller = SimpleNamespace(measures=measures, take_number=lambda: next(numbers), clock=clock)
    return ServerRecord(cast(Server, told), cast(Caller, caller), cast(CallLog, history)), measures


def test_calls_of_the_servers_own_are_in_the_history_from_the_run_on_each_of_a_client_of_its_own() -> None:
    told, history = Told(), Pages()
    record, measures = follow(told, history)

    async def play() -> None:
        told.hear(1)
        ending = told.hear(2, ends=False, caused_at_us=5)
        told.owed = 2
        await record.begin()
        told.owed_since = 1
        told.hear(3)
        told.hear(5, caused_at_us=17)
        asking = Asking(
            told.record, UUID(int=9), lambda step: (Reaction({"status": "taken"}, latency_s=1.0), 5), lambda *_: None
        )
        asking.request(Request("bank", {"minor": 5}))
        ending(ENDED)
        draining = asyncio.create_task(record.drain())
        await asyncio.sleep(0.01)
        asking.answered()
        told.hear(4, ends=False)(DIED)
        told.owed, told.owed_since = 1, 0
        await draining

    asyncio.run(play())

    invoked, returned = "invoked", "returned"
    expected = [
        (2, invoked),
        (3, invoked),
        (3, returned),
        (5, invoked),
        (5, returned),
        (2, returned),
        (4, invoked),
        (4, returned),
    ]
    assert history.heard == expected  # 1 had ended before
    assert [each["client"] for each in history.calls if each["event"] == invoked] == [100, 101, 102, 103]
    assert [each.get("service", each.get("event")) for each in history.requests] == ["bank", "returned"]
    # What follows from calls before the run is in no figure of it, and nobody waits for what is owed to those.
    heard = measures.operations["hear"]
    assert (heard.ok, heard.abandoned, heard.faults, record.unheard) == (1, 1, 0, "")
    assert not {CAUSED, ABANDONED} & {name for each in history.calls for name in each}
    assert (record.owed, record.owed_to_others) == (0, 1)


@pytest.mark.parametrize(
    ("harm", "said"),
    {
        "another process": (lambda told: setattr(told, "record", Record()), "it was started anew meanwhile"),
        "it is away at the end": (
            lambda told: setattr(told, "is_away", True),
            "since second 0.1 of the run: connection refused",
        ),
        "it tells no more": (lambda told: setattr(told, "status", 401), "HTTP 401"),
        "it told too much meanwhile": (lambda told: [told.hear(number) for number in range(9)], "more than it keeps"),
    }.values(),
)
def test_what_cannot_be_known_of_it_is_said_and_never_taken_for_nothing(
    harm: Any, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve_record, "LINES_MOST", 8)
    told, history = Told(), Pages()
    record, _ = follow(told, history)

    async def play() -> None:
        await record.begin()
        harm(told)
        await record.take()

    asyncio.run(play())

    assert said in record.unheard


def test_a_server_that_keeps_no_record_is_asked_once_and_one_that_is_away_for_a_while_has_lost_nothing() -> None:
    told, history = Told(), Pages()
    record, _ = follow(told, history)
    stranger = Told()
    stranger.status = 404
    of_stranger, _ = follow(stranger, Pages())

    async def play() -> list[bool]:
        await of_stranger.begin()
        await record.begin()
        told.is_away = True
        told.hear(1)
        known = [await record.take()]
        told.is_away = False
        return [*known, await record.take(), await of_stranger.take()]

    assert asyncio.run(play()) == [False, True, False]
    assert (record.unheard, history.heard) == ("", [(1, "invoked"), (1, "returned")])
    assert of_stranger.unheard == "it does not tell at /integrity/record: HTTP 404"


NO_LINES = b'{"session": "a", "at_us": 1, "owed": 0, "owed_since": 0, "calls": 1, "requests": 2}'


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", NO_LINES, b"\xff"])
def test_what_is_no_page_is_none(body: bytes) -> None:
    with pytest.raises(ValueError, match="no page of a record"):
        decode_page(body)

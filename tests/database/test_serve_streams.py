"""Streams over sockets, as anybody's client opens them: resumed, refused in the protocol's words, closed at the end."""

import asyncio
import signal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from integrity.database.namespace import guard
from integrity.domain import World
from integrity.endpoints.login import PASSWORD, decode_token
from integrity.endpoints.messages import Block, EventStreamReader
from integrity.engines.target import Target
from integrity.history import Outcome
from integrity.reference.instainstru.system import INSTAINSTRU
from integrity.reference.streamvote.system import STREAMVOTE
from integrity.seeds.load import Mode, seed_system
from integrity.serve.listening import MESSAGE_BYTES_MOST
from integrity.systems.keys import read_keys
from integrity.systems.system import System
from tests.database.served import Server, serving
from tests.detection.worlds import SIZES

WAIT_S = 60
"""Nothing is decided by it but that a test ends."""


def seed(target: Target, system: System) -> World:
    seed_system(target, guard(target, None), system, sizes=SIZES, seed=1, mode=Mode.NEW)
    return World(keys=read_keys(target, system))


def log_in(server: Server, system: System, claims: dict[str, Any]) -> str:
    assert system.endpoints is not None
    assert system.endpoints.login is not None
    login = system.endpoints.login.encode(claims, PASSWORD)
    status, _, said = server.ask(login.method, login.target, login.headers, login.body)
    token = decode_token(status, said)
    assert token
    return token


async def hear(socket: aiohttp.ClientWebSocketResponse, until: int | None = None) -> tuple[list[int], Any]:
    """Return the sequences of events up to one, or until the stream is open, and what the call that opened it replied."""
    heard: list[int] = []
    reply = None
    while reply is None if until is None else not heard or heard[-1] < until:
        message = await socket.receive_json(timeout=WAIT_S)
        if message["type"] == "EVENT_UPDATED":
            heard.append(message["data"]["sequence"])
        else:
            reply = message["data"]
    return heard, reply


def test_a_websocket_resumes_after_a_cut_and_is_refused_and_closed_in_the_words_of_its_protocol(
    database: Target, tmp_path: Path
) -> None:
    """What was sent while nobody listened comes first, each event once; what cannot be read closes one socket alone."""
    keys = seed(database, STREAMVOTE).keys
    with serving(database, tmp_path, "streamvote") as server:
        endpoints = STREAMVOTE.endpoints
        assert endpoints is not None
        vote = endpoints.find("vote")
        wallets = iter(keys["wallets"])
        event_id = keys["live_events"][-1]
        url = f"{server.url}/api/events/live?eventId={event_id}"

        def vote_once() -> None:
            """Let somebody vote who may."""
            for wallet_id in wallets:
                given = {"wallet_id": wallet_id, "live_event_id": event_id, "choice": 1, "idempotency_key": f"k{wallet_id}"}
                if server.call(endpoints, vote, given)[0].outcome is Outcome.OK:
                    return
            raise AssertionError("nobody may")

        async def listen() -> None:
            async with aiohttp.ClientSession() as session:
                async with session.ws_connect(url) as socket, session.ws_connect(url) as other:
                    (_, reply), (_, same) = await hear(socket), await hear(other)
                    assert reply == same
                    began = reply["last_sequence"]
                    heard = await vote_until(socket, began, 2)
                    assert (await hear(other, heard[-1]))[0] == heard
                await asyncio.to_thread(vote_once)
                async with session.ws_connect(f"{url}&lastSequence={heard[0]}") as socket:
                    missed, reply = await hear(socket)
                    assert missed[: len(heard) - 1] == heard[1:]
                    assert missed == list(range(heard[1], reply["last_sequence"] + 1))
                assert await closed_after(session, url, b"\xff", aiohttp.WSMsgType.TEXT) == 1007
                assert await closed_after(session, url, b"x" * (MESSAGE_BYTES_MOST + 1), aiohttp.WSMsgType.BINARY) == 1009
                for wrong, status in (
                    (f"{server.url}/api/events/live?eventId=seven", 422),
                    (f"{server.url}/api/events/live", 422),
                    (f"{server.url}/api/events/dead", 403),
                ):
                    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                        await session.ws_connect(wrong)
                    assert refused.value.status == status
                async with session.ws_connect(f"{server.url}/api/events/live?eventId=999999999") as socket:
                    said = await socket.receive_json(timeout=WAIT_S)
                    assert said == {"type": "REFUSED", "data": {"outcome": "declined", "reason": "unknown_event"}}
                    assert (await socket.receive(WAIT_S)).data == 1008
                async with session.ws_connect(url) as socket:
                    await hear(socket)
                    told = (await asyncio.to_thread(server.ask, "GET", "/metrics"))[2].decode()
                    assert 'ws_clients_connected{stream="/api/events/live"} 1\n' in told
                    assert 'ws_message_lag_seconds_count{stream="/api/events/live"} ' in told
                    server.process.send_signal(signal.SIGTERM)
                    assert (await socket.receive(WAIT_S)).data == 1001

        async def vote_until(socket: aiohttp.ClientWebSocketResponse, began: int, count: int) -> list[int]:
            for _ in range(count):
                await asyncio.to_thread(vote_once)
            heard, _ = await hear(socket, began + count)
            assert heard == list(range(began + 1, began + count + 1))
            return heard

        asyncio.run(asyncio.wait_for(listen(), WAIT_S))
        _, words = server.process.communicate(timeout=WAIT_S)
    assert server.process.returncode == 0
    assert "Traceback" not in words


async def closed_after(session: aiohttp.ClientSession, url: str, data: bytes, kind: aiohttp.WSMsgType) -> int:
    """Send a frame, and return the code that the socket is closed with."""
    async with session.ws_connect(url) as socket:
        await socket.send_frame(data, kind)
        while (message := await socket.receive(WAIT_S)).type is aiohttp.WSMsgType.TEXT:
            pass
        return int(message.data)


@pytest.mark.exhaustive
def test_an_event_stream_resumes_after_its_last_event_id_and_is_for_who_is_logged_in(
    database: Target, tmp_path: Path
) -> None:
    keys = seed(database, INSTAINSTRU).keys
    with serving(database, tmp_path, "instainstru") as server:
        endpoints = INSTAINSTRU.endpoints
        assert endpoints is not None
        send = endpoints.find("send_message")
        mine: Any = keys["participants"][0]
        token = log_in(server, INSTAINSTRU, {"participant_id": mine})
        path = "/api/messages/events"

        def say(number: int) -> int:
            given = {"participant_id": mine, "client_message_id": f"m{number}", "body": "Hello"}
            returned, _ = server.call(endpoints, send, given)
            assert returned.reply is not None, returned
            sequence: Any = returned.reply["sequence"]
            return int(sequence)

        async def read(session: aiohttp.ClientSession, last_id: int | None, until: int) -> list[Block]:
            headers = {
                "authorization": f"Bearer {token}",
                **({"last-event-id": str(last_id)} if last_id is not None else {}),
            }
            reader, blocks = EventStreamReader(), list[Block]()
            async with session.get(server.url + path, headers=headers) as answer:
                assert (answer.status, answer.content_type) == (200, "text/event-stream")
                async for piece in answer.content.iter_any():
                    blocks += reader.feed(piece)
                    if blocks and blocks[-1].event == "opened":
                        opened.set()
                    if int(blocks[-1].last_id) >= until and opened.is_set():
                        return blocks
            raise AssertionError("it ended")

        opened = asyncio.Event()

        async def listen() -> None:
            async with aiohttp.ClientSession() as session:
                first = say(0)
                coming = asyncio.create_task(read(session, None, first + 2))
                await opened.wait()
                await asyncio.to_thread(say, 1)
                await asyncio.to_thread(say, 2)
                blocks = await coming
                assert [(each.event, int(each.last_id)) for each in blocks] == [
                    ("opened", first),
                    ("new_message", first + 1),
                    ("new_message", first + 2),
                ]
                await asyncio.to_thread(say, 3)
                opened.clear()
                again = await read(session, first + 1, first + 3)
                assert [int(each.last_id) for each in again if each.event == "new_message"] == [first + 2, first + 3]
                opened.clear()
                staying = asyncio.create_task(read(session, None, first + 1000))
                await opened.wait()
                server.process.send_signal(signal.SIGINT)
                with pytest.raises(AssertionError, match="it ended"):
                    await staying

        statuses = [
            server.ask("GET", path, headers)[0]
            for headers in (
                {},
                {"authorization": "Bearer nobody"},
                {"authorization": f"Bearer {token}", "last-event-id": "x"},
                {"authorization": f"Bearer {token}", "last-event-id": "1000000"},
            )
        ]
        assert statuses == [401, 401, 422, 422]
        assert server.ask("POST", path)[0] == 404
        asyncio.run(asyncio.wait_for(listen(), WAIT_S))
        server.process.communicate(timeout=WAIT_S)
    assert server.process.returncode == 0

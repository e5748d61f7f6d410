"""Who trickles headers, or sends nothing, is cut; who is slow between two requests is not."""

import asyncio

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from integrity.serve import headers
from integrity.serve.listening import listen_on

ASKED = b"GET / HTTP/1.1\r\nhost: here\r\n\r\n"


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def test_a_client_that_does_not_end_its_headers_is_cut_and_one_that_rests_between_two_requests_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(headers, "HEADERS_S", 1.0)

    async def cut(port: int, sent: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        try:
            async with asyncio.timeout(10):
                return await reader.read()
        finally:
            writer.close()

    async def rest(port: int) -> list[bytes]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        told = []
        for pause_s in (1.2, 0):
            writer.write(ASKED)
            told.append((await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0])
            await asyncio.sleep(pause_s)
        writer.close()
        return told

    async def play() -> None:
        with listen_on("127.0.0.1", 0, may_be_reached=False) as made:
            config = uvicorn.Config(answer, http=headers.HastyProtocol, lifespan="off", log_config=None)
            server = uvicorn.Server(config)
            serving = asyncio.create_task(server.serve(sockets=[made]))
            port = made.getsockname()[1]
            begun = ASKED + b"GET / HTTP/1.1\r\n"
            slow, silent, second, rested = await asyncio.gather(
                cut(port, b"GET / HTTP/1.1\r\nx-slow: "),
                cut(port, b""),
                cut(port, begun),
                rest(port),
            )
            server.should_exit = True
            await serving
        assert slow == silent == headers.TOO_SLOW
        assert second.startswith(b"HTTP/1.1 204 ")
        assert second.endswith(headers.TOO_SLOW)
        assert rested == [b"HTTP/1.1 204 No Content"] * 2

    asyncio.run(play())

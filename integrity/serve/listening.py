"""Listening: a socket on loopback, and uvicorn behind it until somebody ends it."""

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from integrity.errors import UsageError, quote
from integrity.events import Event, Job
from integrity.serve.headers import HastyProtocol

LOOPBACK = "127.0.0.1"
BACKLOG = 4096
UNREAD_MS = 30_000
"""So long what was sent may wait until the client's machine takes it."""

MESSAGE_BYTES_MOST = 64 * 1024
"""So long a message of a websocket may be that a client sends."""

END_S = 5
"""So long requests that are under way have at the end."""


def listen_on(host: str, port: int, *, may_be_reached: bool) -> socket.socket:
    """Return a socket that listens.

    Args:
        host: an address, or the name localhost.
        port: 0: one that is free.
        may_be_reached: from other machines.

    Raises:
        UsageError: others could reach it, and nobody said that they may; or nothing can listen there.
    """
    address = LOOPBACK if host == "localhost" else host
    try:
        kind = ipaddress.ip_address(address)
    except ValueError:
        raise UsageError(
            f"--host: {quote(host)} is no address", hint="Leave it out for 127.0.0.1, or write 0.0.0.0."
        ) from None
    if not kind.is_loopback and not may_be_reached:
        raise UsageError(
            f"--host {host}: other machines could reach it there, and everybody who knows the test password is anybody",
            hint="Leave --host out, or say --reachable-by-others.",
        )
    made = socket.socket(socket.AF_INET6 if kind.version == 6 else socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # connections have it from here: who does not read is cut off, and not kept
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_MS)
    try:
        made.bind((address, port))
        made.listen(BACKLOG)
    except OSError as error:
        made.close()
        raise UsageError(
            f"--port {port}: nothing can listen there: {error.strerror or error}",
            hint="Name another port, or --port 0 for one that is free.",
        ) from None
    return made


def url_of(made: socket.socket) -> str:
    """Return the URL that a socket is reached by."""
    host, port = made.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _Server(uvicorn.Server):
    """Says when it answers; signals are its caller's matter."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.is_up.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def make_server(web: ASGIApp, *, has_lifespan: bool = True) -> _Server:
    """Return what serves an application, in the loop that is running then.

    Args:
        has_lifespan: the application is told of the beginning and the end, and does what it does by itself.
    """
    config = uvicorn.Config(
        web,
        loop="none",
        http=HastyProtocol,
        ws="websockets-sansio",
        ws_max_size=MESSAGE_BYTES_MOST,
        ws_per_message_deflate=False,  # of 150 bytes it spares little, and each socket would keep two windows for it
        lifespan="on" if has_lifespan else "off",
        log_config=None,
        access_log=False,
        backlog=BACKLOG,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=END_S,
    )
    logging.getLogger("uvicorn.error").setLevel(
        logging.CRITICAL
    )  # what is no request, or no UTF-8, is answered, not told about
    return _Server(config)


def serve(
    web: ASGIApp,
    made: socket.socket,
    opened: Event,
    *,
    stopping: Callable[[Callable[[], Any]], Any],
    ending: Callable[[], None],
) -> Job[None]:
    """Serve until it is stopped.

    Args:
        opened: is told as soon as requests are answered.
        stopping: a context manager that calls what it is given when this is to end.
        ending: closes what would stay open as long as its clients want.

    Raises:
        UsageError: it did not start.
    """
    server = make_server(web)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        loop = runner.get_loop()

        def end() -> None:
            ending()
            server.should_exit = True

        with stopping(partial(loop.call_soon_threadsafe, end)):
            serving = loop.create_task(server.serve(sockets=[made]))
            runner.run(_until_up(server, serving))
            if not serving.done():
                yield opened
            runner.run(_wait(serving))


async def _until_up(server: _Server, serving: "asyncio.Task[None]") -> None:
    up = asyncio.create_task(server.is_up.wait())
    await asyncio.wait([up, serving], return_when=asyncio.FIRST_COMPLETED)
    up.cancel()


async def _wait(serving: "asyncio.Task[None]") -> None:
    await asyncio.wait([serving])
    serving.result()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    made: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return made

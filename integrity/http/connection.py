"""One connection to an application, kept between requests: what a client under load has.

Nothing is sent twice, no redirect is followed, no cookie kept: what came of a request is told as it came, and whether it
can have reached the application. It parses with httptools, at a tenth of what a whole client of HTTP costs a request, as
the generator often shares its machine with what it loads.
"""

import asyncio
import os
import ssl
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

import httptools

from integrity.errors import Unreachable
from integrity.http.answer import Unanswered
from integrity.http.origin import Origin

TIMEOUT_S = 30.0
CONNECT_TIMEOUT_S = 10.0
BODY_MOST = 4 * 1024 * 1024
HEADERS_MOST = 64 * 1024
"""Bytes of an answer; one that is longer is not read to its end."""
IDLE_S_MOST = 1.0
"""So long a connection is kept that nobody asks by. Servers close those that idle (gunicorn after 2 s, uvicorn after 5),
and whoever sends something at that moment never learns whether it came."""


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """An answer as it came.

    Args:
        headers: by lowercase name; of several with one name the last. They may hold secrets, and are not shown.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)


class HttpConnection:
    """A connection; it is made again by itself where its server closed it between two requests.

    Args:
        timeout_s: for a whole answer.
        is_insecure: the server's certificate is not looked at.
    """

    def __init__(self, origin: Origin, *, timeout_s: float = TIMEOUT_S, is_insecure: bool = False) -> None:
        self.origin = origin
        self.connects = 0
        """How often it was made."""
        self._timeout_s = timeout_s
        self._exchange: _Exchange | None = None
        self._is_broken = True  # it is not open before somebody opens it
        self._tls = ssl.create_default_context() if origin.is_tls else None
        if self._tls is not None and is_insecure:
            self._tls.check_hostname, self._tls.verify_mode = False, ssl.CERT_NONE
        lines = [f"Host: {origin.netloc}", "Accept: application/json", "User-Agent: integrity"]
        if origin.user:
            lines.append(f"Authorization: Basic {b64encode(f'{origin.user}:{origin.password}'.encode()).decode()}")
        self._headers = "".join(f"{line}\r\n" for line in lines)

    @property
    def is_open(self) -> bool:
        """Whether nothing is known that would keep a request from being sent."""
        return not self._is_broken

    async def open(self) -> None:
        """Connect.

        Raises:
            Unreachable: nobody is there, or it is not to be trusted.
        """
        self.abort()
        try:
            await self._connect()
        except Unanswered as error:
            hint = "Is it running, and at this address? curl -i shows what it answers."
            raise Unreachable(f"{self.origin}: {error}", hint=hint) from None

    async def ask(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> RawAnswer:
        """Send a request, and return the answer.

        Args:
            path: with its query, percent-encoded.

        Raises:
            Unanswered: none came, or none that can be read.
        """
        if self._exchange is None or not self._exchange.is_fresh():
            await self._connect()
        exchange = self._exchange
        assert exchange is not None
        head = [f"{method} {self.origin.path}{path} HTTP/1.1\r\n", self._headers]
        head += [f"{name}: {value}\r\n" for name, value in headers.items()]
        if body is not None:
            head.append(f"Content-Length: {len(body)}\r\n")
        try:
            return await exchange.ask("".join((*head, "\r\n")).encode("latin-1") + (body or b""), self._timeout_s)
        except BaseException:
            self.abort()
            raise

    async def _connect(self) -> None:
        """Connect.

        Raises:
            Unanswered: it was not possible; nothing was sent.
        """
        if self._exchange is not None:
            self._exchange.abort()
        origin, loop = self.origin, asyncio.get_running_loop()
        self.connects += 1
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                _, self._exchange = await loop.create_connection(_Exchange, origin.host, origin.port, ssl=self._tls)
            self._is_broken = False
        except TimeoutError:
            raise self._unanswered(f"no connection within {CONNECT_TIMEOUT_S:g} s") from None
        except ssl.SSLCertVerificationError as error:
            raise self._unanswered(f"its certificate is not to be trusted: {error.verify_message}") from None
        except ssl.SSLError as error:
            raise self._unanswered(f"it does not speak TLS as we do: {error.reason or 'handshake failed'}") from None
        except OSError as error:
            raise self._unanswered(_describe(error)) from None

    def _unanswered(self, reason: str) -> Unanswered:
        self._is_broken = True
        return Unanswered(reason, was_sent=False)

    def abort(self) -> None:
        """Close abruptly: who waits for an answer is told that there is none."""
        self._is_broken = True
        if self._exchange is not None:
            self._exchange.abort()

    async def close(self) -> None:
        self.abort()


class _Exchange(asyncio.Protocol):
    """A connection's bytes: one request at a time, and the answer to it."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[RawAnswer] | None = None
        self._is_kept = True
        self._idle_since_s = 0.0
        self._size = 0
        self._begin_answer()

    def _begin_answer(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._fields: dict[str, str] = {}
        self._pieces: list[bytes] = []
        self._is_headed = False
        self._headers_size = 0
        self._size = 0

    def is_fresh(self) -> bool:
        """Return whether another request can be sent."""
        if self._transport is None or self._transport.is_closing() or not self._is_kept:
            return False
        return asyncio.get_running_loop().time() - self._idle_since_s <= IDLE_S_MOST

    async def ask(self, request: bytes, timeout_s: float) -> RawAnswer:
        loop = asyncio.get_running_loop()
        assert self._transport is not None
        assert self._waiting is None, "one request at a time: its answer would be taken for another's"
        self._begin_answer()
        waiting: asyncio.Future[RawAnswer] = loop.create_future()
        self._waiting = waiting
        timer = loop.call_later(timeout_s, self._fail, f"no answer within {timeout_s:g} s")
        self._transport.write(request)
        try:
            return await waiting
        finally:
            timer.cancel()
            self._waiting = None
            self._idle_since_s = loop.time()

    def abort(self) -> None:
        self._fail("the client hung up")

    def _fail(self, reason: str) -> None:
        """Tell who waits that there is no answer; the connection is of no use any more."""
        self._is_kept = False
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(Unanswered(reason))
        if self._transport is not None:
            self._transport.abort()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # by what it can do: those of uvloop are not by their type
        self._idle_since_s = asyncio.get_running_loop().time()

    def data_received(self, data: bytes) -> None:
        if self._waiting is None or self._waiting.done():
            self._fail("it sent what nobody asked for")
            return
        self._headers_size += 0 if self._is_headed else len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail("it went on to another protocol")
        except httptools.HttpParserError as error:
            self._fail(f"what it answered is no HTTP: {error}")
        if not self._is_headed and self._headers_size > HEADERS_MOST:
            self._fail(f"the headers of its answer are longer than {HEADERS_MOST // 1024} KiB")

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, error: Exception | None) -> None:
        is_whole = self._is_headed and error is None and not self._fields.keys() & {"content-length", "transfer-encoding"}
        if is_whole:  # it ends with the connection
            self.on_message_complete()
        began = "the connection was closed within the answer" if self._is_headed else "the connection was closed"
        self._fail(began if self._is_headed else f"{began} before an answer")

    # What the parser calls.

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self._is_headed = self._parser.get_status_code() >= 200

    def on_body(self, body: bytes) -> None:
        self._size += len(body)
        if self._size > BODY_MOST:
            self._fail(f"the body of its answer is longer than {BODY_MOST // 1024**2} MiB")
        else:
            self._pieces.append(body)

    def on_message_complete(self) -> None:
        if not self._is_headed:  # it tells that it goes on
            self._fields.clear()
            return
        self._is_kept = self._is_kept and self._parser.should_keep_alive()
        if self._waiting is not None and not self._waiting.done():
            answer = RawAnswer(self._parser.get_status_code(), self._fields, b"".join(self._pieces))
            self._waiting.set_result(answer)
        else:
            self._is_kept = False  # a second answer to one question


def _describe(error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, ConnectionResetError):
        return "the connection was reset"
    return f"no connection: {os.strerror(error.errno)}" if error.errno and error.errno > 0 else "no address of that name"

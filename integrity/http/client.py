"""Sending requests: one client for an application, one session for each actor.

A client has an event loop, in a thread of its own or of whoever gives it one; sessions are called from any other thread,
and either wait for the answer (`send`) or are told it when it is there (`begin`). Nothing is sent twice. Every request
opens a connection of its own: a server of one worker stays taken by one that is kept.
"""

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urljoin

import aiohttp
import yarl

from integrity.errors import AuditError, describe_unexpected
from integrity.http.answer import Answer, Unanswered
from integrity.http.csrf import Token, token_of_cookies, token_of_page, with_token
from integrity.http.request import Json, Parts, Raw, Request
from integrity.http.values import Values, fill, take

BODY_MOST = 4 * 1024 * 1024
"""Of an answer; what is longer is left where it is."""
REDIRECTS_MOST = 10
TIMEOUT_S = 30.0

_T = TypeVar("_T")

Outcome = Answer | Unanswered | AuditError
"""What became of an actor's requests: the last answer, or that none came, or that one could not be made."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What a login left: given to other sessions, they are logged in.

    Args:
        cookies, headers: by name. Secrets, which are never shown.
        token: against forged requests, from the last page.
    """

    cookies: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    token: Token | None = field(default=None, repr=False)


class Client:
    """Sends what sessions are told to send.

    Args:
        url: the application's address, which paths are at.
        timeout_s: for an answer, from the connection on.
        loop: that somebody runs, as long as the client is open; None: one with a thread of its own.
    """

    def __init__(self, url: str, *, timeout_s: float = TIMEOUT_S, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self.url = url.rstrip("/") + "/"
        self.timeout_s = timeout_s
        self._loop = loop or asyncio.new_event_loop()
        self._thread: threading.Thread | None = None
        if loop is None:
            self._thread = threading.Thread(target=self._loop.run_forever, name="integrity-http", daemon=True)
        self._connector: aiohttp.TCPConnector | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._sessions: list[Session] = []
        self.cookies_seen: set[str] = set()
        """Values of the cookies that sessions had: secrets."""

    def __enter__(self) -> "Client":
        if self._thread is not None:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End what is under way, and the thread."""
        self.wait_for(self._end())
        if self._thread is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def session(self, kept: Kept | None = None) -> "Session":
        """Return a new session, logged in as `kept` says."""
        session = self.wait_for(self._open(kept or Kept()))
        self._sessions.append(session)
        return session

    def call(
        self, kept: Kept, requests: Sequence[Request], values: Values, tell: Callable[[Outcome], None]
    ) -> Callable[[], object]:
        """Begin to send requests in a session of their own, which ends with them; see `Session.begin`."""
        return self.start(self._call(kept, requests, dict(values), tell)).cancel

    def start(self, work: Coroutine[Any, Any, _T]) -> "Future[_T]":
        """Let the loop do something; the future is told, and can be cancelled."""
        return asyncio.run_coroutine_threadsafe(self._noting(work), self._loop)

    def wait_for(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Return what the loop makes of something."""
        return self.start(work).result()

    async def _noting(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Do something, as one of the tasks that end with the client."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await work

    def take_connector(self) -> aiohttp.TCPConnector:
        """Return what connects all sessions; called in the loop."""
        if self._connector is None:
            self._connector = aiohttp.TCPConnector(force_close=True, limit=0)
        return self._connector

    async def _open(self, kept: Kept) -> "Session":
        return Session(self, kept)  # within the loop, as its library wants it

    async def _call(
        self, kept: Kept, requests: Sequence[Request], values: dict[str, Any], tell: Callable[[Outcome], None]
    ) -> None:
        session = Session(self, kept)
        try:
            await session.send_all(requests, values, tell)
        finally:
            await session.close()

    async def _end(self) -> None:
        others = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        for session in self._sessions:
            await session.close()
        if self._connector is not None:
            await self._connector.close()


class Session:
    """Cookies, headers and the last token of one actor. Made by `Client.session`."""

    def __init__(self, client: Client, kept: Kept) -> None:
        self._client = client
        self._address = yarl.URL(client.url)
        self._jar = aiohttp.CookieJar(unsafe=True)  # also of addresses that are numbers
        self._jar.update_cookies(dict(kept.cookies), self._address)
        self._headers = dict(kept.headers)
        self._token = kept.token
        self._session = aiohttp.ClientSession(
            cookie_jar=self._jar,
            connector=client.take_connector(),
            connector_owner=False,
            timeout=aiohttp.ClientTimeout(total=client.timeout_s),
        )
        # Else a GET whose connection is closed is sent a second time, unseen, on new connections, too (3.14). The library
        # has no setting for it; its own test client does this.
        self._session._retry_connection = False

    def keep(self, *, headers: Mapping[str, str] | None = None) -> Kept:
        """Return what makes another session logged in as this one is."""
        return self._client.wait_for(self._keep(headers or {}))

    def send(self, request: Request, values: Values | None = None) -> Answer:
        """Send a request, and return the answer.

        Raises:
            Unanswered: none came.
            UsageError: it names a value that there is not.
        """
        return self._client.wait_for(self._send(fill(request, values or {})))

    def begin(self, requests: Sequence[Request], values: Values, tell: Callable[[Outcome], None]) -> Callable[[], object]:
        """Begin to send requests, one behind the other, up to the first whose answer is not what it expects.

        Args:
            tell: is called once, from the client's thread, with what came of it.

        Returns:
            what cuts it off; it is told as unanswered then.
        """
        return self._client.start(self.send_all(requests, dict(values), tell)).cancel

    async def close(self) -> None:
        """End the session; called in the client's loop."""
        await self._session.close()

    async def _keep(self, headers: Mapping[str, str]) -> Kept:
        return Kept(self._cookies(), {**self._headers, **headers}, self._token)

    async def send_all(self, requests: Sequence[Request], values: dict[str, Any], tell: Callable[[Outcome], None]) -> None:
        """Send requests one behind the other, and tell; called in the client's loop."""
        outcome: Outcome = Unanswered("there was nothing to send", was_sent=False)
        try:
            for request in requests:
                outcome = await self._send(fill(request, values))
                if not request.expects(outcome.status):
                    break
                values |= take(outcome, request.takes, place=request.shown)
        except (Unanswered, AuditError) as error:
            outcome = error
        except asyncio.CancelledError:
            outcome = Unanswered("it was cut off")
        except Exception as error:  # whoever waits must be told
            outcome = Unanswered(describe_unexpected(error))
        tell(outcome)

    async def _send(self, request: Request) -> Answer:
        url = urljoin(self._client.url, request.url)
        fitted = with_token(request, token_of_cookies(self._cookies()) or self._token, url=url)
        given = {name.lower() for name, _ in fitted.headers}
        headers = [(name, value) for name, value in self._headers.items() if name.lower() not in given]
        headers += fitted.headers
        with _in_words(self._client.timeout_s):
            async with self._session.request(
                fitted.method,
                url,
                headers=headers,
                allow_redirects=fitted.follows_redirects,
                max_redirects=REDIRECTS_MOST,
                ssl=not fitted.is_insecure,
                **_body(fitted),
            ) as response:
                content = await _read(response)
                answer = Answer(
                    response.status,
                    {name.lower(): value for name, value in response.headers.items()},
                    content.decode(response.charset or "utf-8", "replace"),
                    str(response.url),
                )
        self._client.cookies_seen.update(self._cookies().values())
        if answer.content_type == "text/html":
            self._token = token_of_page(answer.text) or self._token
        return answer

    def _cookies(self) -> dict[str, str]:
        found = self._jar.filter_cookies(self._address)
        return {name: morsel.value for name, morsel in found.items()}


def _body(request: Request) -> dict[str, Any]:
    match request.body:
        case Json(value):
            return {"json": value}
        case Raw(content):
            return {"data": content.encode() if isinstance(content, str) else content}
        case Parts(parts):
            form = aiohttp.FormData(default_to_multipart=True)
            for part in parts:
                form.add_field(part.name, part.content, filename=part.filename, content_type=part.content_type)
            return {"data": form}
        case None:
            return {}


async def _read(response: "aiohttp.ClientResponse") -> bytes:
    pieces: list[bytes] = []
    size = 0
    async for piece in response.content.iter_chunked(64 * 1024):
        pieces.append(piece)
        size += len(piece)
        if size >= BODY_MOST:
            break
    return b"".join(pieces)[:BODY_MOST]


@contextlib.contextmanager
def _in_words(timeout_s: float) -> Iterator[None]:
    """Raise Unanswered in place of what the library raises, whose texts hold addresses and objects."""
    try:
        yield
    except TimeoutError:
        raise Unanswered(f"no answer within {timeout_s:g} s") from None
    except aiohttp.ClientConnectorCertificateError:
        raise Unanswered("the server's certificate is not to be trusted (-k does not look at it)", was_sent=False) from None
    except aiohttp.ClientConnectorError as error:
        raise Unanswered(
            f"no connection: {os.strerror(error.os_error.errno) if error.os_error.errno else 'no address of that name'}",
            was_sent=False,
        ) from None
    except aiohttp.ServerDisconnectedError:
        raise Unanswered("the connection was closed before an answer") from None
    except aiohttp.TooManyRedirects:
        raise Unanswered(f"more than {REDIRECTS_MOST} redirects") from None
    except aiohttp.InvalidURL:
        raise Unanswered("its URL cannot be used", was_sent=False) from None
    except (aiohttp.ClientError, OSError) as error:
        raise Unanswered(f"the connection broke: {type(error).__name__}") from None

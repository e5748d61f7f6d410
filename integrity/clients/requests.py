"""The carrier of somebody's own requests: a call is the request that its target declares, with drawn values in its places.

How a call ended is what its answer says: as the request expects it, the application's correct no, or neither. What was sent
and not answered may have had an effect, and so may what ended in a 5xx: unknown, but for 503, which nobody took.
"""

import asyncio
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from random import Random
from time import perf_counter
from typing import Any
from urllib.parse import urljoin, urlsplit

import orjson

from integrity.clients.carrier import Abandon, AskOutside
from integrity.errors import AuditError, UsageError, quote
from integrity.history import Outcome, Returned
from integrity.http.answer import Answer, Unanswered
from integrity.http.client import Client, Kept
from integrity.http.connection import TIMEOUT_S, HttpConnection, RawAnswer
from integrity.http.login import log_in
from integrity.http.origin import Origin, read_origin
from integrity.http.request import FORM_TYPE, Json, Parts, Raw, Request, with_header
from integrity.http.secrets import hidden_in
from integrity.http.target import NOT_FOUND, Declines, TargetRequest, TargetRequests, reason_of
from integrity.http.values import fill, take
from integrity.masking import mask_reply, mask_tokens
from integrity.operation import Operation, Rows

UNAUTHORIZED = 401
DIES_AFTER_S = 0.0005
REDIRECTS_MOST = 10
_SHOWN_MOST = 200


class RequestServer:
    """An application, and what was had of it by logging in. Carriers share it."""

    def __init__(self, origin: Origin, target: TargetRequests, *, timeout_s: float = TIMEOUT_S) -> None:
        self.origin = origin
        self.target = target
        self._timeout_s = timeout_s
        self._kept: Kept | None = None
        self._turn: asyncio.Lock | None = None

    def carry(self, random: Random) -> "RequestCarrier":
        """Return a carrier on a connection of its own, not yet open."""
        return RequestCarrier(self, self.connect())

    def connect(self) -> HttpConnection:
        """Return a connection, not yet open."""
        is_insecure = any(each.request.is_insecure for each in self.target.requests.values())
        return HttpConnection(self.origin, timeout_s=self._timeout_s, is_insecure=is_insecure)

    async def logged_in(self) -> Kept:
        """Return what a login left; the first who asks logs in for all.

        Raises:
            UsageError: that was not possible.
        """
        if not self.target.login:
            return _NOTHING
        self._turn = self._turn or asyncio.Lock()
        async with self._turn:
            if self._kept is None:
                self._kept = await asyncio.to_thread(self._log_in)
        return self._kept

    def forget(self, kept: Kept) -> None:
        """Forget what a login left: it is not taken any more."""
        if self._kept is kept:
            self._kept = None

    def _log_in(self) -> Kept:
        origin = self.origin
        with Client(f"{origin.scheme}://{origin.netloc}{origin.path}", timeout_s=self._timeout_s) as client:
            return log_in(client.session(), self.target.login, {}, bearer=self.target.bearer)

    def hide(self, text: str) -> str:
        """Return a text without secrets: those that were declared, and those that a login left."""
        kept = self._kept or _NOTHING
        known = self.target.secrets.union(kept.cookies.values(), kept.headers.values())
        return mask_tokens(str(hidden_in(text, known)))


_NOTHING = Kept()


class RequestCarrier:
    """Carries calls over one connection. See carrier.Carrier for what it promises."""

    def __init__(self, server: RequestServer, connection: HttpConnection) -> None:
        self.connection = connection
        self._server = server

    async def call(
        self,
        operation: Operation,
        arguments: Mapping[str, Any],
        request: AskOutside,
        abandon: Abandon | None = None,
        *,
        push: Callable[[Rows], None] | None = None,
        answered: Callable[[], None] | None = None,
    ) -> Returned:
        """See carrier.Carrier. No service is asked, and nothing is pushed."""
        server = self._server
        asked = server.target.requests[operation.name]
        try:
            kept = await server.logged_in()
            filled = fill(asked.request, {name: sent(value) for name, value in arguments.items()})
            path, body, headers = _encoded(filled, kept, server.origin)
        except AuditError as error:
            return Returned(Outcome.FAILED, None, server.hide(error.message), 1)
        if abandon is not None and abandon.after == 0 and not abandon.in_flight:
            self.connection.abort()
            return _abandoned(Outcome.FAILED, "before it sent the request")
        began_s = perf_counter()
        dying = None
        if abandon is not None:
            after_s = DIES_AFTER_S * (abandon.after or 0)
            dying = asyncio.get_running_loop().call_later(after_s, self.connection.abort)
        try:
            answer, at = await self._ask(filled, path, headers, body)
        except Unanswered as error:
            outcome = Outcome.UNKNOWN if error.was_sent else Outcome.FAILED
            is_dead = dying is not None and str(error) == "the client hung up"
            return _abandoned(outcome, "waiting for the answer") if is_dead else _ended(asked, outcome, str(error))
        finally:
            if dying is not None:
                dying.cancel()
        if answer.status == UNAUTHORIZED and server.target.login:
            server.forget(kept)
        return self._read(asked, _told(answer, at), (perf_counter() - began_s) * 1000)

    async def _ask(
        self, request: Request, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> tuple[RawAnswer, str]:
        """Return the answer, and where it was given: where one points to is gone to, if the request says so.

        Raises:
            Unanswered: there was none, or too many of them point on.
        """
        method = request.method
        for _ in range(REDIRECTS_MOST + 1):
            answer = await self.connection.ask(method, path, headers, body)
            where = answer.headers.get("location", "")
            if not (request.follows_redirects and 300 <= answer.status < 400 and where):
                return answer, path
            path = urljoin(path, where)
            if not path.startswith("/") or path.startswith("//"):
                path = _path_at(path, self._server.origin)
                if not path:
                    raise Unanswered(f"it points to {quote(_host(where))}, and only {self._server.origin} is asked")
            if answer.status == 303 or (answer.status in (301, 302) and method == "POST"):
                method, body = "GET", None
        raise Unanswered(f"more than {REDIRECTS_MOST} redirects")

    def _read(self, asked: TargetRequest, answer: Answer, took_ms: float) -> Returned:
        hide = self._server.hide
        checks = tuple((each.name, each.holds(answer, took_ms)) for each in asked.checks)
        if asked.request.expects(answer.status):
            try:
                taken = take(answer, asked.request.takes, place="answer")
            except UsageError as error:  # it did what it was asked for, and does not say what must be known of it
                return Returned(Outcome.UNKNOWN, None, hide(error.message), 1, checks=checks)
            reply: dict[str, Any] = {"status": answer.status, **taken}
            shown = mask_reply({name: hide(each) if isinstance(each, str) else each for name, each in reply.items()})
            return Returned(Outcome.OK, shown, "", 1, checks=checks, taken=taken)
        if _is_declined(asked.declines, answer):
            reply = {"status": answer.status, "reason": hide(reason_of(answer))}
            return Returned(Outcome.DECLINED, reply, "", 1, checks=checks)
        text = " ".join(answer.text[: 4 * _SHOWN_MOST].split())[:_SHOWN_MOST]
        said = hide(f"HTTP {answer.status}{f': {text}' if text else ''}")
        if answer.status == 503:
            return Returned(Outcome.UNAVAILABLE, {"status": 503, "reason": "http_503"}, said, 1, checks=checks)
        outcome = Outcome.UNKNOWN if answer.status >= 500 or answer.status < 400 else Outcome.FAILED
        return Returned(outcome, None, said, 1, checks=checks)


def check_paths(target: TargetRequests, origin: Origin, *, place: str) -> None:
    """Raise UsageError where a request is not at the target's own address."""
    for name, each in target.requests.items():
        url = each.request.url
        if not url.startswith("/") and "{" not in url[:1] and not _path_at(url, origin):
            raise UsageError(
                f"{place}.{name}: {quote(_host(url))} is not at {origin}, which is the target's address",
                hint="Write the path alone, or declare a target of that address.",
            )


def sent(value: Any) -> Any:
    """Return a value as a request holds it: what JSON has."""
    if isinstance(value, Decimal):
        return int(value) if value.as_tuple().exponent == 0 else float(value)
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _is_declined(declines: Declines | None, answer: Answer) -> bool:
    if declines is not None:
        return answer in declines
    return 400 <= answer.status < 500 and answer.status not in NOT_FOUND


def _encoded(request: Request, kept: Kept, origin: Origin) -> tuple[str, bytes | None, dict[str, str]]:
    """Return a request's path, body and headers, with what a login left."""
    path = request.url if request.url.startswith("/") else _path_at(request.url, origin)
    if not path:
        raise UsageError(f"{quote(_host(request.url))} is not at {origin}", hint="Write the path alone.")
    own = request.headers
    body, kind = _body(request)
    if kind and request.header("content-type") is None:
        own = with_header(own, "Content-Type", kind)
    headers = dict(kept.headers)
    for name, value in own:
        headers = {each: said for each, said in headers.items() if each.lower() != name.lower()} | {name: value}
    if kept.cookies and request.header("cookie") is None:
        headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in kept.cookies.items())
    if any(letter in "\r\n" for each in (path, *headers, *headers.values()) for letter in each):
        raise UsageError("a value with a line's end in it stands in a header", hint="Take such values into the body alone.")
    return path, body, {name: value.encode().decode("latin-1") for name, value in headers.items()}


def _body(request: Request) -> tuple[bytes | None, str]:
    match request.body:
        case Json(value):
            return orjson.dumps(value), "application/json"
        case Raw(content):
            return (content.encode() if isinstance(content, str) else content), FORM_TYPE
        case Parts(parts):
            mark = uuid.uuid4().hex
            pieces = []
            for part in parts:
                head = f'--{mark}\r\nContent-Disposition: form-data; name="{part.name}"'
                head += f'; filename="{part.filename}"' if part.filename is not None else ""
                head += f"\r\nContent-Type: {part.content_type}" if part.content_type else ""
                content = part.content.encode() if isinstance(part.content, str) else part.content
                pieces.append(f"{head}\r\n\r\n".encode() + content + b"\r\n")
            return b"".join(pieces) + f"--{mark}--\r\n".encode(), f"multipart/form-data; boundary={mark}"
        case None:
            return (b"", "") if request.method in ("POST", "PUT", "PATCH") else (None, "")


def _path_at(url: str, origin: Origin) -> str:
    """Return the path of a whole URL at an address; empty: it is at another one."""
    try:
        there = read_origin(url.partition("?")[0].partition("#")[0], place="")
    except UsageError:
        return ""
    split = urlsplit(url)
    is_here = (there.scheme, there.host.lower(), there.port) == (origin.scheme, origin.host.lower(), origin.port)
    path = (split.path or "/").removeprefix(origin.path)
    return f"{path or '/'}{f'?{split.query}' if split.query else ''}" if is_here else ""


def _host(url: str) -> str:
    return f"{urlsplit(url).scheme}://{urlsplit(url).hostname or ''}"


def _told(answer: RawAnswer, path: str) -> Answer:
    return Answer(answer.status, answer.headers, answer.body.decode("utf-8", "replace"), path)


def _ended(asked: TargetRequest, outcome: Outcome, error: str) -> Returned:
    """Return a call without an answer: no check of it held."""
    return Returned(outcome, None, error, 1, checks=tuple((each.name, False) for each in asked.checks))


def _abandoned(outcome: Outcome, when: str) -> Returned:
    return replace(Returned(outcome, None, f"abandoned: the client died {when}", 1), was_abandoned=True)

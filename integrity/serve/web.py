"""The web application: requests become calls by the system's table of endpoints, and what came of them answers.

Starlette
  Observing      request ids, how long each request took, and what nobody foresaw as an answer of JSON
    /health /metrics, login, pages
    the streams: websockets and event streams, see streams.py
    everything else: the table
"""

import asyncio
import hmac
import logging
import re
import time
import uuid
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from integrity.endpoints.answers import encode_return
from integrity.endpoints.endpoint import Endpoint
from integrity.endpoints.login import BYPASS
from integrity.endpoints.record import CALLS, PASSWORD, PATH, REQUESTS, SINCE
from integrity.endpoints.requests import JSON, BadRequest, WireRequest, decode_call
from integrity.endpoints.signature import SIGNATURE, why_not_signed
from integrity.endpoints.table import Endpoints
from integrity.history import Outcome, Returned
from integrity.serve.application import Application
from integrity.serve.limiter import Limiter
from integrity.serve.metrics import CONTENT_TYPE
from integrity.serve.streams import Streams
from integrity.serve.tokens import TOKEN_S, Tokens

BODY_S = 30.0
"""So long a client may take to send a body."""

LOGIN_BYTES_MOST = 4_096

ACCESS_TOKEN = "access_token"  # noqa: S105  (a name)
"""The parameter of a query that a token may be in."""

ROUTE = "integrity.route"
"""In a scope: what metrics call the request."""

OTHER = "other"
"""What they call one that asks for nothing here: paths that anybody makes up would be names without end."""

RATE_LIMITED = "rate_limited"
"""Why who has asked as often as he may is declined."""

_REQUEST_ID = re.compile(r"[\w.\-]{1,100}")
_log = logging.getLogger("integrity.serve")


@dataclass(frozen=True, slots=True)
class Secrets:
    """What clients must know, and what signs their tokens; it is shown nowhere.

    Args:
        bypass: whoever sends it is not counted by the limiter; empty: everybody is.
        service_key: whoever bears it may all, the server's record included; empty: nobody does.
        webhook_key: outside services sign their webhooks with it; empty: they sign none.
    """

    password: str = field(repr=False)
    api_key: str = field(repr=False)
    signing: bytes = field(repr=False)
    bypass: str = field(default="", repr=False)
    service_key: str = field(default="", repr=False)
    webhook_key: str = field(default="", repr=False)


def make_web(
    application: Application, endpoints: Endpoints, secrets: Secrets, streams: Streams | None = None, *, venue: str = ""
) -> Starlette:
    """Return the web application of a system.

    Args:
        streams: its websockets and event streams; None: it has none.
        venue: whose it is, as its health says; empty: nobody asked.
    """
    web = _Web(application, endpoints, secrets, venue)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        running = asyncio.create_task(application.run())
        try:
            yield
        finally:
            running.cancel()
            await asyncio.wait([running])
            await application.end()

    routes: list[BaseRoute] = [Route("/health", web.health), Route("/metrics", web.metrics), Route(PATH, web.record)]
    if endpoints.login is not None:
        routes.append(Route(endpoints.login.path, web.log_in, methods=["POST"]))
    routes += [Route(path, _page(html)) for path, html in endpoints.pages.items()]
    routes += streams.routes(web.admit) if streams is not None else []
    routes.append(Route("/{path:path}", web.Calls(web)))
    fixed = frozenset(each.path for each in routes if isinstance(each, Route))
    web.fixed = {each.path: each.methods or () for each in routes[:-1] if isinstance(each, Route)}
    return Starlette(
        routes=routes, middleware=[Middleware(_Observing, application=application, fixed=fixed)], lifespan=lifespan
    )


class _Web:
    """What answers.

    Attributes:
        fixed: methods of the paths that are in no table.
    """

    def __init__(self, application: Application, endpoints: Endpoints, secrets: Secrets, venue: str = "") -> None:
        self.fixed: Mapping[str, Collection[str]] = {}
        self._application = application
        self._endpoints = endpoints
        self._secrets = secrets
        self._venue = {"venue": venue} if venue else {}
        self._tokens = Tokens(secrets.signing, time.time)
        self._limiter = Limiter(endpoints.limit) if endpoints.limit else None

    async def health(self, _request: Request) -> Response:
        """Say whether the database answers."""
        is_well = await self._application.pool.is_answering()
        said = {"status": "ok" if is_well else "unavailable", "system": self._application.system.name, **self._venue}
        return _json(said if is_well else {**said, "reason": "the database does not answer"}, 200 if is_well else 503)

    async def metrics(self, _request: Request) -> Response:
        return Response(self._application.metrics.render(), media_type=CONTENT_TYPE)

    async def record(self, request: Request) -> Response:
        """Tell who knows the password, or bears the service's key, what the server did by itself."""
        if not (_is_same(request.headers.get(PASSWORD, ""), self._secrets.password) or self._bears_service_key(request)):
            raise BadRequest(401, f"the header {PASSWORD} must hold the password", field=PASSWORD)
        try:
            numbers = (max(0, int(request.query_params.get(name, 0))) for name in (CALLS, REQUESTS, SINCE))
            first, second, since_us = numbers
        except ValueError:
            raise BadRequest(422, f"{CALLS} and {REQUESTS} are numbers of lines, {SINCE} microseconds") from None
        owed = self._application.deliveries
        page = self._application.record.page(first, second, owed=owed.outstanding, owed_since=owed.count_since(since_us))
        return Response(page, media_type=JSON)

    async def log_in(self, request: Request) -> Response:
        """Give a token to who knows the password."""
        login = self._endpoints.login
        assert login is not None
        self._check_key(request)
        claims = login.decode(await read_body(request, LOGIN_BYTES_MOST), self._secrets.password)
        token = self._tokens.make(claims)
        return _json({"access_token": token, "token_type": "bearer", "expires_in": TOKEN_S})

    class Calls:
        """Answers every request of the table: an application of its own, as it takes all methods."""

        def __init__(self, web: "_Web") -> None:
            self._web = web

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            await (await self._web.call(Request(scope, receive)))(scope, receive, send)

    async def call(self, request: Request) -> Response:
        """Carry out the call that a request asks for.

        Raises:
            BadRequest: it asks for none.
        """
        path, query = _sent(request, "raw_path"), _sent(request, "query_string")
        try:
            endpoint, placed = self._endpoints.match(request.method, path, query)
        except BadRequest as error:
            if error.status != 404 or path not in self.fixed:
                raise
            allowed = ", ".join(sorted(self.fixed[path]))
            raise BadRequest(405, f"{path} takes {allowed}, not {request.method}", allow=allowed) from None
        request.scope[ROUTE] = endpoint.path
        claims: Mapping[str, Any] = {}
        if endpoint.is_authenticated:
            self._check_key(request)
            claims = self.read_token(request)
            if refused := self._refuse(request, path, claims):
                return refused
        body = await read_body(request, endpoint.body_bytes_most)
        if endpoint.is_signed and self._secrets.webhook_key:
            self._check_signature(request, body)
        wire = WireRequest(request.method, path, query, dict(request.headers), body, claims)
        arguments, operation_id = decode_call(endpoint, placed, wire)
        carried = await self._application.call(endpoint.operation, arguments, operation_id)
        answer = self._endpoints.encode_return(endpoint, carried.returned, carried.events, now_s=time.time())
        return Response(answer.body, answer.status, {**answer.headers, "operation-id": str(carried.operation_id)})

    def admit(self, request: HTTPConnection, endpoint: Endpoint) -> Mapping[str, Any]:
        """Return what the token of who opens a stream says; a browser's cannot send headers, so the query may have it.

        Raises:
            BadRequest: he may not.
        """
        if not endpoint.is_authenticated:
            return {}
        self._check_key(request)
        return self.read_token(request)

    def read_token(self, request: HTTPConnection) -> Mapping[str, Any]:
        """Return what the bearer token of a request says.

        Raises:
            BadRequest: it has none of ours.
        """
        held = request.headers.get("authorization", "")
        if not held and ACCESS_TOKEN in request.query_params:
            held = f"Bearer {request.query_params[ACCESS_TOKEN]}"
        kind, _, token = held.partition(" ")
        if kind.lower() != "bearer" or not token:
            raise BadRequest(401, "this is for who is logged in: the header Authorization must be Bearer and a token")
        if self._endpoints.api_key and _is_same(token, self._secrets.api_key):
            return {}
        if self._bears_service_key(request):
            return {}
        claims = self._tokens.read(token)
        if claims is None:
            raise BadRequest(401, "the bearer token is none of ours, or too old: log in again")
        return claims

    def _check_key(self, request: HTTPConnection) -> None:
        name = self._endpoints.api_key
        given = request.headers.get(name) or request.query_params.get(name, "") if name else ""
        if name and not any(_is_same(given, key) for key in (self._secrets.api_key, self._secrets.service_key) if key):
            raise BadRequest(401, f"the header {name} must hold the service's key", field=name)

    def _check_signature(self, request: Request, body: bytes) -> None:
        given, key = request.headers.get(SIGNATURE, ""), self._secrets.webhook_key
        if why := why_not_signed(given, body, key, now_s=time.time()):
            raise BadRequest(401, why, field=SIGNATURE)

    def _refuse(self, request: Request, path: str, claims: Mapping[str, Any]) -> Response | None:
        """Return the answer to who has asked as often as he may in this window; None: he may."""
        if self._limiter is None or not claims or self._is_let_by(request):
            return None
        now_s = time.time()
        if self._limiter.admits(path, tuple(claims.items()), now_s=now_s):
            return None
        returned = Returned(Outcome.DECLINED, {"reason": RATE_LIMITED}, "", 1)
        left_s = self._limiter.limit.left_s(now_s)
        answer = encode_return(returned, declines={RATE_LIMITED: 429}, retry_after_s=left_s)
        return Response(answer.body, answer.status, answer.headers)

    def _bears_service_key(self, request: HTTPConnection) -> bool:
        kind, _, key = request.headers.get("authorization", "").partition(" ")
        return bool(self._secrets.service_key) and kind.lower() == "bearer" and _is_same(key, self._secrets.service_key)

    def _is_let_by(self, request: Request) -> bool:
        return bool(self._secrets.bypass) and _is_same(request.headers.get(BYPASS, ""), self._secrets.bypass)


async def read_body(request: Request, bytes_most: int) -> bytes:
    """Return a request's body.

    Raises:
        BadRequest: it is longer than that, or does not come to its end.
    """
    said = request.headers.get("content-length", "0")
    too_long = BadRequest(413, f"the body is longer than {bytes_most:,} bytes, which is what may be sent here")
    if not said.isdecimal() or int(said[:20]) > bytes_most:
        raise too_long
    parts, count = [], 0
    try:
        async with asyncio.timeout(BODY_S):
            async for part in request.stream():
                count += len(part)
                if count > bytes_most:
                    raise too_long
                parts.append(part)
    except TimeoutError:
        raise BadRequest(408, f"the body did not come to its end within {BODY_S:g} s") from None
    return b"".join(parts)


class _Observing:
    """Measures each request, gives it an id, and answers what was refused, or went wrong, with JSON."""

    def __init__(self, app: ASGIApp, application: Application, fixed: Collection[str]) -> None:
        self._app = app
        self._fixed = fixed
        self._observe = application.metrics.requests.observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began_s = time.perf_counter()
        request_id = _request_id(scope)
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except ClientDisconnect:
            status = 499  # as nginx has it: nobody is there to be answered
        except Exception as error:
            if status:
                raise
            await _describe(error, request_id)(scope, receive, sending)
        finally:
            route = scope.get(ROUTE) or (scope["path"] if scope["path"] in self._fixed else OTHER)
            self._observe(time.perf_counter() - began_s, scope["method"], route, str(status))


def _describe(error: Exception, request_id: str) -> Response:
    """Return the answer that tells of an exception."""
    if isinstance(error, BadRequest):
        members = {"error": str(error), **({"field": error.field} if error.field else {})}
        headers = {"allow": error.allow} if error.allow else {}
        headers |= {"www-authenticate": "Bearer"} if error.status == 401 else {}
        return _json({**members, "request_id": request_id}, error.status, headers)
    _log.error("request %s", request_id, exc_info=error)
    return _json({"error": "an error of the server's own", "request_id": request_id}, 500)


def _json(members: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] = {}) -> Response:
    return Response(orjson.dumps(members), status, {"content-type": JSON, **headers})


def _page(html: str) -> Callable[[Request], Any]:
    async def page(_request: Request) -> Response:
        return HTMLResponse(html)

    return page


def _request_id(scope: Scope) -> str:
    given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"").decode("latin-1")
    return given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def _sent(request: Request, part: str) -> str:
    """Return a part of the URL as it was sent."""
    value: bytes = request.scope.get(part) or (b"" if part == "query_string" else request.scope["path"].encode())
    return value.decode("latin-1")


def _is_same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())

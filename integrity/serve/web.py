"""The web application: requests become calls by the system's table of endpoints, and what came of them answers.

Starlette
  Observing      request ids, how long each request took, and what nobody foresaw as an answer of JSON: observing.py
    /health /metrics, login, pages
    the streams: websockets and event streams, see streams.py
    everything else: the table
"""

import asyncio
import hmac
import time
import uuid
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from integrity.endpoints.answers import encode_return
from integrity.endpoints.endpoint import Endpoint
from integrity.endpoints.login import BYPASS
from integrity.endpoints.outside import CAUSED_AT
from integrity.endpoints.record import CALLS, PASSWORD, PATH, REQUESTS, SINCE
from integrity.endpoints.requests import JSON, BadRequest, WireRequest, decode_call
from integrity.endpoints.signature import SIGNATURE, why_not_signed
from integrity.endpoints.table import Endpoints
from integrity.history import Outcome, Returned
from integrity.serve.application import Application
from integrity.serve.gate import Gate
from integrity.serve.limiter import Limiter
from integrity.serve.metrics import CONTENT_TYPE
from integrity.serve.observing import ROUTE, Observing, json_answer, read_body
from integrity.serve.streams import Streams
from integrity.serve.tokens import TOKEN_S, Tokens

LOGIN_BYTES_MOST = 4_096

ACCESS_TOKEN = "access_token"  # noqa: S105  (a name)
"""The parameter of a query that a token may be in."""

COUNT_EXACT = "count=exact"
"""What who wants all rows counted says in the header Prefer."""

RATE_LIMITED = "rate_limited"
"""Why who has asked as often as he may is declined."""


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
    routes += streams.routes(Gate(web.admit, web.check_key, web.read_later_token)) if streams is not None else []
    routes.append(Route("/{path:path}", web.Calls(web)))
    fixed = frozenset(each.path for each in routes if isinstance(each, Route))
    web.fixed = {each.path: each.methods or () for each in routes[:-1] if isinstance(each, Route)}
    return Starlette(
        routes=routes, middleware=[Middleware(Observing, metrics=application.metrics, fixed=fixed)], lifespan=lifespan
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
        return json_answer(said if is_well else {**said, "reason": "the database does not answer"}, 200 if is_well else 503)

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
        owed = await self._application.owed(since_us)
        if owed is None:
            return json_answer({"error": "the server of the outside parties does not say what they owe"}, 503)
        page = self._application.record.page(first, second, owed=owed.count, owed_since=owed.since)
        return Response(page, media_type=JSON)

    async def log_in(self, request: Request) -> Response:
        """Give a token to who knows the password."""
        login = self._endpoints.login
        assert login is not None
        self.check_key(request)
        body = await read_body(request, LOGIN_BYTES_MOST)
        token = self._tokens.make(login.decode(body, self._secrets.password))
        email = orjson.loads(body)["email"]
        user = {"id": str(uuid.uuid5(uuid.NAMESPACE_URL, email)), "aud": "authenticated", "email": email}
        session = {"access_token": token, "token_type": "bearer", "expires_in": TOKEN_S, "refresh_token": token}
        return json_answer({**session, "user": user})

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
            method = "GET" if request.method == "HEAD" else request.method  # the server sends no body then
            endpoint, placed = self._endpoints.match(method, path, query)
        except BadRequest as error:
            if error.status != 404 or path not in self.fixed:
                raise
            allowed = ", ".join(sorted(self.fixed[path]))
            raise BadRequest(405, f"{path} takes {allowed}, not {request.method}", allow=allowed) from None
        request.scope[ROUTE] = endpoint.path
        claims: Mapping[str, Any] = {}
        if endpoint.is_authenticated:
            self.check_key(request)
            claims = self.read_token(request)
            if refused := self._refuse(request, path, claims):
                return refused
        body = await read_body(request, endpoint.body_bytes_most)
        caused_at_us = _caused_at(request) if self._secrets.webhook_key else None
        if self._secrets.webhook_key and (endpoint.is_signed or caused_at_us is not None):
            self._check_signature(request, body)
        wire = WireRequest(endpoint.method, path, query, dict(request.headers), body, claims)
        arguments, operation_id = decode_call(endpoint, placed, wire)
        carried = await self._application.call(endpoint.operation, arguments, operation_id, caused_at_us=caused_at_us)
        count = await self._count(endpoint, arguments, request.headers.get("prefer", ""))
        answer = self._endpoints.encode_return(endpoint, carried.returned, carried.events, now_s=time.time(), count=count)
        return Response(answer.body, answer.status, {**answer.headers, "operation-id": str(carried.operation_id)})

    async def _count(self, endpoint: Endpoint, arguments: Mapping[str, Any], preferred: str) -> int | None:
        """Return how many rows there are of which a call shows some; None: nobody asks, or it cannot be said."""
        if not endpoint.counted_by or COUNT_EXACT not in preferred:
            return None
        carried = await self._application.carry_out(self._application.operations[endpoint.counted_by], arguments)
        count = (carried.returned.reply or {}).get("count")
        return count if isinstance(count, int) else None

    def admit(self, request: HTTPConnection, endpoint: Endpoint) -> Mapping[str, Any]:
        """Return what the token of who opens a stream says; a browser's cannot send headers, so the query may have it.

        Raises:
            BadRequest: he may not.
        """
        if not endpoint.is_authenticated:
            return {}
        self.check_key(request)
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
        return self._read(token)

    def _read(self, token: str) -> Mapping[str, Any]:
        keys = (self._secrets.api_key if self._endpoints.api_key else "", self._secrets.service_key)
        if any(_is_same(token, key) for key in keys if key):
            return {}
        claims = self._tokens.read(token)
        if claims is None:
            raise BadRequest(401, "the bearer token is none of ours, or too old: log in again")
        return claims

    def read_later_token(self, request: HTTPConnection, token: str) -> Mapping[str, Any]:
        """Return what a token says that came after its request; empty: what the one of the request says.

        Raises:
            BadRequest: it is none of ours.
        """
        return self._read(token) if token else self.read_token(request)

    def check_key(self, request: HTTPConnection) -> None:
        """Raise BadRequest where the service's key is wanted, and not there."""
        name = self._endpoints.api_key
        given = request.headers.get(name) or request.query_params.get(name, "") if name else ""
        if name and not any(_is_same(given, key) for key in (self._secrets.api_key, self._secrets.service_key) if key):
            raise BadRequest(401, f"the header {name} must hold the service's key", field=name)

    def _check_signature(self, request: Request, body: bytes) -> None:
        given, key = request.headers.get(SIGNATURE, ""), self._secrets.webhook_key
        if why := why_not_signed(given, body, key, now_s=time.time()):
            self._application.metrics.forged.add(request.scope[ROUTE])
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


def _page(html: str) -> Callable[[Request], Any]:
    async def page(_request: Request) -> Response:
        return HTMLResponse(html)

    return page


def _sent(request: Request, part: str) -> str:
    """Return a part of the URL as it was sent."""
    value: bytes = request.scope.get(part) or (b"" if part == "query_string" else request.scope["path"].encode())
    return value.decode("latin-1")


def _caused_at(request: Request) -> int | None:
    """Return when the client's call came that a webhook follows from, which must be signed; None: it does not say."""
    said = request.headers.get(CAUSED_AT, "")
    return int(said) if said.isdecimal() and len(said) <= len(str(2**63)) else None


def _is_same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())

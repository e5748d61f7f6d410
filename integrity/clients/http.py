"""The carrier that asks a server over HTTP: a call is a request to its operation's endpoint, by the system's own table.

What a client may conclude is what it can know: a request that was never sent, as nobody listened, had no effect; one that
was cut off, or not answered in time, may have had one, and so may one whose answer cannot be read. What a server answers
says by itself how the call ended (integrity/endpoints/answers.py). A redirect is not followed: the request would go to
somebody whom nobody named.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import replace
from random import Random
from typing import Any
from uuid import UUID

from integrity.clients.carrier import Abandon, AskOutside
from integrity.endpoints.login import (
    BYPASS,
    api_key_of,
    bypass_of,
    decode_token,
    password_of,
    service_key_of,
    webhook_key_of,
)
from integrity.endpoints.record import PASSWORD as RECORD_PASSWORD
from integrity.endpoints.requests import WireRequest
from integrity.endpoints.signature import SIGNATURE, sign
from integrity.endpoints.table import Endpoints
from integrity.errors import quote
from integrity.history import Outcome, Returned
from integrity.http.answer import Unanswered
from integrity.http.connection import TIMEOUT_S, HttpConnection, RawAnswer
from integrity.http.origin import Origin
from integrity.masking import mask_reply, mask_tokens
from integrity.operation import Ok, Operation, Reply, Request, Rows, Steps, Unavailable
from integrity.systems.system import System
from integrity.value import Value

UNAUTHORIZED = 401
DIES_AFTER_S = 0.0005
"""A client that is to die after so many steps is gone after so many times this: nobody sees a server's steps."""


class Refused(Exception):
    """Nobody could log in; `str` says why."""


class Server:
    """A system's server: where it is, what it is asked by, and the tokens that were had of it. Carriers share it.

    Args:
        password: that everybody logs in with.
        api_key: that every request has, where the table asks for one.
        service_key: of who may all: the record is asked for with it; empty: with the password.
        bypass: that every request has, so that limiters let it by; empty: they count it.
        webhook_key: with which webhooks are signed that a client sends in a service's place; empty: they are not.
    """

    def __init__(
        self,
        origin: Origin,
        system: System,
        *,
        password: str = "",
        api_key: str = "",
        service_key: str = "",
        bypass: str = "",
        webhook_key: str = "",
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        assert system.endpoints is not None
        self.origin = origin
        self.endpoints: Endpoints = system.endpoints
        self.makes = system.makes
        self.password = password
        self._all = {BYPASS: bypass} if bypass else {}
        if self.endpoints.api_key:
            self._all[self.endpoints.api_key] = api_key
        self._service_key = service_key
        self._webhook_key = webhook_key
        self._timeout_s = timeout_s
        self._tokens: dict[tuple[tuple[str, Value], ...], str] = {}

    def carry(self, random: Random) -> "HttpCarrier":
        """Return a carrier on a connection of its own, not yet open."""
        return HttpCarrier(self, self.connect())

    def connect(self) -> HttpConnection:
        """Return a connection, not yet open."""
        return HttpConnection(self.origin, timeout_s=self._timeout_s)

    async def headers_of(self, asked: WireRequest, connection: HttpConnection) -> dict[str, str]:
        """Return a request's headers, with the token of what it claims; whoever has none logs in for it.

        Raises:
            Refused, Unanswered: that was not possible.
        """
        headers = {**asked.headers, **self._all}
        if asked.is_signed and self._webhook_key:
            headers[SIGNATURE] = sign(asked.body, self._webhook_key, now_s=time.time())
        if asked.needs_token or asked.claims:
            key = tuple(asked.claims.items())
            if key not in self._tokens:
                self._tokens[key] = await self._log_in(asked.claims, connection)
            headers["authorization"] = f"Bearer {self._tokens[key]}"
        return headers

    @property
    def signs_webhooks(self) -> bool:
        """Whether there is a key of their own to sign them with, and not the password of everybody in its place."""
        return self._webhook_key not in ("", self.password)

    @property
    def record_headers(self) -> dict[str, str]:
        """What its record is asked for with."""
        key = self._service_key
        return {"authorization": f"Bearer {key}"} if key else {RECORD_PASSWORD: self.password}

    def forget(self, asked: WireRequest) -> None:
        """Forget the token of what a request claims: it is not taken any more."""
        self._tokens.pop(tuple(asked.claims.items()), None)

    async def _log_in(self, claims: Mapping[str, Value], connection: HttpConnection) -> str:
        login = self.endpoints.login
        if login is None:
            raise Refused("there is no way to log in")
        asked = login.encode(claims, self.password)
        headers = {**asked.headers, **self._all}
        answer = await connection.ask(asked.method, asked.target, headers, asked.body)
        token = decode_token(answer.status, answer.body)
        if token is None or any(not "!" <= letter <= "~" for letter in token):
            raise Refused(f"{asked.method} {asked.path} was answered with {describe(answer)}, which gives no token")
        return token


def server_of(origin: Origin, system: System) -> Server:
    """Return a system's server, asked with what the environment says.

    Raises:
        UsageError: the password there is empty.
    """
    return Server(
        origin,
        system,
        password=password_of(),
        api_key=api_key_of(),
        service_key=service_key_of(),
        bypass=bypass_of(),
        webhook_key=webhook_key_of(),
    )


class HttpCarrier:
    """Carries calls over one connection. See carrier.Carrier for what it promises."""

    def __init__(self, server: Server, connection: HttpConnection) -> None:
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
        """See carrier.Carrier. Outside services are the server's, but for those of a client's own acts."""
        act = self._server.endpoints.acts.get(operation.name)
        if act is not None and act.is_played:
            return await _play(operation.start(**arguments), request, answered)
        given = dict(arguments)
        operation_id: UUID = given.pop("operation_id")
        asked = self._server.endpoints.encode(operation.name, given, operation_id)
        try:
            headers = await self._server.headers_of(asked, self.connection)
        except (Refused, Unanswered) as error:
            return _failed(f"login: {error}")
        if abandon is not None and abandon.after == 0 and not abandon.in_flight:
            self.connection.abort()
            return _abandoned(Outcome.FAILED, "before it sent the request")
        asking = self.connection.ask(asked.method, asked.target, headers, asked.body or None)
        try:
            answer = await (asking if abandon is None else self._die_within(asking, abandon))
        except Unanswered as error:
            return Returned(Outcome.UNKNOWN if error.was_sent else Outcome.FAILED, None, str(error), 1)
        if isinstance(answer, Returned):
            return answer
        if answer.status == UNAUTHORIZED:
            self._server.forget(asked)
        return self._read(operation.name, answer, push)

    async def _die_within(self, asking: Coroutine[Any, Any, RawAnswer], abandon: Abandon) -> RawAnswer | Returned:
        """Ask, and die meanwhile; return the answer where it came before that.

        Raises:
            Unanswered: the connection broke before that.
        """
        sent = asyncio.ensure_future(asking)
        try:
            await asyncio.wait([sent], timeout=None if abandon.after is None else abandon.after * DIES_AFTER_S)
        finally:
            if not sent.done():
                self.connection.abort()
        if sent.done() and abandon.after is not None:
            return await sent
        if abandon.after is None and sent.exception() is None:
            self.connection.abort()
            return _abandoned(Outcome.UNKNOWN, "as the answer came")
        await asyncio.wait([sent])
        error = sent.exception()
        if isinstance(error, Unanswered) and not error.was_sent:
            raise error
        return _abandoned(Outcome.UNKNOWN, "while waiting for the answer")

    def _read(self, operation: str, answer: RawAnswer, push: Callable[[Rows], None] | None) -> Returned:
        """Return how a call ended by its answer; one that says something else than it may leaves that unknown."""
        if 300 <= answer.status < 400:
            where = quote(answer.headers.get("location", "nowhere"))
            return _unknown(f"HTTP {answer.status}: it points to {where}, where nothing is sent by itself")
        try:
            returned, events = self._server.endpoints.decode_return(operation, answer.status, answer.headers, answer.body)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            return _unknown(f"{describe(answer)}: it is not what the table of endpoints says: {error}")
        if returned.outcome is Outcome.OK and (lacks := self._find_lacking(operation, returned.reply or {})):
            return _unknown(f"{describe(answer)}: it does not say {lacks}")
        if push is not None and events:
            push(events)
        return returned if returned.reply is None else replace(returned, reply=mask_reply(returned.reply))

    def _find_lacking(self, operation: str, reply: Mapping[str, Any]) -> str:
        """Return what a reply must say and does not: the key of what the call made; empty: nothing."""
        made = self._server.makes.get(operation)
        return "" if made is None or isinstance(reply.get(made[1]), int | str) else made[1]


async def _play(steps: Steps, request: AskOutside, answered: Callable[[], None] | None) -> Returned:
    """Carry out what a client does itself: it asks services on its own side, and nothing else."""
    answer: Mapping[str, Value] | None = None
    try:
        while True:
            step = steps.send(answer)
            if not isinstance(step, Request):
                steps.close()
                return _failed(f"a client has no {type(step).__name__.lower()} to make: it is the server's")
            asked = request(step)
            reaction = await asked if isinstance(asked, Awaitable) else asked
            if reaction.latency_s:
                await asyncio.sleep(reaction.latency_s)
                if answered is not None:
                    answered()
            answer = reaction.answer
    except StopIteration as stop:
        reply: Reply = stop.value
    if isinstance(reply, Ok):
        return Returned(Outcome.OK, reply.value, "", 1)
    outcome = Outcome.UNAVAILABLE if isinstance(reply, Unavailable) else Outcome.DECLINED
    return Returned(outcome, {"reason": reply.reason}, "", 1)


def describe(answer: RawAnswer) -> str:
    """Return an answer in a few words: its status, and the beginning of what it says."""
    text = mask_tokens(" ".join(answer.body[:4_000].decode(errors="replace").split()))[:400]
    return f"HTTP {answer.status} ({quote(text)})" if text else f"HTTP {answer.status}"


def _failed(error: str) -> Returned:
    return Returned(Outcome.FAILED, None, error, 1)


def _unknown(error: str) -> Returned:
    return Returned(Outcome.UNKNOWN, None, error, 1)


def _abandoned(outcome: Outcome, when: str) -> Returned:
    return Returned(outcome, None, f"abandoned: the client died {when}", 1, was_abandoned=True)

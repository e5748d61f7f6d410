"""Health of a server that a run is to ask: does it answer, let somebody in, take a signed webhook, open its streams?

Nothing is written by it: a webhook is about a payment that there is not, and a stream that is asked for what was missed
brings what there is. Each look has a time of its own, and names the setting to look at where it comes to nothing.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any
from uuid import UUID

import orjson

from integrity.clients.http import Refused, Server, describe
from integrity.clients.wire_feeds import WireFeeds
from integrity.domain import Key, KeyOf, World
from integrity.endpoints.endpoint import Endpoint
from integrity.endpoints.kinds import Kind
from integrity.endpoints.login import PASSWORD_NAMES
from integrity.endpoints.requests import WireRequest, encode_call
from integrity.endpoints.signature import SIGNING_NAMES
from integrity.endpoints.stream import Form, Stream
from integrity.health.check import HealthCheck, failed, ok, warning
from integrity.history import Outcome, Returned, make_operation_id
from integrity.http.answer import Unanswered
from integrity.http.connection import HttpConnection, RawAnswer
from integrity.load.over_http import HEALTH
from integrity.systems.system import System

HEALTH_S, LOGIN_S, WEBHOOK_S, SOCKET_S, STREAM_S = 5.0, 5.0, 5.0, 10.0, 10.0
NOBODYS = 10**15
"""A key that no row has."""

_STREAMS = {
    Form.WEBSOCKET: ("socket", SOCKET_S),
    Form.EVENT_STREAM: ("event stream", STREAM_S),
    Form.REALTIME: ("realtime socket", SOCKET_S),
}


class _NotRight(Exception):
    """What was looked at is not as it must be; `hint`: the setting to look at."""

    def __init__(self, found: str, hint: str, *, is_warning: bool = False) -> None:
        super().__init__(found)
        self.hint = hint
        self.is_warning = is_warning


@dataclass(frozen=True, slots=True)
class _Look:
    """One look at a server.

    Args:
        within_s: how long it may take.
        look: returns what was found, in words.
        setting: to look at where there is no answer.
    """

    name: str
    within_s: float
    look: Callable[[], Awaitable[str]]
    setting: str


def check_server(server: Server, system: System, keys: Mapping[str, Sequence[Key]]) -> list[HealthCheck]:
    """Return the checks of a system's server.

    Args:
        keys: by pool, of the rows that it serves; a stream of rows that there are not is not looked at.
    """
    return asyncio.run(_check(_Probe(server, system, keys)))


async def _check(probe: "_Probe") -> list[HealthCheck]:
    return [check async for check in probe.checks()]


class _Probe:
    def __init__(self, server: Server, system: System, keys: Mapping[str, Sequence[Key]]) -> None:
        assert system.endpoints is not None
        self._server = server
        self._system = system
        self._endpoints = system.endpoints
        self._world = World({pool: list(found) for pool, found in keys.items()})
        self._random = Random(1)
        self._connection: HttpConnection = server.connect()

    async def checks(self) -> AsyncIterator[HealthCheck]:
        """Yield what each look came to; of a server that does not answer at all, that alone."""
        try:
            first = await self._looked(_Look("server", HEALTH_S, self._look_at_health, "--target, or LOADTEST_BASE_URL"))
            yield first
            if first.state.value == "failed":
                return
            for look in self._looks():
                yield await self._looked(look)
        finally:
            self._connection.abort()

    def _looks(self) -> Sequence[_Look]:
        found = []
        if self._endpoints.login is not None:
            found.append(_Look("login", LOGIN_S, self._look_at_login, PASSWORD_NAMES[0]))
        signed = next((each for each in self._endpoints.table if each.is_signed), None)
        if signed is not None:
            found.append(_Look("webhook", WEBHOOK_S, lambda: self._look_at_webhook(signed), SIGNING_NAMES[0]))
        for stream in self._endpoints.streams:
            name, within_s = _STREAMS[stream.form]
            setting = "the proxy before it: does it pass on upgrades, and hold nothing back?"
            found.append(_Look(f"{name} {stream.request.path}", within_s, self._looking_at(stream), setting))
        return found

    def _looking_at(self, stream: Stream) -> Callable[[], Awaitable[str]]:
        return lambda: self._look_at_stream(stream)

    async def _looked(self, look: _Look) -> HealthCheck:
        began = time.perf_counter()
        try:
            async with asyncio.timeout(look.within_s):
                found = await look.look()
        except TimeoutError:
            return failed(look.name, f"no answer within {look.within_s:g} s", f"Look at {look.setting}.")
        except Unanswered as error:
            return failed(look.name, str(error), f"Is it running, and at this address? Look at {look.setting}.")
        except Refused as error:
            return failed(look.name, str(error), f"Look at {look.setting}.")
        except _NotRight as error:
            return (warning if error.is_warning else failed)(look.name, str(error), error.hint)
        return ok(look.name, f"{found} in {(time.perf_counter() - began) * 1000:.0f} ms, of {look.within_s:g} s")

    async def _look_at_health(self) -> str:
        answer = await self._connection.ask("GET", HEALTH, {}, None)
        if answer.status != 200:
            raise _NotRight(
                f"{HEALTH} was answered with {describe(answer)}", "Look at its database: a server of ours tells its reason."
            )
        try:
            said = orjson.loads(answer.body)
        except orjson.JSONDecodeError:
            said = {}
        other = said.get("system", self._system.name) if isinstance(said, dict) else self._system.name
        if other != self._system.name:
            raise _NotRight(
                f"it serves {other}, not {self._system.name}", f"Say --system {other}, or ask another --target."
            )
        return f"{self._server.origin} answered {HEALTH}"

    async def _look_at_login(self) -> str:
        await self._server.headers_of(
            WireRequest("GET", "/", claims=self._some_claim(), needs_token=True), self._connection
        )
        return "somebody was let in"

    def _some_claim(self) -> dict[str, Any]:
        """Return what a token says of somebody whom there is; nothing where nobody is known."""
        login = self._endpoints.login
        kinds = login.kinds if login is not None else {}
        drawn = (each for operation in self._system.operations.values() for each in operation.arguments.items())
        for argument, domain in drawn:
            if argument in kinds and isinstance(domain, KeyOf) and self._world.keys.get(domain.pool):
                return {argument: domain.draw(self._random, self._world)}
        return {}

    async def _look_at_webhook(self, endpoint: Endpoint) -> str:
        given = {
            name: each.one_of[0] if each.one_of else NOBODYS if each.kind is Kind.INTEGER else "health"
            for name, each in endpoint.arguments.items()
        }
        asked = encode_call(endpoint, given, self._operation_id())
        unsigned = replace(asked, is_signed=False)
        answer = await self._ask(asked)
        if answer.status == 401:
            raise _NotRight(
                f"{endpoint} was answered with {describe(answer)}",
                f"Give {SIGNING_NAMES[0]} the same value here and where the server is started.",
            )
        if answer.status >= 500 or (answer.status == 404 and not _is_of_the_call(answer)):
            raise _NotRight(f"{endpoint} was answered with {describe(answer)}", "Look at the server's log.")
        if (await self._ask(unsigned)).status != 401:
            if self._server.signs_webhooks:
                raise _NotRight(
                    f"{endpoint} takes one that is not signed, though there is a key",
                    f"Start the server with {SIGNING_NAMES[0]}, too.",
                )
            raise _NotRight(
                f"{endpoint} takes one that is not signed: anybody could send it",
                f"Set {SIGNING_NAMES[0]} here and where the server is started.",
                is_warning=True,
            )
        return f"{endpoint} takes a signed one, and no other"

    async def _look_at_stream(self, stream: Stream) -> str:
        subscription = self._system.subscriptions[stream.operation]
        arguments: dict[str, Any] = {}
        for name, domain in self._system.operations[stream.operation].arguments.items():
            if name == subscription.cursor:
                continue
            if isinstance(domain, KeyOf) and not self._world.keys.get(domain.pool):
                raise _NotRight(
                    f"not opened: no row of {domain.pool} is known", "Name the server's database.", is_warning=True
                )
            arguments[name] = domain.draw(self._random, self._world)
        brought: list[object] = []
        feeds = WireFeeds(self._server, [stream], subscription, lambda: time.time_ns() // 1000)
        await feeds.open()
        feed = feeds.make()
        operation = self._system.operations[stream.operation]
        asked = {**arguments, subscription.cursor: 0, "operation_id": self._operation_id()}
        try:
            returned: Returned = await feed.open(lambda line: line.call(operation, asked, _nobody, push=brought.extend))
            if returned.outcome is not Outcome.OK:
                raise _NotRight(
                    f"it was not opened: {returned.error or returned.reply or returned.outcome.value}",
                    f"Look at the proxy before it, and at {PASSWORD_NAMES[0]}.",
                )
        finally:
            await feeds.abort()
        return f"joined, and it brought {len(brought)} that were missed" if brought else "joined; nothing had been missed"

    async def _ask(self, asked: WireRequest) -> RawAnswer:
        headers = await self._server.headers_of(asked, self._connection)
        return await self._connection.ask(asked.method, asked.target, headers, asked.body or None)

    def _operation_id(self) -> UUID:
        return make_operation_id(time.time_ns() // 1_000_000, self._random)


def _is_of_the_call(answer: RawAnswer) -> bool:
    """Return whether an answer is that of a call that was declined, and not of a path that there is not."""
    return b"outcome" in answer.body


def _nobody(request: object) -> Any:
    raise AssertionError(f"who opens a stream asks no outside service: {request}")

"""The outside parties of systems as a server of their own: a mint, a relay, a card processor, providers, stores.

Each is what the system declares (services.py of a reference system): it is asked over HTTP, remembers what it was asked as
long as the server lives, and sends its webhooks, signed, to whoever asked, until they are answered. How well it behaves is
a matter of settings, which faults change while it serves (dependency_faults.py).
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from random import Random, SystemRandom
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from integrity import operation
from integrity.clients.deliveries import CausingCall, Deliveries, Due
from integrity.clients.http import Refused, Server
from integrity.clients.services import ServiceDesk
from integrity.endpoints.outside import CAUSED_AT, CAUSED_BY, OWED, WEBHOOKS, path_of
from integrity.endpoints.requests import BadRequest
from integrity.errors import UsageError, quote
from integrity.faults.conduct import Conduct
from integrity.history import Outcome, Returned, make_operation_id
from integrity.http.answer import Unanswered
from integrity.http.connection import HttpConnection
from integrity.http.origin import Origin, read_origin
from integrity.serve.courier import Courier
from integrity.serve.dependency_metrics import DependencyMetrics
from integrity.serve.metrics import CONTENT_TYPE, Gauge, Metrics
from integrity.serve.observing import ROUTE, Observing, json_answer, read_body
from integrity.serve.record import now_us
from integrity.systems.service import Answer, ServiceSettings, Trouble
from integrity.systems.system import System

SENT_AT_ONCE = 16
"""Webhooks to one server, at a time."""

BODY_BYTES_MOST = 1024 * 1024
SILENCE_S = 60.0
"""So long whoever is not answered may wait; by then he has hung up."""


class Party:
    """The outside parties of one system: how they behave, what they remember, what they owe to whom."""

    def __init__(self, system: System, services: Mapping[str, ServiceSettings], *, seed: int) -> None:
        self.system = system
        self.conduct = Conduct(services, system.services)
        self.services = frozenset(system.services) - system.own_services
        self.desk = ServiceDesk(system, self.conduct)
        self.random = Random(f"{seed}/services/{system.name}")
        self.receivers: dict[str, Receiver] = {}


class Receiver:
    """A server that webhooks are sent to: what it is owed, and who sends it."""

    def __init__(self, party: Party, server: Server, metrics: DependencyMetrics) -> None:
        self.deliveries = Deliveries()
        self.courier = Courier(
            self.deliveries, self._send, at_once=SENT_AT_ONCE, conduct=party.conduct, random=party.random
        )
        self.running = asyncio.get_running_loop().create_task(self.courier.run())
        self._system = party.system
        self._server = server
        self._metrics = metrics
        self._free: list[HttpConnection] = []
        self._ids = SystemRandom()

    async def end(self) -> None:
        self.running.cancel()
        await asyncio.wait([self.running])
        await self.courier.end()
        for connection in self._free:
            await connection.close()

    async def _send(self, due: Due) -> Returned:
        connection = self._free.pop() if self._free else self._server.connect()
        try:
            returned = await self._ask(due, connection)
        except (Refused, UsageError) as error:  # there is no way to say it to the system: nobody need try for ever
            returned = Returned(Outcome.FAILED, None, str(error), 1)
        except Unanswered as error:
            returned = Returned(Outcome.UNKNOWN, None, str(error), 1)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            returned = Returned(Outcome.UNKNOWN, None, f"what came is no answer of the table's: {error}", 1)
        else:
            self._free.append(connection)
        self._metrics.deliveries.add(self._system.name, due.service, returned.outcome)
        return returned

    async def _ask(self, due: Due, connection: HttpConnection) -> Returned:
        made = make_operation_id(time.time_ns() // 1_000_000, self._ids)
        asked = self._server.endpoints.encode(due.operation, due.arguments, made)
        asked = replace(asked, is_signed=True)
        headers = {**await self._server.headers_of(asked, connection), CAUSED_AT: str(due.origin.intended_at_us)}
        answer = await connection.ask(asked.method, asked.target, headers, asked.body or None)
        returned, _ = self._server.endpoints.decode_return(due.operation, answer.status, answer.headers, answer.body)
        return returned


class Dependencies:
    """All parties of a server.

    Args:
        server_of: how a system's server is asked, by what it knows its senders.
    """

    def __init__(self, parties: Sequence[Party], server_of: Callable[[Origin, System], Server]) -> None:
        self.parties = {party.system.name: party for party in parties}
        self.metrics = Metrics({})
        self.dependencies = DependencyMetrics()
        owed = Gauge("background_tasks_owed", "webhooks", self._owed, "system")
        self.metrics.streams += (*self.dependencies.all, owed)
        self._server_of = server_of

    @property
    def left_owed(self) -> int:
        return int(sum(self._owed().values()))

    async def end(self) -> None:
        """Send nothing any more."""
        for party in self.parties.values():
            for receiver in party.receivers.values():
                await receiver.end()

    async def react(self, party: Party, service: str, payload: Mapping[str, Any], request: Request) -> Answer | None:
        """Return what a party says to a request; None: it says nothing."""
        step = operation.Request(service, payload)
        receiver = self._receiver(party, request)
        reacted = party.desk.react(step, party.random)
        reaction, began_us = reacted.reaction, now_us()
        self.dependencies.note_reaction(party.system, service, reaction.deliveries)
        origin = CausingCall(request.headers.get(CAUSED_BY, ""), _number(request.headers.get(CAUSED_AT, "0")))
        receiver.deliveries.add(
            reaction.deliveries, now_us=began_us, origin=origin, retry_s=reacted.retry_s, service=service
        )
        is_silent = reaction.trouble in (Trouble.LOST, Trouble.DONE)
        if not is_silent and reaction.latency_s:
            await asyncio.sleep(reaction.latency_s)
        self.dependencies.note_answer(party.system, step, reaction.answer, (now_us() - began_us) / 1_000_000)
        return None if is_silent else reaction.answer

    def owed(self, webhooks: str, since_us: int) -> dict[str, int]:
        """Return how much is still to be sent to one server."""
        to = [each.receivers[webhooks] for each in self.parties.values() if webhooks in each.receivers]
        return {
            "owed": sum(each.deliveries.outstanding for each in to),
            "owed_since": sum(each.deliveries.count_since(since_us) for each in to),
        }

    def _owed(self) -> dict[tuple[str, ...], float]:
        return {
            (name,): sum(each.deliveries.outstanding + each.courier.given_up for each in party.receivers.values())
            for name, party in self.parties.items()
        }

    def _receiver(self, party: Party, request: Request) -> Receiver:
        """Return who is sent what follows from a request.

        Raises:
            BadRequest: it does not say, or names somebody else: nobody is sent what he did not ask for.
        """
        said = request.headers.get(WEBHOOKS, "")
        if said not in party.receivers:
            try:
                origin = read_origin(said, place=WEBHOOKS)
            except UsageError as error:
                raise BadRequest(422, error.message, field=WEBHOOKS) from None
            if not origin.is_loopback and (request.client is None or origin.host != request.client.host):
                raise BadRequest(422, f"{WEBHOOKS}: {origin} is neither this machine nor who asks", field=WEBHOOKS)
            party.receivers[said] = Receiver(party, self._server_of(origin, party.system), self.dependencies)
        return party.receivers[said]


def make_web(dependencies: Dependencies, faults: Sequence[Coroutine[Any, Any, None]] = ()) -> Starlette:
    """Return the web application.

    Args:
        faults: are played from when it begins, until it ends.
    """
    web = _Web(dependencies)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        playing = [asyncio.create_task(each) for each in faults]
        try:
            yield
        finally:
            for task in playing:
                task.cancel()
            ended = await asyncio.gather(*playing, return_exceptions=True)
            await dependencies.end()
            for each in ended:
                if isinstance(each, Exception):
                    raise each

    routes = [
        Route("/health", web.health),
        Route("/metrics", web.tell_metrics),
        Route(OWED, web.owed),
        Route("/{system}/{service}", web.ask, methods=["POST"]),
        Route("/{system}/{service}/{asked}", web.ask, methods=["POST"]),
    ]
    fixed = frozenset({"/health", "/metrics", OWED})
    observing = Middleware(Observing, metrics=dependencies.metrics, fixed=fixed)
    return Starlette(routes=routes, middleware=[observing], lifespan=lifespan)


class _Web:
    """What answers."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._dependencies = dependencies

    async def health(self, _request: Request) -> Response:
        parties = self._dependencies.parties
        systems = {name: sorted(party.services) for name, party in parties.items()}
        return json_answer({"status": "ok", "systems": systems})

    async def tell_metrics(self, _request: Request) -> Response:
        return Response(self._dependencies.metrics.render(), media_type=CONTENT_TYPE)

    async def owed(self, request: Request) -> Response:
        query = request.query_params
        return json_answer(self._dependencies.owed(query.get(WEBHOOKS, ""), _number(query.get("since_us", "0"))))

    async def ask(self, request: Request) -> Response:
        """Let a party answer."""
        placed = request.path_params
        party = self._dependencies.parties.get(placed["system"])
        if party is None or placed["service"] not in party.services:
            parties = self._dependencies.parties.items()
            known = ", ".join(path_of(name, each, "") for name, one in parties for each in sorted(one.services))
            raise BadRequest(404, f"there is no such party: {known}")
        request.scope[ROUTE] = path_of(party.system.name, placed["service"], "")
        payload = _members(await read_body(request, BODY_BYTES_MOST))
        try:
            answer = await self._dependencies.react(party, placed["service"], payload, request)
        except KeyError as error:
            raise BadRequest(422, f"{error.args[0]} is missing: {placed['service']} must know it") from None
        if answer is None:
            await _wait_for_end(request)
            return json_answer({"error": "nobody was there to be answered"}, 504)
        if answer.get("status") == "error":
            code = int(str(answer["code"]))
            return json_answer(answer, code, {"retry-after": "1"} if code == 429 else {})
        return json_answer(answer)


def _members(body: bytes) -> Mapping[str, Any]:
    try:
        members = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(400, f"the body is no JSON: {error}") from None
    if not isinstance(members, dict):
        raise BadRequest(422, f"the body is {type(members).__name__}: an object of JSON belongs there")
    return members


def _number(said: str) -> int:
    if not said.isdecimal():
        raise BadRequest(422, f"{quote(said)} is no number of microseconds")
    return int(said[:19])


async def _wait_for_end(request: Request) -> None:
    """Return when whoever asked has hung up."""
    try:
        async with asyncio.timeout(SILENCE_S):
            while (await request.receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        return

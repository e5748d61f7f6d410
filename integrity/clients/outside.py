"""The outside parties of a system that is served, where they are servers of their own: asked over HTTP.

What is awaited has been sent by then, or will be: a process that dies in a call leaves its request on the way. Who does not
answer in time may have done what he was asked.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import orjson

from integrity.clients.deliveries import CausingCall
from integrity.endpoints.outside import (
    CAUSED_AT,
    CAUSED_BY,
    OWED,
    UNREACHABLE,
    WEBHOOKS,
    decode_answer,
    path_of,
    refusal,
)
from integrity.errors import UsageError
from integrity.http.answer import Unanswered
from integrity.http.connection import HttpConnection
from integrity.http.origin import Origin
from integrity.operation import Request
from integrity.systems.service import TIMEOUT, Answer
from integrity.systems.system import System
from integrity.typed import typed
from integrity.value import told

HEALTH_S = 5.0


@dataclass(frozen=True, slots=True)
class Owed:
    """Webhooks that are still to come: all of them, and those that follow from calls since some moment."""

    count: int
    since: int


class OutsideParties:
    """Asks them.

    Args:
        webhooks: where they send what follows.
        timeout_s: how long an answer is waited for.
    """

    def __init__(self, origin: Origin, system: System, *, webhooks: str, timeout_s: float) -> None:
        self.origin = origin
        self.services = frozenset(system.services) - system.own_services
        self._system = system
        self._webhooks = webhooks
        self._timeout_s = timeout_s
        self._free: list[HttpConnection] = []
        self._under_way: dict[asyncio.Task[Answer], CausingCall] = {}

    async def check(self) -> None:
        """Make sure that they are there.

        Raises:
            UsageError: nobody answers, or not for this system.
        """
        connection = HttpConnection(self.origin, timeout_s=HEALTH_S)
        hint = f"Start them: {typed(f'serve-dependencies {self._system.name}')}"
        try:
            answer = await connection.ask("GET", "/health", {}, None)
            known = orjson.loads(answer.body)["systems"]
        except Unanswered as error:
            raise UsageError(f"--dependencies: {self.origin}: {error}", hint=hint) from None
        except (KeyError, TypeError, ValueError):
            raise UsageError(f"--dependencies: {self.origin} is no server of outside parties", hint=hint) from None
        finally:
            connection.abort()
        if self._system.name not in known:
            raise UsageError(
                f"--dependencies: {self.origin} has the outside parties of {', '.join(known)} alone",
                hint=f"Start it with {self._system.name} among its systems.",
            )

    def of(self, origin: CausingCall) -> "Callable[[Request], asyncio.Task[Answer] | None]":
        """Return what asks for one call; it returns None where the service is in this process."""
        return lambda step: self.ask(step, origin) if step.service in self.services else None

    def ask(self, step: Request, origin: CausingCall) -> "asyncio.Task[Answer]":
        """Ask one, and return what becomes its answer."""
        task = asyncio.get_running_loop().create_task(self._ask(step, origin))
        self._under_way[task] = origin
        task.add_done_callback(self._under_way.pop)
        return task

    async def owed(self, since_us: int) -> Owed | None:
        """Return what they still have to send here, and what is being asked; None: they do not say."""
        asking = list(self._under_way.values())  # before: what is answered meanwhile is told of by them
        connection = self._take()
        try:
            answer = await connection.ask("GET", f"{OWED}?{WEBHOOKS}={self._webhooks}&since_us={since_us}", {}, None)
            members = orjson.loads(answer.body)
            count, since = int(members["owed"]), int(members["owed_since"])
        except (Unanswered, KeyError, TypeError, ValueError):
            return None
        self._free.append(connection)
        return Owed(count + len(asking), since + sum(each.intended_at_us >= since_us for each in asking))

    async def close(self) -> None:
        for task in list(self._under_way):
            task.cancel()
        if self._under_way:
            await asyncio.wait(list(self._under_way))
        for connection in self._free:
            await connection.close()

    async def _ask(self, step: Request, origin: CausingCall) -> Answer:
        connection = self._take()
        asked = str(step.payload.get(self._system.request_keys.get(step.service, ""), ""))
        headers = {
            "content-type": "application/json",
            WEBHOOKS: self._webhooks,
            CAUSED_BY: origin.operation,
            CAUSED_AT: str(origin.intended_at_us),
        }
        path = path_of(self._system.name, step.service, asked)
        try:
            answer = await connection.ask("POST", path, headers, orjson.dumps(dict(step.payload), default=told))
            said = decode_answer(answer.status, answer.body)
        except Unanswered as error:
            return dict(TIMEOUT) if error.was_sent else refusal(UNREACHABLE)
        except ValueError:  # it may have done anything
            return dict(TIMEOUT)
        self._free.append(connection)
        return said

    def _take(self) -> HttpConnection:
        return self._free.pop() if self._free else HttpConnection(self.origin, timeout_s=self._timeout_s)

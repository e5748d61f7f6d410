"""A system's calls over HTTP: raced as requests to its own server, whose statements come through our proxy.

with open_served(target, race) as served:
    Searcher(served.scheduler, race, ground_of=served.ground_of)

The server is that of `integrity serve`, its pool before our proxy, and answers on a socket of loopback. Server, clients
and proxy share one event loop, which the scheduler runs where it waits. What outside services would send later is left out,
as in every race. The rows of the system's stage are made anew for each schedule, as times in them age and services remember
keys; what it changes is undone.
"""

import asyncio
import re
import secrets
from collections.abc import Callable, Collection, Coroutine, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from random import Random
from typing import Any
from uuid import UUID

from integrity.clients.connection import make_connection
from integrity.clients.http import HttpCarrier, Server, server_of
from integrity.endpoints.login import api_key_of, password_of
from integrity.engines.target import Target
from integrity.errors import UsageError
from integrity.history import Outcome, Returned
from integrity.http.origin import read_origin
from integrity.operation import Declined, Ok, Request, Row, Unavailable
from integrity.race.gated.postgresql.stand import Stand, open_stand
from integrity.race.judge.contest import Ground, read_stage_keys, survey
from integrity.race.play.operation_session import with_pushed
from integrity.race.play.scheduler import Scheduler
from integrity.race.processes import Search, search_here
from integrity.race.program.program import Actor, Keys, Launch, Outside, Program, Service
from integrity.race.program.trace import Failed, Return
from integrity.race.search.settings import RaceSubject
from integrity.race.searcher import Searcher
from integrity.race.trial.scratch import emptying, scratch_database
from integrity.serve.application import Application
from integrity.serve.listening import listen_on, make_server, url_of
from integrity.serve.pool import Pool
from integrity.serve.web import Secrets, make_web
from integrity.systems.service import Reaction
from integrity.systems.system import System

CONNECTIONS = 9
"""Of the server's pool: one for each actor that a race may have, and one to spare."""

WAIT_S = 600.0
"""So long a request may wait for one: it does where somebody is held."""

_REFUSED = re.compile(r"([0-9A-Z]{5})\b[ :]*(.*)", re.DOTALL)
"""An error that begins with the SQLSTATE that the server refused a statement with."""


@dataclass(frozen=True, slots=True)
class Served:
    """See the module.

    Args:
        url: of the server.
        ground: of the contests: their calls are requests.
    """

    stand: Stand
    url: str
    ground: Ground


@contextmanager
def open_served(target: Target, race: RaceSubject, *, test_database: str | None = None) -> Iterator[Served]:
    """Yield a system that is served on a scratch database, which is dropped at the end.

    Raises:
        UsageError: it has no endpoints, or the target is of an engine whose connections cannot pass our proxy.
        DatabaseError: the server is gone.
    """
    system = race.system
    check_served(system, target)
    with ExitStack() as stack:
        database = stack.enter_context(scratch_database(target, system, bug=race.bug, test_database=test_database))
        staging = stack.enter_context(Scheduler(database))
        ground = survey(staging, system, race.files)
        staging.ask(emptying(database, system))
        stand = stack.enter_context(open_stand(database, setup=lambda: read_stage_keys(staging, system)))
        requests = Requests(system, stand.loop)
        url = stack.enter_context(_serving(stand, system, race, requests.react))
        requests.server = server_of(read_origin(url, place="--served"), system)
        stack.callback(requests.close)
        yield Served(stand, url, replace(ground, carried=requests.carry))


@contextmanager
def open_served_searchers(
    target: Target, race: RaceSubject, _groups: Collection[tuple[str, ...]], test_database: str | None
) -> Iterator[Search]:
    """Yield what searches tasks over HTTP; see race/processes.py."""
    with open_served(target, race, test_database=test_database) as served:
        searcher = Searcher(served.stand.scheduler, race, race.system.raced_as, served.ground)
        yield lambda tasks, deadline: search_here(searcher, tasks, deadline)


def check_served(system: System, target: Target) -> None:
    """Raise UsageError unless a system can be raced over HTTP on a target."""
    if system.endpoints is None:
        raise UsageError(
            f"system {system.name} has no endpoints: nobody knows which requests are its operations",
            hint="Leave --served out, or say System(..., endpoints=Endpoints(...)).",
        )
    if not target.engine.speaks_postgresql:
        raise UsageError(
            f"{target}: a served system is raced through a proxy that speaks PostgreSQL's protocol",
            hint="Leave --served out, or name a PostgreSQL database: --database URL",
        )


class Requests:
    """Makes calls as requests, each on a connection of its own, in an event loop that somebody runs.

    Attributes:
        server: that they are made to.
    """

    server: Server

    def __init__(self, system: System, loop: asyncio.AbstractEventLoop) -> None:
        self._system = system
        self._loop = loop
        self._idle: list[HttpCarrier] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._services: Mapping[str, Service] = {}
        self._outside: dict[UUID, Outside] = {}

    def carry(self, program: Program) -> Program:
        """Return a program with requests in place of its actors' steps."""
        return replace(program, actors=tuple(self._actor(each, program.services) for each in program.actors))

    def react(self, step: Request, operation_id: UUID) -> Reaction:
        """Let an outside service answer a call of the program that is played, as it does where that is stepped here."""
        answer = self._services[step.service](step.payload)
        self._outside[operation_id].note_asked(step.service, step.payload, answer)
        return Reaction(answer)

    def close(self) -> None:
        """End what is under way, and the connections."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()

    def _actor(self, actor: Actor, services: Mapping[str, Service]) -> Actor:
        def launch(keys: Keys, operation_id: UUID) -> Launch:
            def begin(tell: Callable[[Return], None]) -> None:
                call = self._call(actor.operation, actor.given(keys), operation_id, tell)
                self._loop.call_soon_threadsafe(self._begin, call)

            return begin

        def outside(operation_id: UUID, told: Outside) -> None:
            self._services = services
            self._outside[operation_id] = told

        return replace(actor, launch=launch, outside=outside)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _call(
        self, name: str, arguments: Mapping[str, Any], operation_id: UUID, tell: Callable[[Return], None]
    ) -> None:
        carrier = self._idle.pop() if self._idle else self.server.carry(Random(0))
        pushed: list[Row] = []
        try:
            made = {**arguments, "operation_id": operation_id}
            returned = await carrier.call(self._system.operations[name], made, _ask_nobody, push=pushed.extend)
        finally:
            self._idle.append(carrier)
        outside = self._outside.pop(operation_id)
        outside.note_pushed(pushed)
        tell(with_pushed(as_return(returned), pushed))

    async def _close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for carrier in self._idle:
            await carrier.connection.close()


def as_return(returned: Returned) -> Return:
    """Return how a call ended, as a race has it."""
    reason = str((returned.reply or {}).get("reason", ""))
    match returned.outcome:
        case Outcome.OK:
            return Ok(returned.reply or {})
        case Outcome.DECLINED:
            return Declined(reason)
        case Outcome.UNAVAILABLE:
            return Unavailable(reason)
        case _:
            found = _REFUSED.match(returned.error)
            return Failed(found[1], found[2]) if found else Failed(None, returned.error)


def _ask_nobody(step: object) -> Any:
    raise UsageError(
        f"a client asks outside services by itself here ({step}): that is no request that could be raced",
        hint="Race it without --served.",
    )


@contextmanager
def _serving(
    stand: Stand, system: System, race: RaceSubject, reacting: Callable[[Request, UUID], Reaction]
) -> Iterator[str]:
    """Yield the URL of the system's server, whose connections lead to the stand's proxy; all of them are open."""
    endpoints = system.endpoints
    assert endpoints is not None
    pool = Pool(lambda: make_connection(stand.target, system.schemas), size=CONNECTIONS, wait_s=WAIT_S)
    application = Application(system, pool, bug=race.bug, reacting=reacting)
    web = make_web(application, endpoints, Secrets(password_of(), api_key_of(), secrets.token_bytes(32)))
    with listen_on("127.0.0.1", 0, may_be_reached=False) as made:
        server = make_server(web, has_lifespan=False)  # nobody delivers what services owe: a webhook is a call of its own

        def run(work: Coroutine[Any, Any, Any]) -> Any:
            return asyncio.run_coroutine_threadsafe(work, stand.loop).result()

        run(pool.open())
        serving = asyncio.run_coroutine_threadsafe(server.serve(sockets=[made]), stand.loop)
        try:
            run(server.is_up.wait())
            yield url_of(made)
        finally:
            server.should_exit = server.force_exit = True
            with suppress(asyncio.CancelledError):
                serving.result()
            run(pool.close())

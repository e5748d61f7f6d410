"""A run over HTTP: what of a profile a server can be asked for, and whether it answers before it is hammered."""

import asyncio
import shlex
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import orjson

from integrity.clients.http import Server, describe
from integrity.clients.requests import RequestServer
from integrity.domain import KeyOf, NewKey, World
from integrity.endpoints.login import PASSWORD_HINT
from integrity.endpoints.record import PATH, query_of
from integrity.errors import Unreachable, UsageError, quote
from integrity.faults.schedule import find_servers_own, read_window
from integrity.history import make_operation_id
from integrity.http.answer import Unanswered
from integrity.http.connection import RawAnswer
from integrity.load.client import Clock
from integrity.load.profile import OpenProfile, Profile
from integrity.load.workload import Workload
from integrity.operation import Request
from integrity.runs.result import NotRun
from integrity.systems.service import Reaction
from integrity.systems.system import System
from integrity.typed import typed

HEALTH = "/health"
OK_STATUS = 200
REFUSED_STATUSES = (401, 403)
TRIALS = 5
"""Before a run is begun: a look at the server's health, and reads."""


@dataclass(frozen=True, slots=True)
class OverHttp:
    """Where the calls of a run go, in place of the database.

    Args:
        not_run: what of the profile cannot be asked for there.
        venue: of which the server is to be; empty: of any.
    """

    server: Server | RequestServer
    not_run: tuple[NotRun, ...] = ()
    venue: str = ""

    def __str__(self) -> str:
        """The URL, without its password."""
        return str(self.server.origin)


def asked_over_http(system: System, profile: Profile) -> tuple[System, Profile, tuple[NotRun, ...]]:
    """Return what of a system and a profile can be asked of a server, and what of them cannot.

    Raises:
        UsageError: nothing can.
    """
    if system.is_requested:
        left, unfaulted = _without_faults_of_servers(profile)
        return system, left, unfaulted
    if system.endpoints is None:
        raise UsageError(
            f"--target: {system.name} has no table of endpoints, so nobody knows which requests are its operations",
            hint="Run it without --target, on its database; or declare requests: docs/your-own-endpoints.md.",
        )
    known = set(system.endpoints.names())
    missing = tuple(
        NotRun(operation=name, reason="it has no endpoint, so nobody can ask for it over HTTP")
        for name in profile.operations
        if name not in known
    )
    streamed = tuple(each for each in profile.subscribers if system.endpoints.streams_of(each.operation))
    streams = tuple(
        NotRun(operation=each.operation, reason=f"the streams of {each.name} have no path in the table of endpoints")
        for each in profile.subscribers
        if each not in streamed
    )
    swept = tuple(each for each in system.sweeps if each.operation in known)
    unswept = tuple(
        NotRun(operation=each.operation, reason="it has no endpoint: what it takes up is left open")
        for each in system.sweeps
        if each not in swept
    )
    if not known.intersection(profile.operations):
        raise UsageError(
            f"--target: no operation of this profile has an endpoint in the table of {system.name}",
            hint=f"Those that have one: {', '.join(sorted(known))}.",
        )
    scales_streams = (
        isinstance(profile, OpenProfile) and profile.steps is not None and profile.steps.scales == "subscribers"
    )
    if scales_streams and not streamed:
        raise UsageError(
            "--target: the steps of this profile are of streams, which have no path in the table of endpoints",
            hint="Run it without --target, or take a profile whose steps are of its rate.",
        )
    left = _narrowed(profile, known).model_copy(update={"subscribers": streamed})
    left, unfaulted = _without_faults_of_servers(left)
    return replace(system, sweeps=swept), left, (*missing, *streams, *unswept, *unfaulted)


def _without_faults_of_servers(profile: Profile) -> tuple[Profile, tuple[NotRun, ...]]:
    """Return a profile without those of its faults that are of what a server has, and which they are."""
    if not isinstance(profile, OpenProfile):
        return profile, ()
    why = {each: find_servers_own(read_window(each, duration_s=profile.duration_s)) for each in profile.faults}
    kept = tuple(each for each in profile.faults if not why[each])
    left_out = tuple(NotRun(operation=f"fault {each}", reason=why[each]) for each in profile.faults if why[each])
    return profile.model_copy(update={"faults": kept}), left_out


def stream_count(profile: Profile) -> int:
    """Return how many connections the profile's streams are at most, each one of its own."""
    steps = profile.steps if isinstance(profile, OpenProfile) else None
    most = max(steps.factors) if steps is not None and steps.scales == "subscribers" else 1.0
    return round(sum(each.count for each in profile.subscribers) * most)


def _narrowed(profile: Profile, known: Collection[str]) -> Profile:
    if not isinstance(profile, OpenProfile):
        weights = {name: weight for name, weight in profile.weights.items() if name in known}
        return profile.model_copy(update={"weights": weights})
    streams = []
    for stream in profile.streams:
        left = tuple(name for name in stream.operations if name in known)
        if left:
            per_minute = stream.per_minute * len(left) / len(stream.operations)
            streams.append(stream.model_copy(update={"operations": left, "per_minute": per_minute}))
    bursts = tuple(each for each in profile.bursts if each.operation in known)
    return profile.model_copy(update={"streams": tuple(streams), "bursts": bursts})


def try_out(over: OverHttp, workload: Workload, world: World) -> None:
    """Look at the server's health, and ask for some reads; what that answers is in no history.

    Raises:
        UsageError: it does not answer, or not as this system does.
    """
    if isinstance(over.server, RequestServer):
        asyncio.run(_try_requests(over.server, workload, world))
    else:
        asyncio.run(_try_out(over, over.server, workload, world))


async def _try_requests(server: RequestServer, workload: Workload, world: World) -> None:
    """Connect, log in, and make the requests that only read, each once."""
    place, carrier = f"--target {server.origin}", server.carry(Random(0))
    try:
        try:
            await carrier.connection.open()
        except Unreachable as error:
            raise UsageError(f"--target {error.message}", hint=error.hint or "") from None
        await server.logged_in()
        for name in workload.profile.operations:
            operation, asked = workload.system.operations[name], server.target.requests[name].request
            if asked.method != "GET" or operation.after:
                continue
            random = Random(f"{workload.seed}/trial/{name}")
            arguments = {each: domain.draw(random, world) for each, domain in operation.arguments.items()}
            returned = await carrier.call(operation, arguments, _nobody)
            if not returned.outcome.is_answer:
                raise UsageError(
                    f"{place}: a trial of {name} ({asked.shown}) ended as {returned.outcome}: {returned.error}",
                    hint="Send it by hand with curl -i; its `expected` and `declined` say which answers are right.",
                )
    finally:
        carrier.connection.abort()


async def _try_out(over: OverHttp, server: Server, workload: Workload, world: World) -> None:
    carrier = server.carry(Random(0))
    connection, place, system = carrier.connection, f"--target {server.origin}", workload.system.name
    try:
        answer = await connection.ask("GET", HEALTH, {}, None)
    except Unanswered as error:
        raise UsageError(
            f"{place}: {error}", hint=f"Is it running, and at this address? {typed(f'serve {system}')} starts one."
        ) from None
    try:
        if answer.status != OK_STATUS:
            raise UsageError(
                f"{place}: {HEALTH} was answered with {describe(answer)}",
                hint=f"Is that a server of {system}? {typed(f'serve {system}')} starts one.",
            )
        _check_system(answer, system, over.venue, place=place)
        record = await connection.ask("GET", f"{PATH}?{query_of(0, 0)}", server.record_headers, None)
        if record.status in REFUSED_STATUSES:
            raise UsageError(
                f"{place}: it does not tell at {PATH} what it does by itself: {describe(record)}", hint=PASSWORD_HINT
            )
        for operation, arguments in _reads(workload, world):
            operation_id = make_operation_id(Clock().now_us() // 1000, Random(operation))
            asked = {**arguments, "operation_id": operation_id}
            returned = await carrier.call(workload.system.operations[operation], asked, _nobody)
            if not returned.outcome.is_answer:
                raise UsageError(
                    f"{place}: a trial of {operation} ended as {returned.outcome}: {returned.error or returned.reply}",
                    hint=f"Is it a server of {system}, on the rows of this database? {PASSWORD_HINT}",
                )
    except Unanswered as error:
        raise UsageError(f"{place}: {error}", hint=f"Is that a server of {system}?") from None
    finally:
        connection.abort()


def _check_system(answer: RawAnswer, system: str, venue: str, *, place: str) -> None:
    """Raise UsageError where a server says that it is another system's, or does not say that it is this venue's.

    One that does not say which system it serves may be anybody's.
    """
    try:
        said = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        said = None
    other = said.get("system", system) if isinstance(said, dict) else system
    if other != system:
        raise UsageError(
            f"{place}: it serves {quote(other)}, not {system}", hint=f"Say --system {shlex.quote(str(other))}."
        )
    where = said.get("venue") if isinstance(said, dict) else None
    if venue and where != venue:
        serves = f"it is of venue {quote(where)}" if isinstance(where, str) else "it does not say of which venue it is"
        raise UsageError(
            f"{place}: {serves}, and {quote(venue)} is asked for",
            hint="Ask that venue's server; one of ours is started with the same --venue, or TEST_VENUE_ID.",
        )


def _nobody(request: Request) -> Reaction:
    raise AssertionError(f"a read asks no outside service, not {request.service}")


def _reads(workload: Workload, world: World) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield calls that only read, by what their endpoints say, the profile's own first."""
    random = Random(f"{workload.seed}/trial")
    reads = list(_reading(workload, world))
    for number in range(TRIALS - 1 if reads else 0):
        name = reads[number % len(reads)]
        domains = workload.system.operations[name].arguments
        yield name, {argument: domain.draw(random, world) for argument, domain in domains.items()}


def _reading(workload: Workload, world: World) -> Sequence[str]:
    """Return the operations that only read and whose keys there are."""
    endpoints, operations = workload.system.endpoints, workload.system.operations
    assert endpoints is not None
    found = []
    for name in dict.fromkeys((*workload.profile.operations, *endpoints.names())):
        drawn = [each for each in operations[name].arguments.values() if isinstance(each, KeyOf)]
        has_keys = all(isinstance(each, NewKey) or world.keys.get(each.pool) for each in drawn)
        if (
            name in set(endpoints.names())
            and name not in endpoints.acts
            and endpoints.find(name).method == "GET"
            and has_keys
        ):
            found.append(name)
    return found

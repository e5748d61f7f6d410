"""The job of serving: a system's operations over HTTP on a database, until Ctrl-C (or SIGTERM) ends it."""

import asyncio
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from integrity.clients.connection import make_connection
from integrity.engines.occupancy import occupy
from integrity.engines.target import Target
from integrity.errors import UsageError
from integrity.events import Job, Noted
from integrity.http.origin import Origin, find_origin
from integrity.jobs.plan_names import describe_unset
from integrity.jobs.run import ChosenRun, choose
from integrity.load.descriptors import make_room
from integrity.load.interruption import first_signal
from integrity.load.profile import OpenProfile, profile_names
from integrity.load.run_database import RunDatabase
from integrity.load.workload import Workload
from integrity.project import Project
from integrity.registry import Registry
from integrity.serve.served import ServedSystem, ServerOpened
from integrity.systems.service import ServiceSettings

OUTSIDE_TIMEOUT_S = 2.0
"""So long an outside party that is a server of its own is waited for."""

PROFILE = "smoke"
"""What is asked for its size where no profile is named; how outside services behave is not taken from it."""


@dataclass(frozen=True, slots=True)
class ServeAsked:
    """What is to be served.

    Args:
        services: how the system's outside services behave; those that are not named behave well.
        dying: of an operation's calls, how many end as a process that serves them dies half way; None: none.
        connections: of the pool.
        wait_s: how long a request waits for one of them.
        may_be_reached: from other machines.
        venue: whose it is; empty: nobody asked.
        dependencies: where the outside parties are; None: in the server's own process.
        timeout_s: how long one of them is waited for.
    """

    chosen: ChosenRun
    services: Mapping[str, ServiceSettings]
    connections: int
    wait_s: float
    host: str
    port: int
    may_be_reached: bool
    seed: int
    venue: str = ""
    dying: Callable[[str], float] | None = None
    dependencies: Origin | None = None
    timeout_s: float = OUTSIDE_TIMEOUT_S


def choose_served(
    project: Project,
    system_name: str,
    *,
    bug_name: str | None,
    profile_name: str | None,
    connections: int,
    wait_s: float,
    host: str,
    port: int,
    may_be_reached: bool,
    seed: int,
    venue: str = "",
    dependencies: str | None = None,
    timeout_s: float = OUTSIDE_TIMEOUT_S,
) -> ServeAsked:
    """Return what is to be served.

    Args:
        profile_name: outside services behave as it says; None: well.

    Raises:
        UsageError: there is no such system, bug or profile, or it has no endpoints.
    """
    system = Registry(project).find(system_name)
    if system.endpoints is None:
        raise UsageError(
            f"system {system_name} has no endpoints: nobody knows which requests are its operations",
            hint='Say it: System(..., endpoints=Endpoints((Endpoint("POST", "/pay", "pay", {...}),))).',
        )
    names = profile_names(system, project.settings.profiles.get(system.name, {}))
    named = profile_name or (PROFILE if PROFILE in names else names[0])
    sized = choose(project, named, system_name=system_name, bug_name=bug_name)
    option = "connections" if isinstance(sized.profile, OpenProfile) else "clients"
    profile = sized.profile.model_copy(update={option: connections})
    chosen = ChosenRun(system=system, profile_name=named, profile=profile, faults=(), bug=sized.bug)
    services = profile.services if profile_name else {}
    dying = profile.abandon_share if profile_name else None
    outside = find_origin(dependencies, project, place="--dependencies") if dependencies is not None else None
    if outside is not None and not frozenset(system.services) - system.own_services:
        raise UsageError(f"--dependencies: system {system_name} has no outside parties", hint="Leave it out.")
    asked = (chosen, services, connections, wait_s, host, port, may_be_reached, seed, venue, dying)
    return ServeAsked(*asked, outside, timeout_s)


def serve(target: Target, asked: ServeAsked, *, test_database: str | None = None) -> Job[ServedSystem]:
    """Serve until somebody ends it.

    Raises:
        UsageError: the port is taken, or others could reach it.
        AuditError: the database is not fit: not ours, not seeded, without room.
    """
    from integrity.clients.outside import OutsideParties
    from integrity.endpoints.login import api_key_of, bypass_of, password_of, service_key_of, webhook_key_of
    from integrity.endpoints.signature import signing_key_of
    from integrity.serve.application import Application
    from integrity.serve.listening import listen_on, serve, url_of
    from integrity.serve.pool import Pool
    from integrity.serve.streams import Streams
    from integrity.serve.web import Secrets, make_web

    make_room(asked.connections)  # and its clients': a bound of 1,024 is no server's
    chosen = asked.chosen
    system, endpoints = chosen.system.on(target), chosen.system.endpoints
    assert endpoints is not None
    database = RunDatabase(target, Workload(system, chosen.profile, chosen.bug, asked.seed), test_database)
    with (
        listen_on(asked.host, asked.port, may_be_reached=asked.may_be_reached) as made,
        occupy(target, f"serve {system.name}", part=system.name, is_exclusive=False, is_kept=True) as hold,
    ):
        database.prepare(hold)
        outside = None
        if asked.dependencies is not None:
            outside = OutsideParties(asked.dependencies, system, webhooks=url_of(made), timeout_s=asked.timeout_s)
            asyncio.run(outside.check())
        pool = Pool(lambda: make_connection(target, system.schemas), size=asked.connections, wait_s=asked.wait_s)
        application = Application(
            system,
            pool,
            bug=chosen.bug,
            services=asked.services,
            seed=asked.seed,
            counters=endpoints.counters,
            dying=asked.dying,
            outside=outside,
        )
        keys = bypass_of(), service_key_of(), webhook_key_of() if outside is not None else signing_key_of()
        known = Secrets(password_of(), api_key_of(), secrets.token_bytes(32), *keys)
        opened = ServerOpened(
            system.name,
            url_of(made),
            str(target),
            chosen.bug.name if chosen.bug else None,
            asked.may_be_reached,
        )
        streams = Streams(application, endpoints)
        web = make_web(application, endpoints, known, streams, venue=asked.venue)
        yield from map(Noted, describe_unset(system, os.environ))
        try:
            yield from serve(web, made, opened, stopping=first_signal, ending=streams.end)
        finally:
            why = database.put_back(hold)
        if why:
            yield Noted(why)
    return ServedSystem(system.name, application.metrics.requests.count, application.left_owed)

"""A site: an application that is raced, its database behind our proxy, and its requests as actors.

    with ExitStack() as stack:
        site = yield from open_site(subject, target, project, settings, stack)
        explore(site.stand.scheduler, site.program(), ...)

An application that is started here works on a copy of the database; one that is running already is raced on its own, which
must then be declared a test database, and its connections must lead to our proxy.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from integrity.database.namespace import guard
from integrity.engines.target import Target
from integrity.errors import UnsafeDatabase, UsageError
from integrity.events import Job, Noted
from integrity.http.client import Client
from integrity.http.request import Request
from integrity.jobs.at_start import MadeAtStart, keep_made_at_start
from integrity.jobs.request_race import RequestRace
from integrity.jobs.site_checks import check_named, find_checks
from integrity.jobs.warming import NotUndone, warm_up
from integrity.project import Project
from integrity.race.gated.postgresql.stand import Stand, open_stand
from integrity.race.program.program import Keys, Program
from integrity.race.program.trace import Return
from integrity.race.rows.postgresql.copy import CopyPlace, make_copy, reserve_copy
from integrity.race.search.least import Cast
from integrity.scenarios.actors import actors_of
from integrity.scenarios.answers import judge_answers
from integrity.scenarios.app import Running, database_environment, running
from integrity.scenarios.dying import check_alive, check_alive_in_setup
from integrity.scenarios.expecting import check_volatile
from integrity.scenarios.launching import Commands
from integrity.scenarios.preparing import Preparation, Prepared
from integrity.scenarios.requests import read_request
from integrity.scenarios.scenario import App, RequestTable, Scenario
from integrity.scenarios.subject import RequestSubject, part_of
from integrity.systems.stage import Stage
from integrity.verdict import Verdict

_NO_APPLICATION = Running("")
_WAITS = 20  # times what a request is given between two statements: so long one waits that is held at the gate


@dataclass(frozen=True, slots=True)
class Site:
    """See the module.

    Args:
        place: the database that schedules are played on.
        make_program: of some of the actors, with some of their requests; None: of all.
        client: that sends what actors ask.
        prepared: what the actors of the schedule that was played last began with.
    """

    subject: RequestSubject
    place: Target
    stand: Stand
    app: Running
    make_program: Callable[[Cast | None], Program]
    client: Client
    prepared: Callable[[], Prepared]

    def program(self, cast: Cast | None = None) -> Program:
        """Return what is raced.

        Args:
            cast: see search/least.py; None: all of it.
        """
        return self.make_program(cast)

    @property
    def secrets(self) -> frozenset[str]:
        """What must be written nowhere: what the scenario declares, the login left, and cookies say."""
        kept = self.prepared().kept
        held = [*kept.cookies.values(), *(each.removeprefix("Bearer ") for each in kept.headers.values())]
        return self.subject.secrets | {*held, *self.client.cookies_seen}


def open_site(
    subject: RequestSubject,
    target: Target,
    project: Project,
    settings: RequestRace,
    stack: ExitStack,
) -> Job[Site]:
    """Return the site, open until the stack is closed, each call made alone before.

    Raises:
        UsageError: the application cannot be started or reached, makes no statement that we see, or a request is wrong.
        UnsafeDatabase: it is running already, on a database that is not declared a test database.
        DatabaseError: the server is gone, or the role may not.
    """
    if not target.engine.speaks_postgresql:
        raise UsageError(
            f"{target}: requests are raced through a proxy that speaks PostgreSQL's protocol",
            hint="Name the application's PostgreSQL database: --database URL",
        )
    against, is_second = "", False
    while True:
        with ExitStack() as own:
            try:
                opened = _open(subject, target, project, settings, own, against_undoing=against, is_second=is_second)
                site = yield from opened
            except MadeAtStart as error:
                is_second, told = True, f"{error.message}: it is started once before, and again when changes are seen"
            except NotUndone as error:
                if against or not subject.scenario.is_started_here:
                    raise
                against, told = (
                    error.message,
                    f"{error.message}: each schedule gets a copy of the database that is made anew",
                )
            else:
                stack.push(own.pop_all())
                return site
        yield Noted(told)


def _open(
    subject: RequestSubject,
    target: Target,
    project: Project,
    settings: RequestRace,
    stack: ExitStack,
    *,
    against_undoing: str,
    is_second: bool,
) -> Job[Site]:
    """Return the site; see `open_site`.

    Args:
        against_undoing: why what a schedule changes is not undone; empty: it is.
        is_second: the application is started once before, for what it makes then.

    Raises:
        NotUndone: it cannot be.
        MadeAtStart: the application is to be started before.
    """
    scenario, named = subject.scenario, subject.named
    check_named(subject, target, project)
    place, copy = yield from _database(scenario, target, settings.test_database, stack)
    prepared: list[Prepared] = [Prepared()]
    prepare: list[Callable[[], Prepared]] = []
    apps = [_NO_APPLICATION]

    def make_rows() -> Keys:
        try:
            prepared[:] = [prepare[0]()] if prepare else prepared
        except UsageError:
            check_alive_in_setup(apps[-1])
            raise
        return {}

    log = project.state_folder / "apps" / f"race-{os.getpid()}.log"
    if is_second:
        with running(scenario.app, folder=project.folder, log=log, database_url=place.text):
            pass
    stand = stack.enter_context(
        open_stand(
            place,
            copy=copy,
            against_undoing=against_undoing,
            setup=make_rows,
            is_set_up_once=scenario.setup.once or scenario.makes_nothing,
            ignore=scenario.app.ignore,
            seconds_max=settings.seconds_max,
            on_played=lambda program, run: check_alive(apps[-1], program, run),
            port=scenario.app.proxy if scenario.app.url and not scenario.app.command else 0,
        )
    )
    if scenario.app.url and not scenario.app.command:
        yield Noted(f"the application's connections must lead to {stand.target}, which is our proxy")
    if scenario.has_application:
        begun = running(scenario.app, folder=project.folder, log=log, database_url=stand.target.text)
        apps.append(stack.enter_context(begun))
    app = apps[-1]
    if app.process_id is not None:
        keep_made_at_start(stand, is_second=is_second)
        stand.accompany(app.process_id)
    client = stack.enter_context(Client(app.url, timeout_s=_WAITS * settings.seconds_max, loop=stand.loop))
    commands = Commands(project.folder, database_environment(stand.target.text))
    stack.callback(commands.close)
    prepare.append(_preparing(subject, place, client, project))
    check_volatile(scenario.expect, place, place=subject.place)
    checks = yield from find_checks(stand.scheduler, project, scenario.expect.invariants, place=subject.place)

    def actors(scenario: Scenario) -> Program:
        made = actors_of(
            scenario,
            client=client,
            commands=commands,
            prepared=lambda: prepared[0],
            named=named,
            folder=project.folder,
            place=subject.place,
        )
        return Program(
            made,
            _no_stage,
            checks=checks,
            volatile=frozenset(scenario.expect.volatile.columns),
            is_captured=True,
            is_strict=settings.is_strict,
            expect=lambda returns: _wrong_answers(returns, scenario),
        )

    whole = actors(scenario)
    names = [actor.operation for actor in whole.actors]

    def make_program(cast: Cast | None) -> Program:
        return actors(scenario if cast is None else part_of(scenario, cast, names=names))

    site = Site(subject, place, stand, app, make_program, client, lambda: prepared[0])
    who = "the application" if scenario.has_application else "a command"
    pointing = _pointing(stand.target, scenario.app)
    yield from warm_up(stand.scheduler, whole, pointing=pointing, who=who, turned_away=lambda: stand.turned_away)
    return site


def _database(
    scenario: Scenario, target: Target, test_database: str | None, stack: ExitStack
) -> Job[tuple[Target, CopyPlace | None]]:
    """Return the database that schedules are played on, and its place if it is a copy: where all that acts is started
    here."""
    if scenario.is_started_here:
        place = stack.enter_context(reserve_copy(target))
        copied = yield from make_copy(place)
        for missing in copied.missing:
            yield Noted(f"not in the copy of the database: {missing}")
        return place.target, place
    contents = guard(target, test_database)
    if contents.name != test_database:
        raise UnsafeDatabase(
            f"{target}: an application that is running already is raced on its own database, and nobody has said that "
            f"{contents.name!r} is a test database",
            hint=f'Let it be started on a copy: [app] command = "..."; or declare it: [database] test = "{contents.name}"',
        )
    return target, None


def _preparing(subject: RequestSubject, target: Target, client: Client, project: Project) -> Callable[[], Prepared]:
    """Return what makes the rows of a schedule."""
    scenario, place = subject.scenario, subject.place

    def read(tables: Sequence[RequestTable], what: str) -> list[Request]:
        return [
            read_request(table, place=f"{place}: {what}.requests.{at}", named=subject.named, folder=project.folder)
            for at, table in enumerate(tables)
        ]

    preparation = Preparation(
        setup=scenario.setup,
        requests=read(scenario.setup.requests, "setup"),
        login=read(scenario.login.requests, "login") if scenario.login else (),
        bearer=scenario.login.bearer if scenario.login else None,
        values=scenario.values,
        target=target,
        client=client,
        folder=project.folder,
        place=place,
    )
    return preparation.make


def _pointing(target: Target, app: App) -> str:
    """Return how the application is led to our proxy."""
    if app.command or not app.url:
        return (
            "Let it take its database from DATABASE_URL, or from PGHOST, PGPORT, PGUSER, PGDATABASE: they are set where it "
            "is started. Does its code or a file of settings name a database, or one in memory?"
        )
    return (
        f"Start it with its database at {target}: the same name and password at this host and port, which are our proxy's."
    )


def _wrong_answers(returns: Mapping[str, Return], scenario: Scenario) -> Sequence[Mapping[str, Any]]:
    judged = judge_answers(returns, scenario.expect)
    return () if judged.verdict is Verdict.HOLDS else ({"reason": judged.reason},)


def _no_stage() -> Stage:
    return Stage((), {})

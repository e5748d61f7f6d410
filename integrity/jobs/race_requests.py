"""Races of an application's requests: nothing in it is changed, its statements pass our proxy.

    raced = listen(race_requests(scenario, target, project, settings))

An application that is started here works on a copy of the database; one that is running already is raced on its own, which
must then be declared a test database, and its connections must lead to our proxy.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cache
from string import ascii_uppercase
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from integrity.database.namespace import guard
from integrity.engines.target import Target
from integrity.errors import UnsafeDatabase, UsageError
from integrity.events import Job, Noted
from integrity.http.client import Client
from integrity.http.curl import read_curl
from integrity.http.request import Request
from integrity.project import SETTINGS_FILE, Project
from integrity.race.gated.postgresql.stand import Stand, open_stand
from integrity.race.judge.explain import explain, timeline_of
from integrity.race.judge.judge import Judge
from integrity.race.program.program import Keys, Program
from integrity.race.program.trace import Failed, Return
from integrity.race.requested import FoundRequests, RequestsRaced
from integrity.race.rows.postgresql.copy import make_copy, reserve_copy
from integrity.race.search.explore import Budget, Exploration, explore
from integrity.scenarios.actors import actors_of
from integrity.scenarios.answers import NO_ANSWER, judge_answers
from integrity.scenarios.app import Running, database_environment, running
from integrity.scenarios.launching import Commands
from integrity.scenarios.preparing import Preparation, Prepared
from integrity.scenarios.requests import declared_requests, read_request
from integrity.scenarios.scenario import ActorTable, RequestTable, Scenario
from integrity.systems.stage import Stage
from integrity.verdict import Verdict

WARMED = 2  # times that each call is made alone before: pools are filled, statements prepared, caches warm
PREEMPTIONS = 2
_WAITS = 20  # times what a request is given between two statements: so long one waits that is held at the gate


@dataclass(frozen=True, slots=True)
class RequestRace:
    """How far a race of requests goes.

    Args:
        seconds_max: that a request is given between two statements.
    """

    preemptions: int = PREEMPTIONS
    schedules: int = 10_000
    seconds: float = float("inf")
    seed: int = 0
    is_strict: bool = False
    seconds_max: float = 10.0


def race_requests(
    scenario: Scenario,
    target: Target,
    project: Project,
    settings: RequestRace | None = None,
    *,
    name: str = "scenario",
    named: Mapping[str, Request] | None = None,
    test_database: str | None = None,
) -> Job[RequestsRaced]:
    """Search the orders of the statements that a scenario's requests make.

    Args:
        name: of the scenario, or its file, for messages.
        named: requests that it names, beside those that integrity.toml declares.

    Raises:
        UsageError: the application cannot be started or reached, makes no statement that we see, or a request is wrong.
        UnsafeDatabase: it is running already, on a database that is not declared a test database.
        DatabaseError: the server is gone, or the role may not.
    """
    settings = settings or RequestRace()
    if not target.engine.speaks_postgresql:
        raise UsageError(
            f"{target}: requests are raced through a proxy that speaks PostgreSQL's protocol",
            hint="Name the application's PostgreSQL database: --database URL",
        )
    named = {**declared_requests(project.settings.targets, file=project.folder / SETTINGS_FILE), **(named or {})}
    with ExitStack() as stack:
        place = yield from _database(scenario, target, test_database, stack)
        prepared: list[Prepared] = [Prepared()]
        prepare: list[Callable[[], Prepared]] = []

        def make_rows() -> Keys:
            prepared[:] = [prepare[0]()] if prepare else prepared
            return {}

        stand = stack.enter_context(open_stand(place, setup=make_rows, seconds_max=settings.seconds_max))
        app = stack.enter_context(
            running(
                scenario.app,
                folder=project.folder,
                log=project.state_folder / "apps" / "race.log",
                database_url=stand.target.text,
            )
        )
        client = stack.enter_context(Client(app.url, timeout_s=_WAITS * settings.seconds_max))
        commands = Commands(project.folder, database_environment(stand.target.text))
        stack.callback(commands.close)
        prepare.append(_preparing(scenario, place, client, project, named=named, place=name))
        actors = actors_of(
            scenario,
            client=client,
            commands=commands,
            prepared=lambda: prepared[0],
            named=named,
            folder=project.folder,
            place=name,
        )
        program = Program(
            actors,
            _no_stage,
            is_captured=True,
            is_strict=settings.is_strict,
            expect=lambda returns: _wrong_answers(returns, scenario),
        )
        _warm_up(stand, program, app)
        budget = Budget(settings.preemptions, settings.schedules, settings.seconds)
        found = explore(stand.scheduler, program, budget=budget, seed=settings.seed)
        app.check()
        letters = {letter: actor.operation for letter, actor in zip(ascii_uppercase, actors, strict=False)}
        return RequestsRaced(letters, str(stand.keeping), found, _explained(stand, program, found))


def from_curl(lines: Sequence[str], url: str, command: str, *, count: int) -> tuple[Scenario, dict[str, Request]]:
    """Return the scenario that a command line says, and its requests by the names that it has for them.

    Args:
        lines: each an actor, at the application's address whatever theirs is; one alone is made `count` times.
    """
    read = [read_curl(line) for line in lines]
    named = {f"request_{number}": replace(each, url=_path_of(each.url)) for number, each in enumerate(read, start=1)}
    actors = [
        ActorTable(name=request.shown, requests=[RequestTable(request=name)], count=count if len(lines) == 1 else 1)
        for name, request in named.items()
    ]
    app = {"command": command, "url": url or ("" if command else _address_of(read[0].url))}
    return Scenario.model_validate({"app": app, "actors": actors}), named


def _path_of(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(("", "", parts.path or "/", parts.query, ""))


def _address_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _database(scenario: Scenario, target: Target, test_database: str | None, stack: ExitStack) -> Job[Target]:
    """Return the database that schedules are played on: a copy, for an application that is started here."""
    if scenario.app.command:
        place = stack.enter_context(reserve_copy(target))
        copied = yield from make_copy(place)
        for missing in copied.missing:
            yield Noted(f"not in the copy of the database: {missing}")
        return place.target
    contents = guard(target, test_database)
    if contents.name != test_database:
        raise UnsafeDatabase(
            f"{target}: an application that is running already is raced on its own database, and nobody has said that "
            f"{contents.name!r} is a test database",
            hint=f'Let it be started on a copy: [app] command = "..."; or declare it: [database] test = "{contents.name}"',
        )
    return target


def _preparing(
    scenario: Scenario, target: Target, client: Client, project: Project, *, named: Mapping[str, Request], place: str
) -> Callable[[], Prepared]:
    """Return what makes the rows of a schedule, or has made them once."""

    def read(tables: Sequence[RequestTable], what: str) -> list[Request]:
        return [
            read_request(table, place=f"{place}: {what}.requests.{at}", named=named, folder=project.folder)
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
    return cache(preparation.make) if scenario.setup.once else preparation.make


def _warm_up(stand: Stand, program: Program, app: Running) -> None:
    """Make each call alone, so that what only the first does is done; see that its statements pass us.

    Raises:
        UsageError: a call alone does not come to its end, or none makes a statement that we see.
    """
    is_seen, told = False, ""
    for actor in {actor.operation: actor for actor in program.actors}.values():
        for _ in range(WARMED):
            run = stand.scheduler.play(replace(program, actors=(actor,)))
            is_seen = is_seen or bool(run.trace.events)
            _check_answered(actor.operation, run.trace.returns)
            told = told or run.cut
    app.check()
    if told:
        raise UsageError(f"a request that is made alone does not come to its end: {told}")
    if not is_seen:
        raise UsageError(
            "no statement of the application was seen: its connections do not lead through our proxy",
            hint="Let it take its database from DATABASE_URL, which is set where we start it; where it runs already, start "
            "it with --command, or [app] command.",
        )


def _check_answered(name: str, returns: Mapping[str, Return]) -> None:
    """Raise UsageError where a call that is made alone was not answered at all."""
    for returned in returns.values():
        if isinstance(returned, Failed) and returned.reason.startswith(NO_ANSWER):
            raise UsageError(
                f"{name}: {returned.reason}", hint="Send it by hand with curl -i: is that the application's address?"
            )


def _explained(stand: Stand, program: Program, found: Exploration) -> FoundRequests | None:
    for hit in (*found.hits, *found.apart):
        again = stand.scheduler.play(program, hit.run.letters)
        explanation = explain(Judge(stand.scheduler, program), again, alarms=hit.alarms)
        return FoundRequests(hit, explanation, timeline_of(again))
    return None


def _wrong_answers(returns: Mapping[str, Return], scenario: Scenario) -> Sequence[Mapping[str, Any]]:
    judged = judge_answers(returns, scenario.expect)
    return () if judged.verdict is Verdict.HOLDS else ({"reason": judged.reason},)


def _no_stage() -> Stage:
    return Stage((), {})

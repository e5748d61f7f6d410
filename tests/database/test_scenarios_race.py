"""Requests to somebody's application are raced: its statements are held at the gate, its answers are what calls came to."""

from collections.abc import Callable
from pathlib import Path

import psycopg

from integrity.engines.target import Target
from integrity.http.client import Client
from integrity.operation import Ok
from integrity.race.gated.postgresql.stand import open_stand
from integrity.race.judge.judge import Judge
from integrity.race.program.program import Keys, Program
from integrity.race.search.exploration import Exploration
from integrity.race.search.explore import Budget, explore
from integrity.scenarios.actors import actors_of
from integrity.scenarios.answers import exactly_one
from integrity.scenarios.launching import Commands
from integrity.scenarios.preparing import Preparation, Prepared
from integrity.scenarios.reading import read_text
from integrity.scenarios.requests import read_request
from integrity.systems.stage import Stage
from integrity.verdict import Verdict
from tests.unit.http_server import Got, Reply, serving

SCENARIO = """
[setup]
sql = "insert into seats (id, buyer) values (7, null)"
requests = [{ request = "GET /seats", take = { seat = "$.free[0]" } }]

[[actors]]
requests = ['POST /buy {"seat": {seat}}']
count = 2

[expect]
exactly_one = 200
volatile = { fields = ["bought_at"] }
"""


def _shop(url: Callable[[], str], lock: str) -> Callable[[Got], Reply]:
    """Return an application that looks whether a seat is free, and then sells it."""

    def answer(got: Got) -> Reply:
        with psycopg.connect(url()) as connection:
            free = connection.execute(f"select id from seats where id = 7 and buyer is null{lock}").fetchall()
            if got.path == "/seats":
                return Reply(200, f'{{"free": [{free[0][0]}]}}')
            if not free or got.body != '{"seat": 7}':
                return Reply(409, '{"error": "sold"}')
            connection.execute("update seats set buyer = coalesce(buyer, 0) + 1 where id = 7")
        return Reply(200, '{"ok": true}')

    return answer


def _race(database: Target, lock: str, volatile: frozenset[str] = frozenset()) -> tuple[Exploration, list[Verdict]]:
    scenario = read_text(SCENARIO, file=Path("scenarios/buy.toml"), environment={})
    with psycopg.connect(database.text, autocommit=True) as connection:
        connection.execute("create table seats (id int primary key, buyer int)")
    url = database.text
    made = Prepared()
    requests = [read_request(each, place="setup") for each in scenario.setup.requests]

    with serving(_shop(lambda: url, lock)) as site, Client(site.url) as client:
        preparation = Preparation(scenario.setup, requests, target=database, client=client)

        def make_rows() -> Keys:
            nonlocal made
            made = preparation.make()
            return {}

        with open_stand(database, setup=make_rows) as stand:
            url = stand.target.text
            actors = actors_of(scenario, client=client, commands=Commands(Path(), {}), prepared=lambda: made)
            program = Program(actors, lambda: Stage((), {}), is_captured=True, volatile=volatile)
            judge = Judge(stand.scheduler, program)
            found = explore(stand.scheduler, program, budget=Budget(preemptions=2, schedules=200), judge=judge)
            letters = [hit.run for hit in (*found.hits, *found.apart)]
            serial = stand.scheduler.play(program, "")
            answered = [exactly_one(run.trace.returns, 200).verdict for run in [*letters, serial]]
            assert any(isinstance(each, Ok) for each in serial.trace.returns.values())
            return found, answered


def test_a_seat_that_is_sold_twice_is_found_through_requests(database: Target) -> None:
    found, answered = _race(database, "")
    assert found.verdict is Verdict.VIOLATED
    assert answered[0] is Verdict.VIOLATED
    assert answered[-1] is Verdict.HOLDS


def test_what_is_volatile_is_compared_with_nothing(database: Target) -> None:
    found, _ = _race(database, "", frozenset({"seats.buyer"}))
    assert (found.verdict, [hit.is_of_data for hit in found.apart]) == (Verdict.HOLDS, [False])


def test_a_seat_that_is_locked_before_it_is_sold_holds(database: Target) -> None:
    found, answered = _race(database, " for update")
    assert (found.verdict, answered) == (Verdict.HOLDS, [Verdict.HOLDS])

"""What people call a race is found, by its own name, and its sound twin is silent: see race_answers.py."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from integrity.engines.embedded.server import EmbeddedServer
from integrity.operation import Isolation, Statement
from integrity.race.judge.explain import explain
from integrity.race.judge.judge import Judge
from integrity.race.judge.oracles import Oracle
from integrity.race.play.scheduler import Scheduler
from integrity.race.search.explore import Budget, explore
from integrity.race.search.shrink import shrink
from integrity.verdict import Verdict
from tests.detection.race_answers import BY_NAME, CASES, SCHEMA, Case, create_bare
from tests.detection.race_tables import new_database


@pytest.fixture(scope="module")
def scheduler(server: EmbeddedServer) -> Iterator[Scheduler]:
    with new_database(server.target) as database:
        with database.connect() as connection:
            connection.execute(SCHEMA)
        with Scheduler(database) as scheduler:
            yield scheduler


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_goes_wrong_is_said_by_its_own_oracle_and_the_twin_is_silent(scheduler: Scheduler, case: Case) -> None:
    found = explore(scheduler, case.program, budget=Budget())
    assert found.verdict is (Verdict.VIOLATED if case.oracle else Verdict.HOLDS), found.hits
    assert {alarm.oracle for hit in found.hits for alarm in hit.alarms} == ({case.oracle} if case.oracle else set())
    assert bool(found.apart) == case.has_answers_apart


@pytest.mark.parametrize("case", [case for case in CASES if case.anomaly], ids=lambda case: case.name)
def test_it_is_shrunk_to_one_preemption_and_has_its_name(scheduler: Scheduler, case: Case) -> None:
    program = replace(case.program, is_strict=case.has_answers_apart)
    hit = explore(scheduler, program, budget=Budget()).hits[0]
    shrunk = shrink(scheduler, program, hit)
    run = scheduler.play(shrunk.program, shrunk.schedule)
    explanation = explain(Judge(scheduler, shrunk.program), run)
    assert hit.is_repeatable
    assert (shrunk.schedule, explanation.anomaly) == (case.schedule, case.anomaly)


def test_answers_apart_are_alarms_where_the_program_is_strict(scheduler: Scheduler) -> None:
    program = replace(BY_NAME["key in progress"].program, is_strict=True)
    assert explore(scheduler, program, budget=Budget()).verdict is Verdict.VIOLATED


def test_a_decline_is_allowed_only_where_it_left_nothing(scheduler: Scheduler) -> None:
    """Else anything could be done under a reason that may be given."""
    program = BY_NAME["key in progress, allowed"].program
    judge = Judge(scheduler, program)
    run = scheduler.play(program, "AB")
    assert judge.judge(run).alarms == judge.judge(run).apart == ()
    run = scheduler.play(program, "AB")
    scheduler.ask([Statement("update shops set paid = paid + 1 where id = :shop", run.keys)])
    assert [alarm.oracle for alarm in judge.judge(run).alarms] == [Oracle.SERIAL]


def test_a_failure_that_a_serial_order_has_too_is_none_of_a_race(scheduler: Scheduler) -> None:
    """The second of two that create without looking dies in each order."""
    found = explore(scheduler, create_bare(), budget=Budget())
    assert found.verdict is Verdict.HOLDS
    assert found.coverage.refusals > 0


def test_a_serialization_failure_is_expected_at_the_levels_that_promise_it_and_counted(scheduler: Scheduler) -> None:
    found = explore(scheduler, BY_NAME["refused, told so"].program, budget=Budget())
    assert found.coverage.serialization_failures > 0
    at_read_committed = replace(BY_NAME["refused, told so"].program, isolation=Isolation.READ_COMMITTED)
    assert explore(scheduler, at_read_committed, budget=Budget()).coverage.serialization_failures == 0


def test_a_deadlock_shows_what_each_waits_for_and_what_it_had_done(scheduler: Scheduler) -> None:
    program = BY_NAME["opposite order"].program
    run = scheduler.play(program, "AB")
    upsert = "insert into counts values (shop, {}, 1) on conflict (shop_id, name) do update set n = counts.n + 1"
    assert explain(Judge(scheduler, program), run).lines == [
        f"A waits for B: {upsert.format('b')}",
        f"A had done before: {upsert.format('a')}",
        f"B waits for A: {upsert.format('a')}",
        f"B had done before: {upsert.format('b')}",
        "deadlock: each call waits for a lock that another of them holds, and one is refused.",
    ]

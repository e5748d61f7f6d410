"""The bench set is judged right, by either oracle alone and at the bound of two preemptions."""

from collections.abc import Iterator

import pytest

from integrity.database.target import Target
from integrity.race.explore import Budget, explore
from integrity.race.oracle import Judge, Oracle
from integrity.race.scheduler import Scheduler
from integrity.verdict import Verdict
from tests.detection.race_bench import CASES, Case, create_tables, without_checks

RACY = [case for case in CASES if case.is_racy]
SOUND = [case for case in CASES if not case.is_racy]


@pytest.fixture
def scheduler(database: Target) -> Iterator[Scheduler]:
    create_tables(database)
    with Scheduler(database) as scheduler:
        yield scheduler


@pytest.mark.parametrize("case", RACY, ids=lambda case: case.name)
def test_a_racy_program_is_found_by_its_invariant_alone(scheduler: Scheduler, case: Case) -> None:
    judge = Judge(scheduler, case.program, is_serial_judged=False)
    exploration = explore(scheduler, case.program, budget=Budget(schedules=300), judge=judge)
    assert exploration.verdict is Verdict.VIOLATED
    assert exploration.hits[0].is_repeatable
    assert exploration.hits[0].alarms[0].oracle is Oracle.INVARIANT


@pytest.mark.parametrize("case", RACY, ids=lambda case: case.name)
def test_a_racy_program_is_found_without_any_invariant(scheduler: Scheduler, case: Case) -> None:
    exploration = explore(scheduler, without_checks(case.program), budget=Budget(schedules=300))
    assert exploration.verdict is Verdict.VIOLATED
    assert exploration.hits[0].is_repeatable
    assert exploration.hits[0].alarms[0].oracle is Oracle.SERIAL


@pytest.mark.parametrize("case", SOUND, ids=lambda case: case.name)
def test_a_sound_program_is_exhausted_at_two_preemptions_without_alarm(scheduler: Scheduler, case: Case) -> None:
    exploration = explore(scheduler, case.program, budget=Budget(preemptions=2))
    assert exploration.verdict is Verdict.HOLDS
    assert exploration.coverage.bound_completed == 2
    assert exploration.coverage.played > 4

"""On SQLite, as the workload uses it: which of ghostpass's planted races can happen there, and which its lock prevents.

A transaction begins immediate, so it holds the one write lock from its first statement on, and whatever it reads is still
true when it writes. What is left is a call that reads in one transaction and writes in the next.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations_with_replacement
from pathlib import Path

import pytest

from integrity.database.target import Target
from integrity.project import Project, Settings
from integrity.race.arena import Arena
from integrity.race.contest import Ground, survey
from integrity.race.discovery import make_finding
from integrity.race.explore import Budget, explore
from integrity.race.trace import Failed
from integrity.systems.catalogue import SYSTEMS
from integrity.systems.system import Bug
from integrity.verdict import Verdict
from tests.detection.worlds import invariants_of

PROJECT = Project(Path(__file__).parent, Settings())
GHOSTPASS = SYSTEMS["ghostpass"]
POSSIBLE = {"overdraw"}
"""Sees the balance before its transaction begins. The others read and write in one."""
IMPOSSIBLE = {"double_credit", "lost_update", "duplicate_entry"}
RACES = [bug for bug in GHOSTPASS.bugs.values() if bug.race]
PAIRS = list(combinations_with_replacement(GHOSTPASS.operations, 2))


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    with Arena(Target.parse(f"sqlite:///{tmp_path_factory.mktemp('races')}/venue.db"), GHOSTPASS) as arena:
        yield arena


@pytest.fixture(scope="module")
def ground(arena: Arena) -> Ground:
    return survey(arena.scheduler(), GHOSTPASS, invariants_of(PROJECT, GHOSTPASS))


def test_every_planted_race_is_possible_there_or_not() -> None:
    assert {bug.name for bug in RACES} == POSSIBLE | IMPOSSIBLE


def test_every_invariant_can_be_asked_there(ground: Ground) -> None:
    assert ground.left_out == ()


@pytest.mark.parametrize("bug", [GHOSTPASS.bugs[name] for name in sorted(POSSIBLE)], ids=lambda bug: bug.name)
def test_a_race_between_transactions_is_found_and_shrunk_to_the_schedule_beside_it(
    arena: Arena, ground: Ground, bug: Bug
) -> None:
    contest = next(ground.vary(bug.race, bug=bug))
    scheduler = arena.scheduler(contest.dropped)
    exploration = explore(scheduler, contest.program(), budget=Budget(preemptions=2))
    finding = make_finding(scheduler, ground, contest, exploration.hits[0], seed=0)
    assert (finding.schedule, finding.dialect) == (bug.schedule, "sqlite")
    assert {alarm.name for alarm in finding.alarms} == set(bug.violates)


@pytest.mark.parametrize("bug", [GHOSTPASS.bugs[name] for name in sorted(IMPOSSIBLE)], ids=lambda bug: bug.name)
def test_a_race_within_a_transaction_cannot_happen_since_the_other_call_waits_for_the_lock(
    arena: Arena, ground: Ground, bug: Bug
) -> None:
    contest = next(ground.vary(bug.race, bug=bug))
    scheduler = arena.scheduler(contest.dropped)
    found = explore(scheduler, contest.program(), budget=Budget(preemptions=12), is_pruned=False)
    assert found.verdict is Verdict.HOLDS
    assert found.coverage.is_exhaustive
    assert found.coverage.waits > 0
    assert found.coverage.refusals == 0
    run = scheduler.play(contest.program(), "AB")
    waited = run.trace.events[1]
    assert (waited.actor, waited.waits_for, waited.opens) == ("B", "A", True), "with its begin, before it has read anything"


@pytest.mark.parametrize("bug", [GHOSTPASS.bugs[name] for name in sorted(IMPOSSIBLE)], ids=lambda bug: bug.name)
def test_begun_deferred_it_is_refused_in_place_of_waiting(arena: Arena, ground: Ground, bug: Bug) -> None:
    contest = replace(next(ground.vary(bug.race, bug=bug)), is_deferred=True)
    scheduler = arena.scheduler(contest.dropped)
    found = explore(scheduler, contest.program(), budget=Budget(preemptions=2))
    assert found.verdict is Verdict.HOLDS
    assert found.coverage.refusals > 0
    returned = scheduler.play(contest.program(), "AB").trace.returns
    assert [each.sqlstate for each in returned.values() if isinstance(each, Failed)] == ["40001"]


@pytest.mark.slow
@pytest.mark.parametrize("pair", PAIRS, ids=" + ".join)
def test_a_sound_pair_is_exhausted_at_two_preemptions_without_alarm(
    arena: Arena, ground: Ground, pair: tuple[str, str]
) -> None:
    program = next(ground.vary(pair)).program()
    exploration = explore(arena.scheduler(), program, budget=Budget(preemptions=2, seconds=60))
    assert exploration.verdict is Verdict.HOLDS
    assert exploration.coverage.bound_completed == 2
    assert exploration.coverage.played >= 2

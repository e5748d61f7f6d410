"""On SQLite, as the workload uses it: which of the planted races can happen there, and which its lock prevents.

A transaction begins immediate, so it holds the one write lock from its first statement on, and whatever it reads is still
true when it writes. What is left is a call that reads in one transaction and writes in another.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import combinations_with_replacement
from pathlib import Path

import pytest

from integrity.engines.target import Target
from integrity.project import Project, Settings
from integrity.race.finding.discovery import make_finding
from integrity.race.judge.contest import Ground, survey
from integrity.race.program.trace import Failed
from integrity.race.search.explore import Budget, explore
from integrity.race.trial.arena import Arena
from integrity.registry import SYSTEMS
from integrity.systems.system import Bug, System
from integrity.verdict import Verdict
from tests.detection.worlds import invariants_of

PROJECT = Project(Path(__file__).parent, Settings())
GHOSTPASS = SYSTEMS["ghostpass"]
POSSIBLE = {
    "ghostpass-overdraw",
    "instainstru-double_message",
    "instainstru-stale_last_message",
    "inbox-double_send",
    "safebox-double_accept",
    "safebox-lost_notification",
    "safebox-refund_twice",
}
"""Their calls decide in one transaction and act in another. All others read and write in one."""
RACES = [(system, bug) for system in SYSTEMS.values() for bug in system.bugs.values() if bug.race]
PAIRS = list(combinations_with_replacement(GHOSTPASS.operations, 2))


def names_of(race: tuple[System, Bug]) -> str:
    return f"{race[0].name}-{race[1].name}"


FOUND = [race for race in RACES if names_of(race) in POSSIBLE]
SILENT = [race for race in RACES if names_of(race) not in POSSIBLE]
FindGround = Callable[[System], tuple[Arena, Ground]]


@pytest.fixture(scope="module")
def find_ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FindGround]:
    """The arena of a system, and what its contests have in common; made when first asked for."""
    target = Target.parse(f"sqlite:///{tmp_path_factory.mktemp('races')}/venue.db")
    found: dict[str, tuple[Arena, Ground]] = {}
    with ExitStack() as stack:

        def find(system: System) -> tuple[Arena, Ground]:
            if system.name not in found:
                arena = stack.enter_context(Arena(target, system))
                found[system.name] = arena, survey(arena.scheduler(), system, invariants_of(PROJECT, system))
            return found[system.name]

        yield find


def test_every_invariant_of_ghostpass_can_be_asked_there(find_ground: FindGround) -> None:
    assert find_ground(GHOSTPASS)[1].left_out == ()


def test_no_id_is_taken_for_an_amount_or_for_an_id_of_another_table(find_ground: FindGround) -> None:
    arena, ground = find_ground(GHOSTPASS)
    program = next(ground.vary(("sell", "sell"))).program()
    ids = {name: key for name, key in arena.scheduler().play(program).keys.items() if isinstance(key, int)}
    millions = {name.rpartition("_")[0]: key // 1_000_000 for name, key in ids.items()}
    assert min(millions.values()) >= 1
    assert len(set(millions.values())) == len(millions)
    fresh = arena.fresh_scheduler(frozenset()).play(program)
    assert (fresh.keys["wallets_1"], fresh.keys["sales_1"]) == (1, 1), "an exported test counts from 1 on"


@pytest.mark.parametrize("race", FOUND, ids=names_of)
def test_a_race_between_transactions_is_found(find_ground: FindGround, race: tuple[System, Bug]) -> None:
    system, bug = race
    arena, ground = find_ground(system)
    contest = next(ground.vary(bug.race, bug=bug))
    found = explore(arena.scheduler(contest.dropped), contest.program(), budget=Budget(preemptions=2))
    alarms = {alarm.name for alarm in found.hits[0].alarms}
    assert alarms
    assert alarms <= set(bug.violates)


def test_a_race_is_shrunk_to_the_schedule_beside_it(find_ground: FindGround) -> None:
    bug = GHOSTPASS.bugs["overdraw"]
    arena, ground = find_ground(GHOSTPASS)
    contest = next(ground.vary(bug.race, bug=bug))
    scheduler = arena.scheduler(contest.dropped)
    hit = explore(scheduler, contest.program(), budget=Budget(preemptions=2)).hits[0]
    finding = make_finding(scheduler, ground, contest, hit, seed=0)
    assert (finding.schedule, finding.dialect) == (bug.schedule, "sqlite")


@pytest.mark.parametrize("race", SILENT, ids=names_of)
def test_a_race_within_a_transaction_cannot_happen_since_the_other_call_waits_for_the_lock(
    find_ground: FindGround, race: tuple[System, Bug]
) -> None:
    system, bug = race
    arena, ground = find_ground(system)
    contests = (replace(each, is_strict=True) for each in ground.vary(bug.race, bug=bug))
    searches = (explore(arena.scheduler(each.dropped), each.program(), budget=Budget(preemptions=2)) for each in contests)
    found = next(each for each in searches if each.coverage.idle is None)  # of choices that all decline nothing is shown
    assert found.verdict is Verdict.HOLDS
    assert found.coverage.waits > 0
    assert (found.coverage.serialization_failures, found.coverage.refusals) == (0, 0)


@pytest.mark.parametrize("name", ["double_credit", "lost_update", "duplicate_entry"])
def test_who_waits_does_so_before_it_has_read_anything(find_ground: FindGround, name: str) -> None:
    bug = GHOSTPASS.bugs[name]
    arena, ground = find_ground(GHOSTPASS)
    contest = replace(next(ground.vary(bug.race, bug=bug)), is_strict=True)
    scheduler = arena.scheduler(contest.dropped)
    found = explore(scheduler, contest.program(), budget=Budget(preemptions=12), is_pruned=False)
    assert (found.verdict, found.coverage.is_exhaustive) == (Verdict.HOLDS, True)
    waited = scheduler.play(contest.program(), "AB").trace.events[1]
    assert (waited.actor, waited.waits_for, waited.opens) == ("B", "A", True)


@pytest.mark.parametrize("name", ["double_credit", "lost_update", "duplicate_entry"])
def test_begun_deferred_it_is_refused_in_place_of_waiting(find_ground: FindGround, name: str) -> None:
    bug = GHOSTPASS.bugs[name]
    arena, ground = find_ground(GHOSTPASS)
    contest = replace(next(ground.vary(bug.race, bug=bug)), is_deferred=True, is_strict=True)
    scheduler = arena.scheduler(contest.dropped)
    found = explore(scheduler, contest.program(), budget=Budget(preemptions=2))
    assert found.verdict is Verdict.HOLDS, (found.coverage.idle, found.coverage)
    assert found.coverage.serialization_failures > 0
    returned = scheduler.play(contest.program(), "AB").trace.returns
    assert [each.sqlstate for each in returned.values() if isinstance(each, Failed)] == ["40001"]


@pytest.mark.slow
@pytest.mark.parametrize("pair", PAIRS, ids=" + ".join)
def test_a_sound_pair_is_exhausted_at_two_preemptions_without_alarm(find_ground: FindGround, pair: tuple[str, str]) -> None:
    arena, ground = find_ground(GHOSTPASS)
    program = replace(next(ground.vary(pair)), is_strict=True).program()
    exploration = explore(arena.scheduler(), program, budget=Budget(preemptions=2))
    assert exploration.verdict is Verdict.HOLDS
    assert exploration.coverage.bound_completed == 2
    assert exploration.coverage.played >= 2

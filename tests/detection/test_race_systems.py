"""Every planted race of every system is found by search, and the sound operations stand every schedule of the bound."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import combinations_with_replacement
from pathlib import Path

import pytest

from integrity.engines.embedded.server import EmbeddedServer
from integrity.operation import Isolation
from integrity.project import Project, Settings
from integrity.race.finding.discovery import make_finding
from integrity.race.judge.anomaly import Anomaly
from integrity.race.judge.contest import Ground, survey
from integrity.race.judge.judge import Judge
from integrity.race.play.recording import following
from integrity.race.search.explore import Budget, explore
from integrity.race.trial.arena import Arena
from integrity.registry import SYSTEMS
from integrity.systems.system import Bug, System
from integrity.verdict import Verdict
from tests.detection.worlds import invariants_of

PROJECT = Project(Path(__file__).parent, Settings())
RACES = [(system, bug) for system in SYSTEMS.values() for bug in system.bugs.values() if bug.race]
RACE_IDS = [f"{system.name}-{bug.name}" for system, bug in RACES]
PAIRS = [
    pytest.param(level, system, pair, id=f"{system.name}-{level.value}-{' + '.join(pair)}")
    for system in SYSTEMS.values()
    for pair in combinations_with_replacement(system.operations, 2)
    for level in Isolation
]

SHORT = Budget(preemptions=2, schedules=20)
"""For one contest of a planted race; whether these calls collide is known by then."""

FindGround = Callable[[System], tuple[Arena, Ground]]


@pytest.fixture(scope="module")
def find_ground(server: EmbeddedServer) -> Iterator[FindGround]:
    """The arena of a system, and what its contests have in common; made when first asked for."""
    found: dict[str, tuple[Arena, Ground]] = {}
    with ExitStack() as stack:

        def find(system: System) -> tuple[Arena, Ground]:
            if system.name not in found:
                arena = stack.enter_context(Arena(server.target, system))
                found[system.name] = arena, survey(arena.scheduler(), system, invariants_of(PROJECT, system))
            return found[system.name]

        yield find


@pytest.mark.parametrize(("system", "bug"), RACES, ids=RACE_IDS)
def test_a_planted_race_is_found_and_shrunk_to_the_schedule_beside_it(
    find_ground: FindGround, system: System, bug: Bug
) -> None:
    """On the first keys on which the calls collide: calls with the same ones do not always, e.g. where one is a retry."""
    arena, ground = find_ground(system)
    contests = list(ground.vary(bug.race, bug=bug))
    scheduler = arena.scheduler(contests[0].dropped)
    explored = ((each, explore(scheduler, each.program(), budget=SHORT)) for each in contests)
    contest, exploration = next((contest, exploration) for contest, exploration in explored if exploration.hits)
    finding = make_finding(scheduler, ground, contest, exploration.hits[0], seed=0)
    assert (finding.schedule, finding.operations) == (bug.schedule, bug.race)
    alarms = {alarm.name for alarm in finding.alarms}
    assert alarms
    assert alarms <= set(bug.violates)
    assert Anomaly.SERIAL.words not in " ".join(finding.explanation), "one after the other the calls come out right"


@pytest.mark.parametrize(("system", "bug"), RACES, ids=RACE_IDS)
def test_the_sound_operations_stand_the_schedule_of_the_bug(find_ground: FindGround, system: System, bug: Bug) -> None:
    arena, ground = find_ground(system)
    program = next(ground.vary(bug.race)).program()
    scheduler = arena.scheduler()
    run = scheduler.play(program, decide=following(bug.schedule))
    assert Judge(scheduler, program).judge(run).alarms == ()


@pytest.mark.slow
@pytest.mark.parametrize(("level", "system", "pair"), PAIRS)
def test_a_sound_pair_is_exhausted_at_two_preemptions_without_alarm(
    find_ground: FindGround, level: Isolation, system: System, pair: tuple[str, str]
) -> None:
    arena, ground = find_ground(system)
    # Two of one operation on a row that both decline prove nothing, and are told as that: the next choice is played.
    programs = (replace(each, is_strict=True).program() for each in ground.vary(pair, isolation=level))
    explorations = (explore(arena.scheduler(), each, budget=Budget(preemptions=2)) for each in programs)
    exploration = next(each for each in explorations if each.coverage.idle is None)
    assert exploration.verdict is Verdict.HOLDS, exploration.coverage.cut
    assert exploration.coverage.bound_completed == 2
    assert exploration.coverage.played >= 2

"""Every planted race of ghostpass is found by search, and the sound operations stand every schedule of the bound."""

from collections.abc import Iterator
from itertools import combinations_with_replacement
from pathlib import Path

import pytest

from integrity.database.embedded import EmbeddedServer
from integrity.invariants.load import load_invariants
from integrity.operation import Isolation
from integrity.project import Project, Settings
from integrity.race.arena import Arena
from integrity.race.contest import Ground, survey
from integrity.race.discovery import make_finding
from integrity.race.explore import Budget, explore
from integrity.race.oracle import Judge
from integrity.race.recording import following
from integrity.systems.ghostpass.system import GHOSTPASS
from integrity.systems.system import Bug
from integrity.verdict import Verdict

RACES = [bug for bug in GHOSTPASS.bugs.values() if bug.race]
PAIRS = list(combinations_with_replacement(GHOSTPASS.operations, 2))
FILES = [
    file
    for file in load_invariants(Project(Path(__file__).parent, Settings())).values()
    if file.name.startswith("ghostpass/")
]


@pytest.fixture(scope="module")
def arena(server: EmbeddedServer) -> Iterator[Arena]:
    with Arena(server.target, GHOSTPASS) as arena:
        yield arena


@pytest.fixture(scope="module")
def ground(arena: Arena) -> Ground:
    return survey(arena.scheduler(), GHOSTPASS, FILES)


@pytest.mark.parametrize("bug", RACES, ids=lambda bug: bug.name)
def test_a_planted_race_is_found_and_shrunk_to_the_schedule_beside_it(arena: Arena, ground: Ground, bug: Bug) -> None:
    contest = next(ground.vary(bug.race, bug=bug))
    scheduler = arena.scheduler(contest.dropped)
    exploration = explore(scheduler, contest.program(), budget=Budget(preemptions=2))
    assert exploration.hits[0].schedules <= 20
    finding = make_finding(scheduler, ground, contest, exploration.hits[0], seed=0)
    assert (finding.schedule, finding.operations) == (bug.schedule, bug.race)
    assert {alarm.name for alarm in finding.alarms} == set(bug.violates)


@pytest.mark.parametrize("bug", RACES, ids=lambda bug: bug.name)
def test_the_sound_operations_stand_the_schedule_of_the_bug(arena: Arena, ground: Ground, bug: Bug) -> None:
    program = next(ground.vary(bug.race)).program()
    scheduler = arena.scheduler()
    run = scheduler.play(program, decide=following(bug.schedule))
    assert Judge(scheduler, program).judge(run).alarms == ()


@pytest.mark.slow
@pytest.mark.parametrize("pair", PAIRS, ids=" + ".join)
@pytest.mark.parametrize("level", Isolation, ids=lambda level: level.value)
def test_a_sound_pair_is_exhausted_at_two_preemptions_without_alarm(
    arena: Arena, ground: Ground, level: Isolation, pair: tuple[str, str]
) -> None:
    program = next(ground.vary(pair, isolation=level)).program()
    exploration = explore(arena.scheduler(), program, budget=Budget(preemptions=2, seconds=60))
    assert exploration.verdict is Verdict.HOLDS
    assert exploration.coverage.bound_completed == 2
    assert exploration.coverage.played >= 4

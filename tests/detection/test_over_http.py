"""What is found on the database is found over HTTP: a server with a bug, the same load as requests, the same audit."""

from collections.abc import Callable
from pathlib import Path

import pytest

from integrity.project import find_project
from integrity.registry import SYSTEMS
from integrity.systems.system import Bug, System
from tests.database.served import serving
from tests.detection.test_detection import MakeDatabase, seeded
from tests.detection.worlds import hammer_over_http, judge, violated

__all__ = ["seeded"]  # a fixture

BUGS = [(system, bug) for system in SYSTEMS.values() for bug in system.bugs.values()]
CALLS = 1500
SOUND_CALLS = 800
ROUNDS_MOST = 8


@pytest.mark.slow
@pytest.mark.parametrize("name", SYSTEMS)
def test_a_sound_server_is_silent(
    name: str, seeded: Callable[[System], str], make_database: MakeDatabase, tmp_path: Path
) -> None:
    system = SYSTEMS[name]
    target, project = make_database(seeded(system)), find_project(tmp_path)
    with serving(target, tmp_path, name, "--profile", "hammer") as server:
        result = hammer_over_http(target, project, system, server.url, seed=1, calls=SOUND_CALLS)
    assert (result.state, result.unheard, result.over) == ("finished", "", server.url)
    assert result.total.ok > SOUND_CALLS / 4
    assert result.settled_at_us is not None
    assert [each.operation for each in result.streams if each.received] == [*system.subscriptions]
    assert violated(judge(target, project, system)) == set()


@pytest.mark.slow
@pytest.mark.parametrize(("system", "bug"), BUGS, ids=[f"{system.name}-{bug.name}" for system, bug in BUGS])
def test_a_server_with_a_bug_violates_exactly_the_invariants_named_beside_it(
    system: System, bug: Bug, seeded: Callable[[System], str], make_database: MakeDatabase, tmp_path: Path
) -> None:
    target, project = make_database(seeded(system)), find_project(tmp_path)
    with serving(target, tmp_path, system.name, "--profile", "hammer", "--bug", bug.name) as server:
        for seed in range(7, 7 + ROUNDS_MOST):
            result = hammer_over_http(target, project, system, server.url, seed=seed, calls=CALLS)
            assert (result.state, result.unheard) == ("finished", "")
            judged = judge(target, project, system)
            if violated(judged) >= set(bug.violates):
                break
    assert violated(judged) - set(bug.may_violate) == set(bug.violates)

"""Every planted bug of every system is found, exactly; every sound system is silent.

Runs of so many calls with a bug make the invariants named beside it violated and no other. A sound system, hammered as hard
over many seeds, violates none, also while it is being hammered. How fast the machine is decides nothing: what a run shows
goes by its calls.
"""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.target import Target
from integrity.invariants.load import load_invariants
from integrity.project import find_project
from integrity.registry import SYSTEMS
from integrity.systems.system import Bug, System
from integrity.verdict import Verdict
from tests.detection.worlds import hammer, judge, make_seeded, violated

MakeDatabase = Callable[[str | None], Target]

BUGS = [(system, bug) for system in SYSTEMS.values() for bug in system.bugs.values()]
SOUND_SEEDS = [
    pytest.param(system, seeds, id=f"{system.name}-{len(seeds)}", marks=pytest.mark.exhaustive if len(seeds) > 5 else ())
    for system in SYSTEMS.values()
    for seeds in (range(1, 3), range(3, 23))
]
CALLS = 3000
SOUND_CALLS = 1000
AUDITED_CALLS = 2000
ROUNDS_MOST = 8
"""Until a bug must have shown: the rarest meets once in some thousand calls what it needs."""


@pytest.fixture(scope="module")
def seeded(server: EmbeddedServer) -> Iterator[Callable[[System], str]]:
    """The name of a system's seeded database, to be copied; made when first asked for."""
    names: dict[str, str] = {}

    def find(system: System) -> str:
        if system.name not in names:
            names[system.name] = f"{system.name}_seeded"
            make_seeded(server, system, names[system.name])
        return names[system.name]

    yield find
    with server.target.connect() as connection:
        for name in names.values():
            connection.execute(f"drop database {name} with (force)")


@pytest.mark.slow
@pytest.mark.parametrize(("system", "bug"), BUGS, ids=[f"{system.name}-{bug.name}" for system, bug in BUGS])
def test_a_run_with_a_bug_violates_exactly_the_invariants_named_beside_it(
    system: System, bug: Bug, seeded: Callable[[System], str], make_database: MakeDatabase, tmp_path: Path
) -> None:
    target, project = make_database(seeded(system)), find_project(tmp_path)
    for seed in range(7, 7 + ROUNDS_MOST):
        assert hammer(target, project, system, seed=seed, bug=bug, calls=CALLS).state == "finished"
        judged = judge(target, project, system)
        if violated(judged) >= set(bug.violates):
            break
    assert violated(judged) - set(bug.may_violate) == set(bug.violates)
    for name in bug.violates:
        assert judged[name].finding.rows, "a violation without its rows says nothing"


@pytest.mark.slow
@pytest.mark.parametrize(("system", "seeds"), SOUND_SEEDS)
def test_a_sound_system_is_silent_over_many_seeds(
    system: System, seeds: range, seeded: Callable[[System], str], make_database: MakeDatabase, tmp_path: Path
) -> None:
    """The runs are made one after the other on one database, so that the later ones also meet what the earlier left."""
    target, project = make_database(seeded(system)), find_project(tmp_path)
    calls = 0
    for seed in seeds:
        result = hammer(target, project, system, seed=seed, bug=None, calls=SOUND_CALLS)
        calls += result.total.calls
        assert violated(judge(target, project, system)) == set(), f"after the run with seed {seed}"
    assert calls >= SOUND_CALLS * len(seeds), "too few calls to say anything"


@pytest.mark.slow
@pytest.mark.parametrize("system", SYSTEMS.values(), ids=SYSTEMS)
def test_an_audit_beside_a_sound_run_has_no_false_alarm(
    system: System, seeded: Callable[[System], str], make_database: MakeDatabase, tmp_path: Path
) -> None:
    target, project = make_database(seeded(system)), find_project(tmp_path)
    is_over = threading.Event()
    failures: list[BaseException] = []

    def run() -> None:
        try:
            hammer(target, project, system, seed=3, bug=None, calls=AUDITED_CALLS)
        except BaseException as error:
            failures.append(error)
        finally:
            is_over.set()

    running = threading.Thread(target=run)
    running.start()
    audits = 0
    while not is_over.is_set():
        judged = judge(target, project, system).values()  # unknown is what asks of a run, until there is one
        assert [event.finding.name for event in judged if event.finding.verdict is Verdict.VIOLATED] == []
        audits += 1
    running.join()
    assert failures == []
    assert violated(judge(target, project, system)) == set()
    assert audits >= 2, "too few audits to say anything"


def test_every_bug_names_operations_and_invariants_that_exist(tmp_path: Path) -> None:
    names = set(load_invariants(find_project(tmp_path)))
    for system in SYSTEMS.values():
        for bug in system.bugs.values():
            assert bug.violates, f"{bug.name} names no invariant"
            assert set(bug.violates) <= names
            assert set(bug.operations) <= set(system.operations)
            assert set(bug.race) <= set(system.operations)


def test_a_bug_replaces_what_it_names_and_nothing_else() -> None:
    for system, bug in BUGS:
        operations = system.operations_with(bug)
        replaced = {name for name in operations if operations[name] is not system.operations[name]}
        assert replaced == set(bug.operations)

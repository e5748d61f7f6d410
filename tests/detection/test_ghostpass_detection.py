"""Every planted bug is found, exactly; the sound system is silent.

A bounded run with a bug makes the invariants named beside it violated and no other. The sound system, hammered as hard over
many seeds, violates none, also while it is being hammered.
"""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from integrity.audit import AuditSettings, audit
from integrity.database.embedded import EmbeddedServer
from integrity.database.namespace import inspect_database
from integrity.database.target import Target
from integrity.events import InvariantJudged
from integrity.invariants.load import load_invariants
from integrity.project import Project, find_project
from integrity.seeds.load import Mode, seed_system
from integrity.systems.catalogue import SYSTEMS
from integrity.systems.system import Bug
from integrity.verdict import Verdict
from integrity.workload.profile import load_profile
from integrity.workload.run import RunRequest, run

MakeDatabase = Callable[[str | None], Target]

GHOSTPASS = SYSTEMS["ghostpass"]
WALLETS = 300
SOUND_SEEDS = range(1, 21)
SECONDS = 3.0


@pytest.fixture(scope="module")
def seeded(server: EmbeddedServer) -> Iterator[str]:
    """The name of a seeded database, to be copied."""
    name = "ghostpass_seeded"
    with server.target.connect() as connection:
        connection.execute(f"create database {name}")
        target = Target(server.target.url.set(database=name))
        seed_system(target, inspect_database(target), GHOSTPASS.metadata, sizes={"wallets": WALLETS}, seed=1, mode=Mode.NEW)
        yield name
        connection.execute(f"drop database {name} with (force)")


def _hammer(target: Target, project: Project, *, seed: int, bug: Bug | None, seconds: float = SECONDS) -> dict[str, Any]:
    profile = load_profile(GHOSTPASS, "hammer", {}, {"duration_s": seconds})
    request = RunRequest(
        system=GHOSTPASS, profile_name="hammer", profile=profile, target=target, project=project, seed=seed, bug=bug
    )
    return dict(run(request).result)


def _judge(target: Target, project: Project) -> dict[str, InvariantJudged]:
    invariants = list(load_invariants(project).values())
    events = audit(target, invariants, AuditSettings())
    return {event.finding.name: event for event in events if isinstance(event, InvariantJudged)}


def _violated(judged: dict[str, InvariantJudged]) -> set[str]:
    unknown = {name: event.finding.reason for name, event in judged.items() if event.finding.verdict is Verdict.UNKNOWN}
    assert unknown == {}
    return {name for name, event in judged.items() if event.finding.verdict is Verdict.VIOLATED}


@pytest.mark.slow
@pytest.mark.parametrize("bug", GHOSTPASS.bugs.values(), ids=GHOSTPASS.bugs.keys())
def test_a_run_with_a_bug_violates_exactly_the_invariants_named_beside_it(
    bug: Bug, seeded: str, make_database: MakeDatabase, tmp_path: Path
) -> None:
    target, project = make_database(seeded), find_project(tmp_path)
    assert _hammer(target, project, seed=7, bug=bug)["state"] == "finished"
    judged = _judge(target, project)
    assert _violated(judged) == set(bug.violates)
    for name in bug.violates:
        assert judged[name].finding.rows, "a violation without its rows says nothing"


@pytest.mark.slow
def test_the_sound_system_is_silent_over_many_seeds(seeded: str, make_database: MakeDatabase, tmp_path: Path) -> None:
    """The runs are made one after the other on one database, so that the later ones also meet what the earlier left."""
    target, project = make_database(seeded), find_project(tmp_path)
    calls = 0
    for seed in SOUND_SEEDS:
        calls += sum(row["calls"] for row in _hammer(target, project, seed=seed, bug=None, seconds=2.0)["operations"][:-1])
        assert _violated(_judge(target, project)) == set(), f"after the run with seed {seed}"
    assert calls > 100 * len(SOUND_SEEDS), "too few calls to say anything"


@pytest.mark.slow
def test_an_audit_beside_a_sound_run_has_no_false_alarm(seeded: str, make_database: MakeDatabase, tmp_path: Path) -> None:
    target, project = make_database(seeded), find_project(tmp_path)
    is_over = threading.Event()
    failures: list[BaseException] = []

    def hammer() -> None:
        try:
            _hammer(target, project, seed=3, bug=None, seconds=6.0)
        except BaseException as error:
            failures.append(error)
        finally:
            is_over.set()

    running = threading.Thread(target=hammer)
    running.start()
    audits = 0
    while not is_over.is_set():
        assert _violated(_judge(target, project)) == set()
        audits += 1
    running.join()
    assert failures == []
    assert audits >= 3, "too few audits to say anything"


def test_every_bug_names_operations_and_invariants_that_exist(tmp_path: Path) -> None:
    names = set(load_invariants(find_project(tmp_path)))
    for system in SYSTEMS.values():
        for bug in system.bugs.values():
            assert bug.violates, f"{bug.name} names no invariant"
            assert set(bug.violates) <= names
            assert set(bug.operations) <= set(system.operations)
            assert set(bug.race) <= set(system.operations)


def test_a_bug_replaces_what_it_names_and_nothing_else() -> None:
    bug = GHOSTPASS.bugs["lost_update"]
    operations = GHOSTPASS.operations_with(bug)
    assert {name for name in operations if operations[name] is not GHOSTPASS.operations[name]} == set(bug.operations)

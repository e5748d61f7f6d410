"""Each fault on each system: a sound one keeps its data right and its unknown outcomes are settled; a bug that the fault is
meant to expose stays hidden without it, and shows with it.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.target import Target
from integrity.errors import UsageError
from integrity.faults.catalogue import FAULTS
from integrity.faults.fault import Fault
from integrity.faults.schedule import read_schedule
from integrity.invariants.load import load_invariants, select_invariants
from integrity.load.profile import load_profile
from integrity.load.request import RunRequest
from integrity.load.run import run
from integrity.project import find_project
from integrity.registry import SYSTEMS
from integrity.runs.result import RunResult
from integrity.systems.system import System
from tests.detection.fault_cases import BUSY_DEVICE, CALM, CASES, SOUND, Case, sound_text
from tests.detection.worlds import judge, make_seeded, violated

MakeWorld = Callable[[System], Target]

SETTINGS = {
    "shared_buffers": "64MB",
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "max_connections": "80",
}
"""Killed processes leave what they gave to the kernel; and no vacuum makes room in a table that must not find any."""


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """A server that may be killed. It does not die with the thread that started it: the run that revives it goes on."""
    server = EmbeddedServer(tmp_path_factory.mktemp("faults"), settings=SETTINGS)
    server.start()
    yield server
    server.reset()


@pytest.fixture(scope="module")
def template(own_server: EmbeddedServer) -> Callable[[System], str]:
    """The name of a system's seeded database; made when first asked for."""
    names: dict[str, str] = {}

    def find(system: System) -> str:
        if system.name not in names:
            make_seeded(own_server, system, f"{system.name}_seeded")
            names[system.name] = f"{system.name}_seeded"
        return names[system.name]

    return find


@pytest.fixture
def make_world(own_server: EmbeddedServer, template: Callable[[System], str]) -> Iterator[MakeWorld]:
    """Make seeded databases of a system; they are dropped after the test."""
    made: list[str] = []

    def make(system: System) -> Target:
        name, source = f"world_{next(_numbers)}", template(system)
        with closing(own_server.target.connect()) as admin:
            admin.execute(f"create database {name} template {source}".encode())
        made.append(name)
        return Target(own_server.target.url.set(database=name))

    yield make
    own_server.start()
    with closing(own_server.target.connect()) as admin:
        for name in made:
            admin.execute(f"drop database {name} with (force)".encode())


_numbers = count(1)

RUNS_LEAST = 20
CALLS_ENOUGH = 10_000
"""Until a bug must have shown: whether a fault's instants fall between two statements of a call is chance, and on a busy
machine few calls meet one."""


def let_loose(
    target: Target, server: EmbeddedServer, folder: Path, case: Case, *, with_fault: bool = True, with_bug: bool = True
) -> RunResult:
    """Run a case; return the result."""
    system = SYSTEMS[case.system]
    profile = load_profile(system, "case", {"case": {**CALM, **case.profile}}, {"duration_s": case.seconds})
    windows = read_schedule(case.faults, duration_s=case.seconds, may_overlap=case.may_overlap) if with_fault else ()
    request = RunRequest(
        system=system,
        profile_name="hammer",
        profile=profile,
        target=target,
        project=find_project(folder),
        seed=7,
        bug=system.bugs[case.bug] if with_bug else None,
        revive=server.start,
        server=server,
        faults=windows,
        faults_may_overlap=case.may_overlap,
    )
    return run(request).result


@pytest.mark.slow
@pytest.mark.parametrize(("system", "fault"), SOUND, ids=[f"{system.name}-{fault.name}" for system, fault in SOUND])
def test_a_sound_system_bears_every_fault_and_its_unknown_outcomes_are_settled(
    system: System, fault: Fault, make_world: MakeWorld, own_server: EmbeddedServer, tmp_path: Path
) -> None:
    target = make_world(system)
    if fault.name == "disk_full":
        bloat(target, system)
    profile = BUSY_DEVICE if fault.name == "device_offline" else {}
    case = Case(system.name, fault.name, "", (sound_text(system, fault),), profile=profile, seconds=1.5)
    result = let_loose(target, own_server, tmp_path, case, with_bug=False)
    assert result.state == "finished"
    (effect,) = result.faults
    assert effect.did, "the fault met nothing to act on"
    assert effect.phases.before.ok > 0
    assert effect.phases.after.ok > 0, "nothing went on after it"
    unknown = result.unknown_outcomes
    assert unknown is not None
    assert unknown.unknown == result.total.unknown
    assert unknown.committed + unknown.absent + unknown.untraceable == unknown.unknown
    assert (unknown.twice, unknown.open_sessions) == (0, 0)
    assert result.undelivered == 0
    assert violated(judge(target, find_project(tmp_path), system)) == set()
    if fault.name == "lost_commit_ack":
        assert unknown.committed > 0
    if fault.name == "lost_commit":
        assert unknown.absent > 0


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_fault_exposes_the_bug_that_it_is_meant_to_expose_and_that_is_hidden_without_it(
    case: Case, make_world: MakeWorld, own_server: EmbeddedServer, tmp_path: Path
) -> None:
    system = SYSTEMS[case.system]
    target, project = make_world(system), find_project(tmp_path)
    let_loose(target, own_server, tmp_path, case, with_fault=False)
    assert violated(judge(target, project, system)) == set(), "it shows without the fault too"
    runs = calls = 0
    found: set[str] = set()
    while not found and (runs < RUNS_LEAST or calls < CALLS_ENOUGH):
        calls += let_loose(target, own_server, tmp_path, case).total.calls
        runs += 1
        found = violated(judge(target, project, system))
    assert found, "the fault did not show it"
    bug = system.bugs[case.bug]
    assert found <= {*bug.violates, *bug.may_violate}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_every_fault_names_invariants_that_some_system_has(fault: Fault, tmp_path: Path) -> None:
    invariants = load_invariants(find_project(tmp_path)).values()
    if any(applies_to for applies_to, other in SOUND if other is fault):
        fitting = [pattern for pattern in fault.invariants if _fits(invariants, pattern)]
        assert fitting, "no invariant answers what it asks"


def _fits(invariants: Any, pattern: str) -> bool:
    try:
        return bool(select_invariants(invariants, [pattern]))
    except UsageError:
        return False


def test_every_case_names_a_fault_and_a_bug_that_exist() -> None:
    for case in CASES:
        assert case.fault in FAULTS
        if case.system in SYSTEMS:
            assert case.bug in SYSTEMS[case.system].bugs


BLOAT_BYTES = 18 * 2**20


def bloat(target: Target, system: System) -> None:
    """Let the file of the largest table grow beyond a segment of the write-ahead log, without changing a row."""
    with closing(target.connect()) as server:

        def size(name: str) -> int:
            row = server.execute(f"select pg_relation_size('{name}')".encode()).fetchone()
            return int(row[0]) if row is not None else 0

        tables = {f"{table.schema}.{table.name}": table for table in system.metadata.sorted_tables}
        largest = max(tables, key=size)
        column = next(iter(tables[largest].primary_key)).name
        while size(largest) < BLOAT_BYTES:
            server.execute(f"begin; update {largest} set {column} = {column}; rollback".encode())

"""Each invariant of each system accepts a sound world and rejects a broken one, with the exact rows, on every engine."""

import os
import subprocess
from typing import Any

import psycopg
import pytest

from integrity.database.binaries import candidate_folders
from integrity.sqlfile import SqlFile
from tests.database.system_worlds import SYSTEM_WORLDS, SystemWorld
from tests.database.worlds import Engine, PostgresEngine

CASES = [(name, invariant) for name, world in SYSTEM_WORLDS.items() for invariant in world.invariants]
OF_ONE_RUN = [
    (name, invariant) for name, invariant in CASES if "run_id" in SYSTEM_WORLDS[name].invariants[invariant].parameter_names
]
PSQL_VALUES = {"bigint": "1", "integer": "1", "boolean": "true", "text": "''", "timestamptz": "now()", "uuid": "null"}


@pytest.fixture(scope="module")
def system_world(request: pytest.FixtureRequest) -> SystemWorld:
    """The world of the system that the test is about."""
    return SYSTEM_WORLDS[request.param]


def each(cases: list[tuple[str, str]]) -> pytest.MarkDecorator:
    """Parametrize over systems and their invariants, a world laid out once for all of its own."""
    ids = [f"{system}-{invariant}" for system, invariant in cases]
    return pytest.mark.parametrize(("system_world", "name"), cases, ids=ids, indirect=["system_world"], scope="module")


each_system = pytest.mark.parametrize("system_world", SYSTEM_WORLDS, indirect=True, scope="module")


def ask(engine: Engine, world: SystemWorld, file: SqlFile, **given: Any) -> list[dict[str, Any]]:
    return engine.run(file, file.values(given, now=world.now))


@each_system
def test_every_invariant_has_its_pair_and_every_pair_its_invariant(system_world: SystemWorld) -> None:
    assert sorted(system_world.violations) == sorted(system_world.invariants)
    assert all(violation.rows for violation in system_world.violations.values())


@each(CASES)
def test_an_invariant_says_what_it_is_about(system_world: SystemWorld, name: str) -> None:
    file = system_world.invariants[name]
    assert file.source
    assert file.why.endswith(".")
    assert file.hint.endswith((".", "?"))


@each(CASES)
def test_a_sound_world_is_accepted(sound: "psycopg.Connection[Any]", system_world: SystemWorld, name: str) -> None:
    assert ask(PostgresEngine(sound), system_world, system_world.invariants[name]) == []


@each(CASES)
def test_a_world_is_accepted_by_every_engine_and_rejected_with_the_exact_rows(
    engine: Engine, system_world: SystemWorld, name: str
) -> None:
    """The same file, sent as it stands or transpiled, has the same answer."""
    file, violation = system_world.invariants[name], system_world.violations[name]
    assert ask(engine, system_world, file) == []
    for statement in violation.statements:
        engine.execute(statement)
    assert ask(engine, system_world, file) == list(violation.rows)


@each(OF_ONE_RUN)
def test_an_invariant_over_calls_can_be_asked_of_one_run(engine: Engine, system_world: SystemWorld, name: str) -> None:
    file, violation = system_world.invariants[name], system_world.violations[name]
    for statement in violation.statements:
        engine.execute(statement)
    assert ask(engine, system_world, file, run_id="r1") == list(violation.rows)
    assert ask(engine, system_world, file, run_id="r2") == []


@each_system
def test_every_file_runs_in_psql_as_it_stands(sound: "psycopg.Connection[Any]", system_world: SystemWorld) -> None:
    psql = next((b.folder / "psql" for b in candidate_folders(os.environ) if (b.folder / "psql").exists()), None)
    if psql is None:
        pytest.skip("no psql beside any PostgreSQL that was found")
    files = [*system_world.invariants.values(), *system_world.queries.values()]
    values = {parameter.name: PSQL_VALUES[parameter.type] for file in files for parameter in file.parameters}
    options = [option for name, value in values.items() for option in ("-v", f"{name}={value}")]
    asked = [option for file in files for option in ("-f", str(file.path))]
    info = sound.info
    target = ["-h", info.host, "-p", str(info.port), "-U", info.user, "-d", info.dbname]
    ran = subprocess.run(
        [psql, "-X", "-q", "-t", "-v", "ON_ERROR_STOP=1", *options, *target, *asked],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (ran.returncode, ran.stderr) == (0, "")


def test_the_bugs_of_every_system_name_a_schedule_where_they_name_a_race() -> None:
    for world in SYSTEM_WORLDS.values():
        for bug in world.system.bugs.values():
            assert bug.violates
            assert {name.removeprefix(f"{world.system.name}/") for name in bug.violates} <= world.invariants.keys()
            assert bool(bug.race) == bool(bug.schedule)

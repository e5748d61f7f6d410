"""Each invariant of each system accepts a sound world and rejects a broken one, with the exact rows, on every engine."""

import os
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from integrity.engines.embedded.binaries import candidate_folders
from integrity.report.audit_text import render_invariant
from integrity.sql.file import SqlFile
from tests.database.system_worlds import SYSTEM_WORLDS, SystemWorld
from tests.database.worlds import Engine, PostgresEngine

CASES = [(name, invariant) for name, world in SYSTEM_WORLDS.items() for invariant in world.invariants]
BY_THE_CLOCK = [
    (name, invariant)
    for name, invariant in CASES
    if "timestamptz" in {parameter.type for parameter in SYSTEM_WORLDS[name].invariants[invariant].parameters}
]
OF_ONE_RUN = [
    (name, invariant)
    for name, invariant in CASES
    if "run_id" in SYSTEM_WORLDS[name].invariants[invariant].parameter_names and (name, invariant) not in BY_THE_CLOCK
]
HOURS_LATER = timedelta(hours=5)
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


FAILED_CALLS = [(name, "failed-call-left-nothing") for name in SYSTEM_WORLDS]


def leave_unavailable(engine: Engine, world: SystemWorld, name: str, *, error: str) -> None:
    """Let what the declined and failed calls left have been left by calls that were unavailable."""
    for statement in world.violations[name].statements:
        engine.execute(statement)
    engine.execute(
        f"update integrity.calls set outcome = 'unavailable', error = '{error}' where outcome in ('declined', 'failed')"
    )


@each(FAILED_CALLS)
def test_a_call_that_the_database_had_no_capacity_for_left_nothing(
    engine: Engine, system_world: SystemWorld, name: str
) -> None:
    """Then the database itself has said no, and the call's error says how."""
    leave_unavailable(engine, system_world, name, error="57014 canceling statement")
    told = {"outcome": "unavailable", "error": "57014 canceling statement"}
    expected = [{**row, **told} for row in system_world.violations[name].rows]
    assert ask(engine, system_world, system_world.invariants[name]) == expected


@each(FAILED_CALLS)
def test_what_waits_for_an_outside_party_that_did_not_answer_accuses_nobody(
    engine: Engine, system_world: SystemWorld, name: str
) -> None:
    """A payment whose mint was silent is held until it answers, a message is queued until its provider takes it."""
    leave_unavailable(engine, system_world, name, error="")
    assert ask(engine, system_world, system_world.invariants[name]) == []


@each(OF_ONE_RUN)
def test_an_invariant_over_calls_can_be_asked_of_one_run(engine: Engine, system_world: SystemWorld, name: str) -> None:
    file, violation = system_world.invariants[name], system_world.violations[name]
    for statement in violation.statements:
        engine.execute(statement)
    assert ask(engine, system_world, file, run_id="r1") == list(violation.rows)
    assert ask(engine, system_world, file, run_id="r2") == []


def leave_open(engine: Engine, world: SystemWorld, name: str, *, settled_at: str | None, outcome: str = "ok") -> None:
    """Let what the clock would accuse have been made by calls of a run that has ended."""
    at = "2026-01-17 20:30:00"
    engine.execute("delete from integrity.runs where run_id = 'r2'")
    for statement in world.violations[name].statements:
        engine.execute(statement)
    for row in world.violations[name].rows:
        engine.execute(f"delete from integrity.calls where operation_id = '{row['operation_id']}'")
        engine.execute(
            "insert into integrity.calls (run_id, operation_id, operation, arguments, client, intended_at, invoked_at, "
            f"outcome) values ('r1', '{row['operation_id']}', 'x', '{{}}', 1, '{at}', '{at}', '{outcome}')"
        )
    settled = f"'{settled_at}'" if settled_at else "null"
    engine.execute(f"update integrity.runs set ended_at = '{at}', settled_at = {settled} where run_id = 'r1'")


@each(BY_THE_CLOCK)
def test_what_a_settled_run_left_open_is_stuck_at_once_and_hours_later(
    engine: Engine, system_world: SystemWorld, name: str
) -> None:
    """Nobody will deliver it or take it up any more: waiting changes nothing."""
    file, violation = system_world.invariants[name], system_world.violations[name]
    leave_open(engine, system_world, name, settled_at="2026-01-17 20:30:00")
    long_before = system_world.now - timedelta(hours=1)
    for now in (long_before, system_world.now, system_world.now + HOURS_LATER):
        found = engine.run(file, file.values({}, now=now))
        assert [row["operation_id"] for row in found] == [row["operation_id"] for row in violation.rows]
        assert {row["open_at"] for row in found} == {"2026-01-17 20:30:00"}
    assert len(ask(engine, system_world, file, run_id="r1")) == len(found)
    assert ask(engine, system_world, file, run_id="r2") == []


@each(BY_THE_CLOCK)
def test_what_an_unsettled_run_left_open_is_its_debt_and_never_stuck(
    engine: Engine, system_world: SystemWorld, name: str
) -> None:
    """It was killed, or stopped early: its processor died with it, and the system waits through no fault of its own."""
    file = system_world.invariants[name]
    leave_open(engine, system_world, name, settled_at=None)
    for now in (system_world.now, system_world.now + HOURS_LATER):
        assert engine.run(file, file.values({}, now=now)) == []


@each(BY_THE_CLOCK)
def test_what_a_run_makes_whose_calls_are_not_there_is_not_judged_by_the_clock(
    engine: Engine, system_world: SystemWorld, name: str
) -> None:
    file = system_world.invariants[name]
    for statement in system_world.violations[name].statements:
        engine.execute(statement)
    engine.execute(
        "update integrity.runs set state = 'lost', started_at = '2026-01-17 17:00:00', alive_until = '2026-01-18 00:00:00' "
        "where run_id = 'r1'"
    )
    assert engine.run(file, file.values({}, now=system_world.now)) == []


@each_system
def test_every_file_runs_in_psql_as_it_stands_and_what_is_made_as_explain_shows_it(
    sound: "psycopg.Connection[Any]", system_world: SystemWorld, tmp_path: Path
) -> None:
    psql = next((b.folder / "psql" for b in candidate_folders(os.environ) if (b.folder / "psql").exists()), None)
    if psql is None:
        pytest.skip("no psql beside any PostgreSQL that was found")
    files = [*system_world.invariants.values(), *system_world.queries.values()]
    values = {parameter.name: PSQL_VALUES[parameter.type] for file in files for parameter in file.parameters}
    options = [option for name, value in values.items() for option in ("-v", f"{name}={value}")]
    made = [file for file in files if file.origins is not None]
    assert len(made) == 4
    paths = [file.path for file in files if file.origins is None]
    for number, file in enumerate(made):
        paths.append(tmp_path / f"{number}.sql")
        paths[-1].write_text(render_invariant(file).partition("\n\n")[2], encoding="utf-8")
    asked = [option for path in paths for option in ("-f", str(path))]
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

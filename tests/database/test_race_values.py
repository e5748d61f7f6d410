"""A system as an ORM makes them is raced, kept, replayed, exported and mutated like any other: see clinic.py."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.target import Target
from integrity.engines.values import sql_of
from integrity.operation import Begin, Commit, Isolation, Ok, Statement, Steps
from integrity.race.export.export import export_pytest
from integrity.race.finding.discovery import make_finding
from integrity.race.finding.finding import Finding, read_finding, write_finding
from integrity.race.finding.replay import contest_of, replay, sought_of_finding
from integrity.race.judge.contest import Ground, survey
from integrity.race.judge.judge import Judge
from integrity.race.search.explore import Budget, explore
from integrity.race.trial.arena import Arena
from integrity.race.trial.mutate import Mutation, Mutator
from integrity.sql.file import parse_sql_file
from integrity.verdict import Verdict
from tests.database.clinic import INVARIANT, RACY, SOUND, VALUES, make_system

FILE = parse_sql_file(INVARIANT, path=Path("rate.sql"), name="clinic/rate-counts")
BUDGET = Budget(preemptions=2, schedules=200)


@pytest.fixture(scope="module")
def target(server: EmbeddedServer) -> Target:
    return server.target


@pytest.fixture(scope="module")
def racy(target: Target) -> Iterator[tuple[Arena, Ground]]:
    system = make_system(RACY)
    with Arena(target, system) as arena:
        yield arena, survey(arena.scheduler(), system, [FILE])


@pytest.fixture(scope="module")
def finding(racy: tuple[Arena, Ground], tmp_path_factory: pytest.TempPathFactory) -> Finding:
    """The finding of the race, as it was read from its file."""
    arena, ground = racy
    contest = next(ground.vary(["raise_rate", "raise_rate"]))
    hit = explore(arena.scheduler(), contest.program(), budget=BUDGET).hits[0]
    file = tmp_path_factory.mktemp("found") / "found.json"
    write_finding(make_finding(arena.scheduler(), ground, contest, hit, seed=0), file)
    return read_finding(file)


def test_every_kind_of_value_comes_back_from_the_stage_as_it_was_given(racy: tuple[Arena, Ground]) -> None:
    arena, ground = racy
    scheduler = arena.scheduler()
    run = scheduler.play(replace(next(ground.vary(["raise_rate"])).program(), actors=()))
    (row,) = scheduler.ask([Statement('select * from "Clinic"."Vet" where "vetId" = :Vet_1', run.keys)])[0].rows
    found = {name: row[name] for name in VALUES}
    assert repr(found) == repr(dict(VALUES)), "NaN is equal to nothing, so they are compared as they are written"
    assert str(run.keys["order_1"]).startswith("race-")


@pytest.mark.parametrize(("name", "value"), VALUES.items())
def test_a_literal_and_a_parameter_are_the_same_value_to_the_server(
    racy: tuple[Arena, Ground], name: str, value: Any
) -> None:
    scheduler = racy[0].scheduler()
    types = {"hourlyRate": "numeric", "ratio": "float8", "hiredOn": "date", "opensAt": "time", "takes": "interval",
             "tags": "text[]", "extra": "jsonb", "photo": "bytea"}  # fmt: skip
    given = {"given": value} if name == "extra" else value
    sql = f"select cast(:value as {types[name]}) as one, cast({sql_of(given)} as {types[name]}) as other"
    (row,) = scheduler.ask([Statement(sql, {"value": given})])[0].rows
    assert repr(row["one"]) == repr(row["other"]) == repr(given)


def test_the_race_is_found_by_the_invariant_and_without_it(racy: tuple[Arena, Ground], finding: Finding) -> None:
    arena, ground = racy
    assert [alarm.name for alarm in finding.alarms] == ["clinic/rate-counts"]
    assert finding.alarms[0].rows[0]["hourlyRate"] == "100.00"
    contest = replace(next(ground.vary(["raise_rate", "raise_rate"])), checks=())
    assert explore(arena.scheduler(), contest.program(), budget=BUDGET).verdict is Verdict.VIOLATED


def test_the_rows_of_every_table_are_compared(racy: tuple[Arena, Ground]) -> None:
    arena, ground = racy
    program = next(ground.vary(["raise_rate"])).program()
    scheduler = arena.scheduler()
    remains = Judge(scheduler, program).read(scheduler.play(program))
    assert {row["table"] for row in remains.plain()} >= {"Vet", "order", "Booking", "Line"}


def test_a_finding_comes_back_from_its_file(racy: tuple[Arena, Ground], finding: Finding) -> None:
    arena, ground = racy
    (again,) = replay(
        arena.scheduler(), contest_of(finding, ground, bug=None).program(), sought_of_finding(finding), times=1
    )
    assert again.is_back


def test_the_sound_twin_is_silent_and_its_protections_are_taken_away_by_name(target: Target) -> None:
    system = make_system(SOUND)
    with Arena(target, system) as arena:
        ground = survey(arena.scheduler(), system, [FILE])
        program = replace(next(ground.vary(["raise_rate", "raise_rate"])).program(), is_strict=True)
        assert explore(arena.scheduler(), program, budget=BUDGET).verdict is Verdict.HOLDS
        mutator = Mutator(arena, ground, Isolation.READ_COMMITTED, BUDGET, 0, 1)
        found = list(mutator.mutate(["raise_rate"]))
    words = {each.protection: each.word for each in found if isinstance(each, Mutation)}
    assert words["raise_rate: for update"] == "needed"
    assert words["Vet: Vet_check"] == words["Vet: Vet_displayName_key"] == "vacuous"


@pytest.mark.parametrize(
    "is_asked",
    [pytest.param(True, id="the invariant", marks=pytest.mark.exhaustive), pytest.param(False, id="the serial orders")],
)
def test_the_exported_test_is_red(
    target: Target, racy: tuple[Arena, Ground], finding: Finding, tmp_path: Path, is_asked: bool
) -> None:
    arena, ground = racy
    ground = ground if is_asked else replace(ground, checks=())
    file = tmp_path / "test_rate.py"
    export_pytest(arena, contest_of(finding, ground, bug=None), finding, file, files=[FILE], replay_command="")
    assert run_exported(file, target) == (1, "assert wrong == []" if is_asked else "assert found in SERIAL_ORDERS")


def run_exported(file: Path, target: Target) -> tuple[int, str]:
    """Run an exported test; return how it ended and the assertion that failed."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(file.parent), str(file)]
    ran = subprocess.run(
        command,
        cwd=file.parent,
        env={**os.environ, "DATABASE_URL": target.text},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    failed = next((line for line in ran.stdout.splitlines() if line.startswith(">")), ran.stdout)
    return ran.returncode, failed.removeprefix(">").strip().partition(", RULE")[0]


def _fail(error: str) -> Any:
    """Return an operation that fails like that where another one has raised the rate since it looked."""

    def steps(*, operation_id: object, vet_id: int, order_code: str) -> Steps:
        yield Begin()
        sql = 'select "hourlyRate" as rate from "Clinic"."Vet" where "vetId" = :vet'
        one = yield Statement(sql, {"vet": vet_id})
        other = yield Statement(sql, {"vet": vet_id})
        if one[0]["rate"] != other[0]["rate"]:
            raise LookupError(error)
        return (yield from RACY.steps(operation_id=operation_id, vet_id=vet_id, order_code=order_code))

    return steps


def test_a_call_that_fails_only_beside_another_is_exported_with_what_it_raised(target: Target, tmp_path: Path) -> None:
    system = make_system(replace(RACY, steps=_fail("the rate has changed")))
    with Arena(target, system) as arena:
        ground = survey(arena.scheduler(), system, [FILE])
        contest = next(ground.vary(["raise_rate", "raise_rate"]))
        found = explore(arena.scheduler(), contest.program(), budget=BUDGET, stops_at_first=False)
        hit = next(hit for hit in found.hits if not hit.is_of_data)
        made = make_finding(arena.scheduler(), ground, contest, hit, seed=0)
        assert made.name == "clinic-raise_rate-raise_rate-failure-LookupError"
        file = tmp_path / "test_rate.py"
        export_pytest(arena, contest, made, file, files=[FILE], replay_command="")
    assert run_exported(file, target) == (1, "assert FAILS_WITH not in errors")
    assert 'raise LookupError("the rate has changed")' in file.read_text()


@pytest.mark.exhaustive
def test_a_deadlock_is_exported_as_an_error_that_no_call_may_end_with(target: Target, tmp_path: Path) -> None:
    def lines_then_vet(*, operation_id: object, vet_id: int, order_code: str) -> Steps:
        yield Begin()
        yield Statement('update "Clinic"."Line" set "count" = "count" + 0 where "vetId" = :vet', {"vet": vet_id})
        yield Statement('update "Clinic"."Vet" set "ratio" = 1 where "vetId" = :vet', {"vet": vet_id})
        yield Commit()
        return Ok({"code": order_code})

    system = replace(
        make_system(SOUND), operations={"raise_rate": SOUND, "lines": replace(SOUND, name="lines", steps=lines_then_vet)}
    )
    with Arena(target, system) as arena:
        ground = survey(arena.scheduler(), system, [FILE])
        contest = next(ground.vary(["raise_rate", "lines"]))
        hit = explore(arena.scheduler(), contest.program(), budget=BUDGET).hits[0]
        made = make_finding(arena.scheduler(), ground, contest, hit, seed=0)
        assert made.name == "clinic-raise_rate-lines-deadlock"
        file = tmp_path / "test_rate.py"
        export_pytest(arena, contest, made, file, files=[FILE], replay_command="")
    assert run_exported(file, target) == (1, "assert FAILS_WITH not in errors")
    assert 'FAILS_WITH = "40P01"' in file.read_text()


def test_a_decimal_is_a_decimal_in_what_a_call_returned(finding: Finding) -> None:
    assert finding.calls["A"].returned["ok"]["rate"] == str(Decimal("99.50"))

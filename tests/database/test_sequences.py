"""Sequences on PostgreSQL: of files of SQL, with triggers, each from the same rows on; nothing is left on the server."""

import asyncio
import shutil
from pathlib import Path

import hypothesis
import psycopg
import pytest
from hypothesis.stateful import run_state_machine_as_test

import integrity
from integrity.engines.target import Target
from integrity.history import Outcome
from integrity.project import find_project
from integrity.registry import Registry
from integrity.sequences.machine import SequenceMachine, WrongSequence
from integrity.systems.system import System

PROJECT = Path(__file__).parents[2] / "examples" / "bank"
SETTINGS = hypothesis.settings(max_examples=60, stateful_step_count=6, deadline=None, database=None)


@pytest.fixture
def folder(tmp_path: Path, database: Target, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the example whose operations are files of SQL, and its tables in the database."""
    shutil.copytree(PROJECT, tmp_path / "bank", ignore=shutil.ignore_patterns(".*"))
    monkeypatch.chdir(tmp_path / "bank")
    with database.connect() as connection:
        connection.execute(Path("schema.sql").read_bytes())
    return tmp_path / "bank"


def bank(folder: Path) -> System:
    return Registry(find_project(folder)).default


def play(machine: type[SequenceMachine]) -> None:
    try:
        run_state_machine_as_test(hypothesis.seed(1)(machine), settings=SETTINGS)
    finally:
        machine.close()


def databases_beside(target: Target) -> list[str]:
    with target.connect() as connection:
        rows = connection.execute("select datname from pg_database order by 1").fetchall()
    return [name for (name,) in rows]


def test_operations_in_files_of_sql_are_played_and_the_wrong_one_is_told(folder: Path, database: Target) -> None:
    before = databases_beside(database)
    play(integrity.machine(bank(folder), database))
    deposit = folder / "operations" / "deposit.sql"
    deposit.write_text("\n".join(line for line in deposit.read_text().splitlines() if "insert into movements" not in line))
    with pytest.raises(WrongSequence) as wrong:
        play(integrity.machine(bank(folder), database))
    assert [made.operation for made in wrong.value.calls] == ["deposit"]
    assert wrong.value.violated[0].file.name.endswith("balance-equals-movements")
    assert databases_beside(database) == before


def test_sequences_are_played_where_a_loop_runs_as_in_a_test_that_is_a_coroutine(folder: Path, database: Target) -> None:
    system, few = bank(folder), hypothesis.settings(SETTINGS, max_examples=3)

    async def test() -> Outcome:
        machine = integrity.machine(system, database)
        try:
            run_state_machine_as_test(hypothesis.seed(1)(machine), settings=few)
            playground = machine().playground
            made = playground.call("deposit", {"account_id": playground.keys["accounts"][0], "amount_minor": 10})
        finally:
            machine.close()
        return made.returned.outcome

    assert asyncio.run(test()) is Outcome.OK


def test_an_example_begins_with_the_same_rows_also_where_a_trigger_forbids_to_delete(
    folder: Path, database: Target
) -> None:
    with database.connect() as connection:
        connection.execute(
            """
            create function refuse() returns trigger language plpgsql as
                $$ begin raise exception 'movements are kept'; end $$;
            create trigger movements_are_kept before delete on movements for each row execute function refuse();
            """
        )
    machine = integrity.machine(bank(folder), database)
    seen = set()
    for _ in range(3):
        state = machine()
        account_id = state.playground.keys["accounts"][0]
        made = state.playground.call("deposit", {"account_id": account_id, "amount_minor": 10})
        with psycopg.connect(state.playground.database.text) as connection:
            counted = connection.execute("select count(*), min(id), max(id) from movements").fetchone()
        seen.add((account_id, made.returned.outcome, counted))
    machine.close()
    assert len(seen) == 1

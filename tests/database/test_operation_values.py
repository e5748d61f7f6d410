"""Values of every domain go from a file of an operation to columns of any type that they fit, in a run, a race and psql."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from integrity.cli.main import main
from integrity.engines.target import Target

PROJECT = Path(__file__).parents[1] / "field_operations" / "values"

Command = Callable[..., tuple[int, str]]


@pytest.fixture
def integrity(
    database: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    shutil.copytree(PROJECT, tmp_path, dirs_exist_ok=True)
    (tmp_path / "integrity.toml").write_text('[project]\nname = "values"\n')
    with database.connect() as connection:
        connection.execute((PROJECT / "schema.sql").read_text(encoding="utf-8"))
        connection.execute("insert into guests (name) values ('Ada'), ('Bob')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INTEGRITY_DATABASE_URL", database.text)

    def run(*words: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main([*words, "--json"])
        captured = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, captured.out or captured.err

    return run


def test_a_run_writes_them_and_its_calls_are_found_again(integrity: Command, database: Target) -> None:
    name = database.url.database or ""
    code, told = integrity("run", "hammer", "--duration", "2s", "--yes-this-is-a-test-database", name)
    assert code == 0, told
    with database.connect() as connection:
        found = connection.execute(
            "select count(distinct mood), count(distinct key) - count(*), count(*) from notes"
        ).fetchone()
        calls = connection.execute("select arguments from integrity.values_calls where outcome = 'ok'").fetchall()
    assert found is not None
    assert found[:2] == (2, 0)
    assert found[2] >= len(calls) > 0  # there may be more: of clients that died
    assert {type(arguments["price"]) for (arguments,) in calls} == {str}  # no digit is lost on the way
    code, told = integrity("validate")
    assert (code, len(json.loads(told)["invariants"])) == (0, 4), told


def test_a_race_is_searched_with_them(integrity: Command) -> None:
    code, told = integrity("race", "note", "--preemptions", "1")
    assert (code, json.loads(told)["left_out"]) == (0, []), told

"""What `integrity` alone says to type next runs: on the examples, and on a project that was just made."""

import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from integrity.cli.main import main
from integrity.engines.target import Target

EXAMPLES = Path(__file__).parents[2] / "examples"
MADE_BY = {"bank": (), "seats": (), "tickets": (("seed", "--system", "tickets"),), "new": (("init",),)}

Command = Callable[..., tuple[int, str]]


@pytest.fixture
def integrity(
    database: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Command]:
    """Run a command in the current folder, on the database; gives its code and all that it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INTEGRITY_DATABASE_URL", database.text)
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)

    def run(*words: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main(list(words))
        captured = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, f"{captured.out}{captured.err}"

    yield run
    for name in {"seats", "tickets"} & (set(sys.modules) - before):
        del sys.modules[name]


def suggested(status: str) -> list[tuple[str, ...]]:
    """Return the commands that are suggested, without what is said beside them."""
    lines = status.partition("Type next:\n")[2].splitlines()
    return [tuple(line.strip().partition("  ")[0].split()[1:]) for line in lines]


@pytest.mark.parametrize("project", MADE_BY)
def test_each_command_that_the_status_suggests_runs(
    integrity: Command, database: Target, tmp_path: Path, project: str
) -> None:
    if project != "new":
        shutil.copytree(EXAMPLES / project, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    with database.connect() as connection:
        for name in ("schema.sql", "data.sql"):
            if (tmp_path / name).is_file():
                connection.execute((tmp_path / name).read_bytes())
        if project == "new":
            connection.execute("create table accounts (id bigint primary key, balance bigint not null)")
    for words in MADE_BY[project]:
        assert integrity(*words)[0] == 0
    commands = suggested(integrity()[1])
    assert commands
    assert {words: told for words in commands for code, told in [integrity(*words)] if code == 2} == {}


def test_a_file_of_an_operation_that_cannot_be_used_is_not_suggested(integrity: Command, tmp_path: Path) -> None:
    (tmp_path / "operations").mkdir()
    (tmp_path / "operations/a.sql").write_text("begin;\nselect 1;\n")
    (tmp_path / "operations/b.sql").write_text("select 1 from accounts;\n")
    assert ("race", "b", "b") in suggested(integrity()[1])


def test_a_project_whose_own_database_is_not_there_yet_is_led_to_its_tables(
    integrity: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(EXAMPLES / "bank", tmp_path, dirs_exist_ok=True)
    monkeypatch.delenv("INTEGRITY_DATABASE_URL")
    commands = suggested(integrity()[1])
    assert commands == [("db", "psql", "-f", "schema.sql", "-f", "data.sql"), ("--help",)]


def test_an_audit_that_no_run_of_the_database_goes_with_is_the_last_one_all_the_same(
    integrity: Command, database: Target, tmp_path: Path
) -> None:
    with database.connect() as connection:
        connection.execute("create table accounts (id bigint primary key, balance bigint not null)")
        connection.execute("insert into accounts values (1, -5)")
    integrity("init")
    (tmp_path / ".integrity/runs/20260101-000000-shop-smoke").mkdir(parents=True)  # of before the database was put back
    code, _ = integrity("validate")
    status = integrity()[1]
    assert code == 1
    assert "last audit  none" not in status
    assert "violated" in status
    (first, *_) = suggested(status)
    assert first[0] == "explain"
    assert integrity(*first)[0] == 0
    assert integrity("validate", "--read-only")[0] == 1

    (tmp_path / ".integrity/verdicts.json").unlink()
    integrity("validate", "--read-only")
    assert not (tmp_path / ".integrity/verdicts.json").exists()


def test_verdicts_that_cannot_be_kept_are_no_reason_to_withhold_them(
    integrity: Command, database: Target, tmp_path: Path
) -> None:
    with database.connect() as connection:
        connection.execute("create table accounts (id bigint primary key, balance bigint not null)")
        connection.execute("insert into accounts values (1, 5)")
    integrity("init")
    (tmp_path / ".integrity").write_text("somebody's file")
    code, said = integrity("validate")
    assert code == 0
    assert "the verdicts are not kept: " in said


def test_what_a_refusal_says_to_type_works_on_the_database_and_in_the_folder_that_were_named(
    integrity: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("INTEGRITY_DATABASE_URL")
    (tmp_path / "venue").mkdir()
    named = ("--database", f"sqlite:///{tmp_path}/venue/venue.db", "--project", str(tmp_path / "venue"))
    code, said = integrity("run", "smoke", "--system", "ghostpass", *named)
    assert code == 2
    words = shlex.split(" ".join(said.split()).partition("`integrity seed")[2].partition("`")[0])
    assert words == [*named]
    code, said = integrity("seed", "--system", "ghostpass", *words, "--wallets", "50")
    assert code == 0
    assert shlex.split(said.partition("Next: ")[2])[-4:] == [*named]
    assert (tmp_path / "venue/venue.db").exists()
    assert not (tmp_path / ".integrity").exists()

"""A stranger's project with several systems: which invariants are whose, and one of them that cannot be imported."""

import sqlite3
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from integrity.cli.main import main

BANK = """
from uuid import UUID
from integrity import Operation, System
from integrity.domain import IntegerIn, KeyOf
from integrity.operation import Begin, Commit, Ok, Statement
from integrity.systems.wanted_row import WantedRow

def withdraw(*, operation_id: UUID, account_id: int, amount: int):
    yield Begin()
    yield Statement("update accounts set balance = balance - :amount where id = :id", {"amount": amount, "id": account_id})
    yield Commit()
    return Ok()

ARGUMENTS = {"account_id": KeyOf("accounts"), "amount": IntegerIn(150, 200)}
OPERATIONS = {"withdraw": Operation("withdraw", withdraw, ARGUMENTS)}
BANK = System("bank", "a bank", operations=OPERATIONS, rows=[WantedRow("account", "accounts", {"balance": "100"})])
"""
MODEL = """
from dataclasses import replace
from sqlalchemy import Column, Integer, MetaData, Table

METADATA = MetaData()
Table("accounts", METADATA, Column("id", Integer, primary_key=True))
BANK = replace(BANK, metadata=METADATA)
"""
TABLES = """
create table accounts (id integer primary key, balance integer not null);
create table parcels (id integer primary key, weight integer not null);
insert into accounts values (1, 100);
insert into parcels values (1, 5);
"""
FILES = {
    "bank.py": BANK,
    "operations/post/weigh.sql": "-- title: weigh\n-- parameter id: key of parcels\n-- row parcel: parcels(weight = 3)\n"
    "update parcels set weight = weight + 1 where id = :id;\n",
    "invariants/funds.sql": "-- title: no account is below zero\nselect id, balance from accounts where balance < 0\n",
    "invariants/weights.sql": "-- title: a parcel weighs something\nselect id from parcels where weight <= 0\n",
}

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def integrity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """Run a command in a project with a system in Python and one of files; gives its code, output and notes."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    url = f"sqlite:///{tmp_path / 'own.db'}"
    (tmp_path / "integrity.toml").write_text(f'[database]\nurl = "{url}"\ntest = "own.db"\n[systems]\nbank = "bank:BANK"\n')
    with sqlite3.connect(tmp_path / "own.db") as connection:
        connection.executescript(TABLES)
    connection.close()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("INTEGRITY_DATABASE_URL", raising=False)
    monkeypatch.setattr(sys, "path", [*sys.path])

    def run(*words: str) -> tuple[int, str, str]:
        sys.modules.pop("bank", None)
        with pytest.raises(SystemExit) as ended:
            main(list(words))
        captured = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, captured.out, captured.err

    yield run
    sys.modules.pop("bank", None)


@pytest.mark.parametrize(("system", "its"), [("bank", "funds"), ("post", "weights")])
@pytest.mark.parametrize("command", ["list", "validate --verbose"])
def test_a_system_has_the_invariants_that_read_its_tables(
    integrity: Command, tmp_path: Path, command: str, system: str, its: str
) -> None:
    (tmp_path / "bank.py").write_text(f"{BANK}{MODEL}")
    code, out, _ = integrity(*command.split(), "--system", system)
    assert code == 0
    assert {name for name in ("funds", "weights") if name in out} == {its}


@pytest.mark.parametrize("with_second_system", [False, True])
def test_a_system_without_a_model_is_raced_with_the_projects_own_invariants(
    integrity: Command, tmp_path: Path, with_second_system: bool
) -> None:
    if not with_second_system:
        (tmp_path / "operations/post/weigh.sql").unlink()
    code, out, _ = integrity("race", "bank", "withdraw", "withdraw", "--budget", "2s")
    assert code == 1
    assert "funds" in out


@pytest.mark.parametrize("command", ["list", "validate"])
def test_a_system_without_any_invariant_is_told_and_how_it_gets_one(
    integrity: Command, tmp_path: Path, command: str
) -> None:
    (tmp_path / "invariants/weights.sql").unlink()
    code, _, err = integrity(command, "--system", "post")
    assert code == 2
    assert "is about system post" in err
    assert "invariants/post/" in err


@pytest.mark.parametrize(
    "words",
    [("race", "weigh", "weigh", "--budget", "2s"), ("list",), ("validate",), ("new", "operation", "again"), ("health",)],
)
def test_a_system_that_cannot_be_imported_is_in_the_way_of_no_other(
    integrity: Command, tmp_path: Path, words: tuple[str, ...]
) -> None:
    (tmp_path / "bank.py").write_text("def (")
    code, _, err = integrity(*words)
    assert code == 0
    assert err.count("bank.py:1: SyntaxError") == (words[0] in ("race", "validate", "health"))


def test_a_system_that_cannot_be_imported_may_be_the_one_that_is_seeded(integrity: Command, tmp_path: Path) -> None:
    (tmp_path / "bank.py").write_text("def (")
    code, _, err = integrity("seed")
    assert code == 2
    assert "bank.py:1: SyntaxError" in err


def test_a_word_that_is_no_name_is_told_with_the_operation_that_is_spelt_nearly_so(integrity: Command) -> None:
    code, _, err = integrity("race", "weihg", "weigh")
    assert code == 2
    assert "Perhaps you meant weigh." in err
    code, _, err = integrity("race", "bnak")
    assert "Perhaps you meant bank." in err


def test_a_finding_is_replayed_by_its_name_from_any_folder_of_the_project(
    integrity: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    integrity("race", "bank", "withdraw", "withdraw", "--budget", "2s")
    (found,) = (path for path in (tmp_path / ".integrity/races").glob("*.json"))
    monkeypatch.chdir(tmp_path / "invariants")
    assert integrity("replay", found.stem)[0] == 1
    assert integrity("replay", found.name)[0] == 1
    code, _, err = integrity("replay", found.stem[:-1])
    assert code == 2
    assert f"Perhaps you meant {found.stem}." in " ".join(err.split())


def test_files_of_operations_without_tables_are_not_told_of_python(integrity: Command, tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "empty.db").close()
    code, _, err = integrity("race", "weigh", "weigh", "--database", f"sqlite:///{tmp_path / 'empty.db'}")
    assert code == 2
    assert "Make the tables first" in err
    assert "System(" not in err


def test_a_draft_of_a_name_that_another_file_has_is_refused(integrity: Command, tmp_path: Path) -> None:
    file = tmp_path / "operations/take.sql"
    assert integrity("new", "operation", "take", "--table", "accounts")[0] == 0
    text = f"{file.read_text()}-- mine\n"
    file.write_text(text)
    code, _, err = integrity("new", "operation", "take", "--table", "accounts")
    assert code == 2
    assert "is there already: nothing was written" in err
    assert file.read_text() == text


def test_a_file_that_the_settings_name_lies_in_the_projects_folder_and_one_of_the_command_line_in_the_current(
    integrity: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tmp_path / "integrity.toml"
    settings.write_text(settings.read_text().replace(f"{tmp_path}/", ""))
    monkeypatch.chdir(tmp_path / "invariants")
    code, out, _ = integrity("validate")
    assert (code, "All 2 invariants hold." in out) == (0, True)
    assert integrity("validate", "--database", "sqlite:///own.db")[0] == 2
    assert integrity("validate", "--database", "sqlite:///../own.db")[0] == 0


def test_a_project_that_is_made_in_another_folder_names_the_file_that_was_meant(integrity: Command, tmp_path: Path) -> None:
    assert integrity("init", "below", "--database", "sqlite:///own.db")[0] == 0
    assert f'url = "sqlite:///{tmp_path}/own.db"' in (tmp_path / "below/integrity.toml").read_text()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("accounts=1,parcels=2", "--rows accounts=1 --rows parcels=2"),
        ("accounts", "'accounts': it does not say how many"),
        ("=5", "'=5': it does not say how many"),
    ],
)
def test_rows_that_are_written_otherwise_are_told_with_what_was_given_and_the_right_spelling(
    integrity: Command, given: str, told: str
) -> None:
    code, _, err = integrity("seed", "--rows", given)
    assert code == 2
    assert told in " ".join(err.split())
    assert given in err

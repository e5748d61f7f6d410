"""Mistakes in a stranger's project: each is told in one paragraph with its file, name and reason, and none is silent."""

import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from integrity.cli.main import main
from integrity.invariants.effects.making import make_invariants
from integrity.project import reference_folder
from integrity.registry import SYSTEMS

PROJECT = Path(__file__).parents[1] / "own_system"
EFFECTS = Path("invariants/bank/effects.toml")
SETTINGS = Path("integrity.toml")

Command = Callable[..., tuple[int, str]]


@pytest.fixture
def integrity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """Run a command in a copy of the project, on SQLite; gives its code and all that it printed."""
    shutil.copytree(PROJECT, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INTEGRITY_DATABASE_URL", f"sqlite:///{tmp_path / 'bank.db'}")
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(
        sys, "dont_write_bytecode", True
    )  # the module is changed within the second that a cache tells apart

    def run(*words: str) -> tuple[int, str]:
        sys.modules.pop("bank", None)
        with pytest.raises(SystemExit) as ended:
            main(list(words))
        captured = capsys.readouterr()
        assert "error of integrity's own" not in captured.err
        assert isinstance(ended.value.code, int)
        return ended.value.code, f"{captured.out}{captured.err}"

    yield run
    sys.modules.pop("bank", None)


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new", "invariant", "told"),
    [
        (
            '["deposit", "withdraw"]',
            '["depost", "withdraw"]',
            "bank/acknowledged-call-is-stored",
            f"{EFFECTS}:7: stored of the effect in 'movements': system bank has no operation 'depost'\n"
            "    hint: Perhaps you meant deposit. Its operations are: deposit, withdraw.",
        ),
        (
            'subject = "account_id"',
            'system = "bnak"\nsubject = "account_id"',
            "bank/call-at-most-once",
            f"{EFFECTS}:1: system: unknown system 'bnak'\n    hint: Perhaps you meant bank. The systems are: ",
        ),
    ],
    ids=["operation", "system"],
)
def test_a_name_in_effects_that_nobody_has_makes_its_invariant_unknown(
    integrity: Command, old: str, new: str, invariant: str, told: str
) -> None:
    """A query about the calls of an operation that there is not finds nothing wrong, whatever the data."""
    integrity("seed", "--size", "accounts=2")
    change(EFFECTS, old, new)
    code, judged = integrity("validate", "--select", invariant)
    assert code == 3
    assert told in judged
    assert told.partition("\n")[0] in integrity("explain", invariant)[1]


def test_every_operation_that_our_own_effects_name_is_there() -> None:
    for path in (reference_folder("invariants")).rglob(EFFECTS.name):
        for make in make_invariants(path, folder=path.parent.name, find_operations=SYSTEMS.operations_of).values():
            assert make().fault == ""


def test_a_pattern_of_a_system_that_fits_no_invariant_is_refused_by_its_place(integrity: Command) -> None:
    change(SETTINGS, "money/*", "money/no-balance-belw-zero")
    for command in (("validate",), ("list",), ("race", "bank")):
        code, told = integrity(*command)
        assert code == 2
        assert told.startswith(
            f"integrity: {SETTINGS.absolute()}: systems.bank.invariants: no invariant fits 'money/no-balance-belw-zero'\n"
            "  hint: Perhaps you meant money/no-balance-below-zero"
        )


def test_a_system_that_cannot_be_imported_is_said_and_unknown_where_it_was_asked_for(integrity: Command) -> None:
    integrity("seed", "--size", "accounts=2")
    EFFECTS.unlink()
    Path("invariants/mine.sql").write_text("-- title: mine\nselect id from accounts where false")
    change(SETTINGS, "bank:BANK", "bnk:BANK")
    reason = f"{SETTINGS.absolute()}: systems.bank: bnk:BANK: there is no module bnk in {Path.cwd()}, and none is installed"
    code, judged = integrity("validate")
    assert (code, "All 3 invariants hold." in judged) == (0, True)
    assert f"{reason}; its invariants are judged without it\n  hint: It is written as" in judged
    code, judged = integrity("validate", "--system", "bank")
    assert (code, "2 of 2 invariants unknown" in judged, f"  {reason}\n    hint: " in judged) == (3, True, True)
    assert integrity("validate", "--select", "mine")[1].count("bnk") == 0


def test_a_folder_that_is_called_as_a_file_is_told_as_one_that_cannot_be_read(integrity: Command) -> None:
    integrity("seed", "--size", "accounts=2")
    for folder in ("invariants/money/y.sql", "queries/bank/z.SQL"):
        Path(folder).mkdir()
    assert re.search(
        r"unknown  money/y\n  invariants/money/y.sql: cannot be read: it is a folder", integrity("validate")[1]
    )
    assert "broken: queries/bank/z.SQL: cannot be read: it is a folder" in integrity("queries", "list")[1]


STAGE = ("    rows: list[StagedRow] = []", '    {}["x"]', "118, in stage: KeyError: 'x'")
SEEDER = ("    opened = [", "    1 / 0", "132, in generate: ZeroDivisionError: division by zero")


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        (STAGE, ("race", "bank", "deposit")),
        pytest.param(STAGE, ("race", "bank", "deposit", "--jobs", "2"), marks=pytest.mark.exhaustive),
        (SEEDER, ("seed", "--size", "accounts=2")),
    ],
    ids=["stage", "stage in another process", "seeder"],
)
def test_an_exception_in_the_code_of_a_system_is_told_by_its_place_there(
    integrity: Command, mistake: tuple[str, str, str], words: tuple[str, ...]
) -> None:
    old, new, place = mistake
    change(Path("bank.py"), old, f"{new}\n{old}")
    code, told = integrity(*words)
    assert code == 2
    paragraph = told.splitlines()[-3:]
    assert paragraph[0] == f"integrity: {words[0]} could not go on: an exception in bank.py:{place}"
    kept = Path(paragraph[1].removeprefix("  the traceback is in ")).read_text()
    assert (new.strip() in kept, place.partition(": ")[2] in kept.splitlines()) == (True, True)
    assert paragraph[2] == "  hint: It is code of yours that integrity called: mend it there, then give the command again."

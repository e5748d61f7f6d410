"""What goes wrong in the code of an operation is for its author to mend: told with its place, and no outcome of calls."""

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from integrity.cli.main import main
from integrity.engines.target import Target
from integrity.exit_codes import ExitCode

PROJECT = Path(__file__).parents[1] / "own_system"

Command = Callable[..., tuple[int, str]]


@pytest.fixture(params=["sqlite", "postgresql"])
def integrity(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Command]:
    """Run a command in a copy of the project, on an empty database; gives its code and all that it printed."""
    url = f"sqlite:///{tmp_path / 'bank.db'}"
    if request.param == "postgresql":
        target: Target = request.getfixturevalue("database")
        url = target.text
    shutil.copytree(PROJECT, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INTEGRITY_DATABASE_URL", url)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def run(*words: str) -> tuple[int, str]:
        sys.modules.pop("bank", None)
        with pytest.raises(SystemExit) as ended:
            main(list(words))
        captured = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, " ".join(f"{captured.out}{captured.err}".split())

    yield run
    sys.modules.pop("bank", None)


def change(old: str, new: str) -> None:
    file = Path("bank.py")
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


def line_of(text: str) -> int:
    """Return the number of the line of the bank's module with this text."""
    lines = Path("bank.py").read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, start=1) if text in line)


LAST_OF_WITHDRAW = "    yield _set_balance(account_id, left)\n    yield Commit()\n"
LEFT_OPEN = "it returns Ok with its transaction open, so nothing of that is stored: yield Commit() behind this"


def test_a_commit_that_was_forgotten_is_told_by_a_race_at_once(integrity: Command) -> None:
    change(LAST_OF_WITHDRAW, "    yield _set_balance(account_id, left)\n")

    code, told = integrity("race", "withdraw", "withdraw")

    last = line_of("    yield _set_balance(account_id, left)")
    begun = told.index("integrity: ")
    assert (code, told[begun:]) == (2, f"integrity: bank.py:{last}, in withdraw: {LEFT_OPEN}")  # nothing is found beside


def test_a_commit_that_was_forgotten_makes_the_calls_of_a_run_fail_with_the_place(integrity: Command) -> None:
    integrity("seed", "--size", "accounts=2")
    change('    yield Commit()\n    return Ok({"balance_minor": rows', '    return Ok({"balance_minor": rows')

    code, told = integrity("run", "smoke", "--rate", "40", "--duration", "1s")

    last = line_of("rows: Rows = yield Statement(")
    assert f"bank.py:{last}, in deposit: {LEFT_OPEN}" in told, told
    assert code == ExitCode.THRESHOLD  # of failed calls


def test_a_decline_in_an_open_transaction_is_rolled_back_and_no_mistake(integrity: Command) -> None:
    change("        yield Rollback()\n        return Declined", "        return Declined")

    code, told = integrity("race", "withdraw", "withdraw", "--schedules", "30")

    assert (code, LEFT_OPEN in told) == (0, False), told


def test_a_reader_that_leaves_its_transaction_open_is_no_mistake(integrity: Command) -> None:
    Path("invariants/bank/effects.toml").unlink()  # it says that a withdrawal is stored
    change(
        '    left = rows[0]["balance_minor"] - amount_minor\n',
        '    return Ok({"balance_minor": rows[0]["balance_minor"]})\n    left = 0\n',
    )

    code, told = integrity("race", "withdraw", "withdraw", "--schedules", "30")

    assert (code, LEFT_OPEN in told) == (0, False), told


def test_a_name_that_there_is_not_is_told_once_with_its_line(integrity: Command) -> None:
    change("    if left < 0:\n", "    if left < smallest:\n")

    code, told = integrity("race", "withdraw", "withdraw", "--jobs", "2")

    assert code == 2
    assert told.count("NameError") == 1
    place = f"bank.py:{line_of('if left < smallest')}, in withdraw"
    assert f"race could not go on: an exception in {place}: NameError: name 'smallest' is not defined" in told


def test_an_exception_of_calls_one_after_the_other_is_told_with_its_line(integrity: Command) -> None:
    change("    if left < 0:\n", "    if 1 // (left - left) < 0:\n")

    code, told = integrity("race", "deposit", "withdraw")

    assert code == 2
    assert f"race could not go on: an exception in bank.py:{line_of('if 1 //')}, in withdraw: ZeroDivisionError: " in told

"""What a program imports from integrity: few names, lazily, with types that a user's checker sees."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import integrity

PACKAGE = Path(integrity.__file__).parent
EXAMPLES = Path(__file__).parents[1] / "examples"


def test_each_public_name_is_there_says_what_it_is_and_is_no_rooms() -> None:
    rooms = {path.stem.lower() for path in PACKAGE.iterdir()}
    for name in integrity.__all__:
        assert getattr(integrity, name).__doc__, name
        assert name not in rooms
    assert len(integrity.__all__) <= 12
    assert set(integrity.__all__) <= set(dir(integrity))


def test_a_type_checker_sees_the_names_from_where_they_come() -> None:
    """The imports that only a checker reads and the table by which names are found are two lists; they say the same."""
    tree = ast.parse(Path(integrity.__file__).read_text(encoding="utf-8"))
    checked = next(node for node in tree.body if isinstance(node, ast.If))
    imports = [node for node in checked.body if isinstance(node, ast.ImportFrom)]
    seen = {alias.name: node.module for node in imports for alias in node.names}
    found = {name: f"integrity.{home}" for name, home in integrity._HOMES.items()}
    assert seen == found
    assert sorted(found) == integrity.__all__


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'integrity' has no attribute 'Audits'"):
        _ = integrity.Audits  # type: ignore[attr-defined]


def test_importing_the_package_imports_nothing_of_it() -> None:
    program = "import sys, integrity; print([name for name in sys.modules if name.startswith('integrity.')])"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout == "[]\n"


@pytest.fixture
def example(tmp_path: Path) -> Path:
    shutil.copytree(EXAMPLES, tmp_path / "shop", ignore=shutil.ignore_patterns("__pycache__", ".integrity"))
    return tmp_path / "shop"


def test_a_users_program_is_typed(example: Path) -> None:
    """By the package's own types: without py.typed every import of it would be an error."""
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(example / ".cache"), "."]
    checked = subprocess.run(command, cwd=example, capture_output=True, text=True, check=False, timeout=250)
    assert (checked.returncode, checked.stderr) == (0, ""), checked.stdout


def test_a_users_program_races_runs_and_audits_a_system_that_nobody_declares(example: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("INTEGRITY_")}
    command = [sys.executable, "own_bank.py", "sqlite:///bank.db"]
    ran = subprocess.run(command, cwd=example, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert (ran.returncode, ran.stderr) == (0, "")
    sound, wrong, audited = ran.stdout.splitlines()
    assert sound == "race, sound: nothing found"
    assert wrong.startswith("race, lost_update: A")
    assert audited == "True: The only invariant holds."


def run_pytest(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_own_bank.py", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=200)


def test_a_users_test_lets_hypothesis_call_his_operations_and_tells_the_shortest_wrong_sequence(example: Path) -> None:
    sound = run_pytest(example, "--hypothesis-show-statistics")
    assert (sound.returncode, sound.stderr) == (0, ""), sound.stdout
    assert "50 passing" in sound.stdout
    test = example / "test_own_bank.py"
    test.write_text(test.read_text().replace('bank.db")', 'bank.db", bug="uncounted")'))
    wrong = run_pytest(example, "--hypothesis-seed=1")
    assert (wrong.returncode, wrong.stderr) == (1, "")
    told = [line.removeprefix("E").strip() for line in wrong.stdout.splitlines()]
    begins = next(number for number, line in enumerate(told) if "bank/money-is-kept  error  1 row" in line)
    assert told[begins + 1 : begins + 5] == [
        "what an account has and what was taken from it are what it began with",
        "account_id=1000001  balance_minor=900  withdrawn_minor=0",
        "after",
        "1  withdraw(account_id=1000001, amount_minor=100)  ok",
    ]
    assert "state.withdraw(account_id=accounts_0, amount_minor=100)" in told
    assert not (example / "bank.db").exists()

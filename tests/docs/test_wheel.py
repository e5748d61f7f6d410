"""What a user installs is whole: the wheel holds every file, and works in an empty virtual environment."""

import os
import shlex
import shutil
import sqlite3
import subprocess
import sys
import sysconfig
import zipfile
from contextlib import closing
from pathlib import Path

import pytest

import integrity
from integrity.invariants.load import load_invariants
from integrity.project import Project, Settings

ROOT = Path(integrity.__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT],
        check=True,
        capture_output=True,
    )
    (built,) = folder.glob("*.whl")
    return built


def _expected_files() -> set[str]:
    def files(folder: Path) -> set[Path]:
        return {path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts}

    package = {path.relative_to(ROOT).as_posix() for path in files(ROOT / "integrity")}
    reference = {
        f"integrity/reference/{path.relative_to(ROOT).as_posix()}"
        for kind in ("invariants", "seeds", "queries")
        for path in files(ROOT / kind)
    }
    return package | reference


def test_the_wheel_holds_the_package_and_the_three_folders_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert held == _expected_files()


def _make_environment(folder: Path, *options: str) -> Path:
    """Return the Python of a new virtual environment."""
    subprocess.run([sys.executable, "-m", "venv", *options, folder], check=True, capture_output=True)
    return folder / "bin" / "python"


def _install(python: Path, wheel: Path, *options: str) -> None:
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "--python",
        str(python),
        "install",
        "--quiet",
        *options,
    ]
    subprocess.run([*pip, "--constraint", str(ROOT / "constraints.txt"), str(wheel)], check=True, capture_output=True)


def _assert_it_works(python: Path, folder: Path) -> None:
    def output(*arguments: str) -> str:
        command = [str(python.parent / "integrity"), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, cwd=folder).stdout

    assert output("--version").strip() == f"integrity, version {integrity.__version__}"
    listed = output("list")
    for name in load_invariants(Project(ROOT, Settings())):
        assert name in listed


def _assert_it_takes_a_system_of_the_users(python: Path, folder: Path) -> None:
    """The package knows of the project what its integrity.toml names, and so do the processes of a race."""
    project = folder / "project"
    shutil.copytree(ROOT / "tests" / "own_system", project, ignore=shutil.ignore_patterns("__pycache__"))

    def code_of(*arguments: str) -> int:
        command = [str(python.parent / "integrity"), *arguments]
        environment = {**os.environ, "INTEGRITY_DATABASE_URL": f"sqlite:///{project / 'bank.db'}"}
        return subprocess.run(command, check=False, capture_output=True, cwd=project, env=environment).returncode

    assert code_of("seed", "--size", "accounts=4") == 0
    assert code_of("run", "hammer", "--bug", "forgotten_movement", "--duration", "2s") == 0
    assert code_of("validate") == 1
    assert code_of("race", "bank", "--bug", "lost_update", "--jobs", "2", "--output", "race.json") == 1
    assert code_of("replay", "race.json") == 1


def _assert_it_takes_files_of_operations(python: Path, folder: Path) -> None:
    """A folder of SQL files is a project, and its files are found again by the processes of a race."""
    project = folder / "wallet"
    shutil.copytree(ROOT / "tests" / "field_operations" / "wallet", project)
    with closing(sqlite3.connect(project / "wallet.db")) as database:
        database.executescript((project / "schema.sql").read_text(encoding="utf-8"))

    def code_of(*arguments: str) -> int:
        command = [str(python.parent / "integrity"), *arguments, "--database", f"sqlite:///{project / 'wallet.db'}"]
        return subprocess.run(command, check=False, capture_output=True, cwd=project).returncode

    assert code_of("race", "withdraw", "withdraw", "--jobs", "2", "--output", "race.json") == 1
    assert code_of("replay", "race.json") == 1
    assert code_of("race", "withdraw_whole", "--preemptions", "1") == 0


@pytest.mark.slow
def test_the_wheel_works_beside_its_dependencies_alone(wheel: Path, tmp_path: Path) -> None:
    python = _make_environment(tmp_path / "venv", "--without-pip")
    # What pip would install, without installing it again. A path in a .pth file is not searched for further .pth files,
    # so the package that is installed for editing here is not found by it.
    (installed,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    (installed / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    _install(python, wheel, "--no-deps")
    _assert_it_works(python, tmp_path)
    _assert_it_takes_a_system_of_the_users(python, tmp_path)
    _assert_it_takes_files_of_operations(python, tmp_path)


EXAMPLES = {
    "bank": [
        ("db psql -v ON_ERROR_STOP=1 -f schema.sql -f data.sql", 0),
        ("validate", 0),
        ("race withdraw withdraw --output race.json --pytest test_withdraw.py", 1),
        ("race withdraw_locked withdraw_locked", 0),
        ("race withdraw_locked --mutate", 0),
        ("replay race.json", 1),
        ("run hammer --duration 2s --yes-this-is-a-test-database integrity", 0),
        ("validate", 1),
        ("reproduce balance-equals-movements", 1),
    ],
    "tickets": [
        ("seed --size shows=20", 0),
        ("run smoke --duration 1s --system tickets", 0),
        ("validate", 0),
        ("race buy buy", 0),
        ("race buy buy --bug oversold --output race.json --pytest test_buy.py", 1),
        ("replay race.json", 1),
        ("run hammer --bug forgotten_refund --duration 2s", 0),
        ("validate", 1),
        ("reproduce shop/money-is-for-tickets", 1),
        ("rollback --yes", 0),
    ],
}
"""What its README says to type, and the code that each ends with."""


def _assert_it_plays_the_examples(python: Path, folder: Path) -> None:
    """On the embedded server of a copy of each example's folder, with nothing of this checkout to import."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("INTEGRITY_", "PYTHON", "PYTEST"))}
    for name, commands in EXAMPLES.items():
        project = folder / name
        shutil.copytree(ROOT / "examples" / name, project, ignore=shutil.ignore_patterns("__pycache__", ".*"))

        def ended(words: str, project: Path = project) -> "subprocess.CompletedProcess[str]":
            command = [str(python.parent / "integrity"), *shlex.split(words)]
            return subprocess.run(command, check=False, capture_output=True, text=True, cwd=project, env=kept)

        try:
            for words, code in commands:
                told = ended(words)
                assert told.returncode == code, f"{name}: {words}\n{told.stdout}{told.stderr}"
        finally:
            assert ended("db stop").returncode == 0


@pytest.mark.exhaustive
def test_the_wheel_works_in_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    python = _make_environment(tmp_path / "venv")
    _install(python, wheel)
    _assert_it_works(python, tmp_path)
    _assert_it_plays_the_examples(python, tmp_path)

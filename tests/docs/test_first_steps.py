"""What the documents say to type first works as it is printed: installing, a project, CI, and what the demo ends with."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

import integrity
from integrity.drafts.project import WORKFLOW_FILE
from integrity.engines.target import Target

ROOT = Path(integrity.__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
FIRST_STEPS = (ROOT / "docs" / "first-steps.md").read_text(encoding="utf-8")
ACCOUNTS = """\
create table accounts (id bigint generated always as identity primary key, owner text not null, balance bigint not null);
insert into accounts (owner, balance) select 'owner ' || n, 100 from generate_series(1, 20) n;
"""
URL_PRINTED = "postgresql://app@localhost/shop"

pytestmark = [pytest.mark.exhaustive, pytest.mark.timeout(1500)]  # they install, and show everything once


@dataclass(frozen=True, slots=True)
class Shell:
    """A clean shell: nothing of this checkout or its environment is known in it.

    Args:
        folder: where its commands run.
        environment: without what the tests set.
        bins: folders of its PATH that the system does not have.
    """

    folder: Path
    environment: Mapping[str, str]
    bins: Sequence[Path]

    def run(self, line: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        path = ":".join([*map(str, self.bins), "/usr/bin", "/bin"])
        return subprocess.run(
            ["bash", "-e", "-c", line],
            stdin=subprocess.DEVNULL,
            cwd=self.folder,
            env={**self.environment, "PATH": path, **variables},
            capture_output=True,
            text=True,
            check=False,
        )

    def codes(self, lines: Sequence[str]) -> dict[str, int]:
        """Return how each of these lines ended; what one said that ended in no way of ours is shown."""
        found = {}
        for line in lines:
            ended = self.run(line)
            found[line] = ended.returncode
            print(f"$ {line}\n{ended.stdout[-2000:]}{ended.stderr[-2000:]}")
            assert "Traceback" not in ended.stderr
        return found


def environment_in(folder: Path) -> dict[str, str]:
    """Return the variables of a user who installs into this folder."""
    kept = {
        key: value for key, value in os.environ.items() if not key.startswith(("INTEGRITY_", "PYTHON", "PYTEST", "COLUMNS"))
    }
    own = {"PIPX_HOME": "pipx", "PIPX_BIN_DIR": "bin", "PIPX_MAN_DIR": "man", "UV_TOOL_DIR": "uv", "UV_TOOL_BIN_DIR": "bin"}
    return {**kept, **{name: str(folder / place) for name, place in own.items()}}


def console_blocks(document: str) -> list[list[str]]:
    """Return the commands of each block of a document that is to be typed."""
    blocks = re.findall(r"```console\n(.*?)```", document, re.DOTALL)
    return [[line.removeprefix("$ ") for line in block.splitlines()] for block in blocks]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `./integrity` is a checkout."""
    folder = tmp_path_factory.mktemp("checkout")
    left = shutil.ignore_patterns(".*", "__pycache__", "dist", "build", "node_modules")
    shutil.copytree(ROOT, folder / "integrity", ignore=left)
    return folder


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the commands pipx and uv, and of a Python that reads YAML."""
    folder = tmp_path_factory.mktemp("tools")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, capture_output=True)
    install = [str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", "pipx", "uv", "pyyaml"]
    subprocess.run(install, check=True, capture_output=True)
    return folder / "bin"


INSTALLS = re.findall(r"`((?:pipx|uv tool|pip) install '?\./integrity[^`]*)`", FIRST_STEPS)


def test_every_way_to_install_is_tried() -> None:
    assert [line.partition(" install")[0] for line in INSTALLS] == ["pipx", "uv tool", "pip", "pip", "pip"]


@pytest.mark.parametrize("line", INSTALLS)
def test_an_installation_works_as_it_is_printed(checkout: Path, tools: Path, tmp_path: Path, line: str) -> None:
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True, capture_output=True)
    shell = Shell(checkout, environment_in(tmp_path), [tmp_path / "bin", tmp_path / "venv" / "bin", tools])
    installed = shell.run(line)
    assert installed.returncode == 0, installed.stderr
    said = f"integrity, version {integrity.__version__}\n"
    assert shell.run("cd / && integrity --version").stdout == said
    if line.startswith("pip "):
        assert shell.run("cd / && python -m integrity --version").stdout == said
    for extra, adds in {"mcp": "mcp", "tls": "cryptography"}.items():
        if f"[{extra}]" in line:
            assert shell.run(f"cd / && python -c 'import {adds}'").returncode == 0


def test_the_readmes_way_to_ones_own_database_works_as_it_is_printed(
    checkout: Path, tools: Path, tmp_path: Path, database: Target
) -> None:
    with database.connect() as connection:
        connection.execute(ACCOUNTS.encode())
    [lines] = [block for block in console_blocks(README) if block[0].startswith("pipx install")]
    shell = Shell(checkout, environment_in(tmp_path), [tmp_path / "bin", tools])
    codes = shell.codes([line.replace(URL_PRINTED, f"'{database.text}'") for line in lines])
    assert list(codes.values()) == [0, 0, 0, 1]


@pytest.fixture
def shell_with_command(tmp_path: Path) -> Iterator[Shell]:
    """A shell in an empty folder that finds the command of this checkout; no server is left running."""
    folder = tmp_path / "shop"
    folder.mkdir()
    shell = Shell(folder, environment_in(tmp_path), [Path(sys.executable).parent])
    yield shell
    assert shell.run("integrity db stop").returncode == 0


def test_the_way_from_a_file_of_tables_works_as_it_is_printed(shell_with_command: Shell) -> None:
    [lines] = [block for block in console_blocks(FIRST_STEPS) if "integrity db psql -f schema.sql" in block]
    (shell_with_command.folder / "schema.sql").write_text(ACCOUNTS)
    codes: list[int] = []
    for line in lines:  # some of them twice
        codes += shell_with_command.codes([line]).values()
    assert codes == [0, 0, 0, 0, 1, 0, 0]


def test_the_workflow_that_init_writes_judges_the_project(
    checkout: Path, tools: Path, tmp_path: Path, shell_with_command: Shell
) -> None:
    """Its steps, read as YAML, in a shell that has pipx; then again on data that is wrong."""
    project = shell_with_command
    (project.folder / "schema.sql").write_text(ACCOUNTS)
    assert set(project.codes(["integrity db psql -f schema.sql", "integrity init"]).values()) == {0}
    url = project.run("integrity db url").stdout.strip()
    read = "import json, sys, yaml; print(json.dumps(yaml.safe_load(sys.stdin), default=str))"
    text = (project.folder / WORKFLOW_FILE).read_text(encoding="utf-8")
    told = subprocess.run([tools / "python", "-c", read], input=text, capture_output=True, text=True, check=True).stdout
    given = {"vars.INTEGRITY": str(checkout / "integrity"), "secrets.INTEGRITY_DATABASE_URL": url}

    def fill(text: str) -> str:
        return re.sub(r"\$\{\{ (\S+) \}\}", lambda found: given[found[1]], text)

    [job] = json.loads(told)["jobs"].values()
    runs = [
        (fill(step["run"]), {k: fill(v) for k, v in step.get("env", {}).items()}) for step in job["steps"] if "run" in step
    ]
    [install, validate] = runs
    ci = Shell(project.folder, environment_in(tmp_path), [tmp_path / "bin", tools])
    for (line, variables), code in [(install, 0), (validate, 0)]:
        ended = ci.run(line, **variables)
        assert ended.returncode == code, ended.stderr
    assert 'failures="0"' in (project.folder / "integrity.xml").read_text(encoding="utf-8")
    assert project.run("integrity db psql -c 'update accounts set balance = -1 where id = 7'").returncode == 0
    assert ci.run(validate[0], **validate[1]).returncode == 1
    assert 'failures="1"' in (project.folder / "integrity.xml").read_text(encoding="utf-8")


TRIED_NEXT = {
    "explain": {0},
    "race": {1},
    "seed": {0},
    "run pilot": {0, 3},  # the load is late on a busy machine, and says so
    "run hammer --fault": {0, 4},  # what the fault fails is more than the plan of the pilot allows
    "suite": {0, 3, 4},
    "run hammer --bug": {0, 3, 4},
    "init": {0},
    "db stop": {0},
}
"""How each command may end that the demo says to try next, by what it begins with."""


def test_what_the_demo_says_to_try_next_works_as_it_is_printed(shell_with_command: Shell, database: Target) -> None:
    """In a shell that does not find the command yet; behind the bug that it plants the audit says what is wrong."""
    shell = Shell(shell_with_command.folder, shell_with_command.environment, [])
    demo = shell.run(f"COLUMNS=1000 {Path(sys.executable).parent}/integrity demo")
    assert demo.returncode == 0, demo.stderr
    lines = [line.strip() for line in demo.stdout.partition("Try next, where the demo's data is:\n")[2].splitlines()]
    ways = [line for line in lines if line and not line.startswith("integrity")]
    assert [way.split()[0] for way in ways] == ["cd", "export"]
    commands = [re.split(r"\s{2,}", line)[0] for line in lines if line.startswith("integrity")]
    assert len(commands) == len(TRIED_NEXT)

    def ended(command: str) -> "subprocess.CompletedProcess[str]":
        return shell.run("; ".join([*ways, command]))

    try:
        for command, (begins, codes) in zip(commands, TRIED_NEXT.items(), strict=True):
            assert command.startswith(f"integrity {begins}")
            told = ended(command.replace(" DIR ", " own ").replace(" URL", f" '{database.text}'"))
            assert told.returncode in codes, f"{command}: {told.returncode}\n{told.stdout[-3000:]}{told.stderr[-3000:]}"
            if begins == "run hammer --bug":
                assert ended("integrity validate").returncode == 1
    finally:
        assert ended("integrity db stop").returncode == 0
    replay = re.search(r"replay: (integrity replay \S+)", demo.stdout)
    assert replay is not None
    assert shell_with_command.run(replay[1]).returncode == 1

"""The applications of `examples/`, started as their READMEs say: one process, one pool, a racy twin and a sound one.

Node's gets its packages from npm's registry, and is left out where that is not reached.
"""

import json
import os
import shutil
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from integrity.cli.main import main
from integrity.engines.target import Target
from tests.database.registries import install_npm, install_pip

EXAMPLES = Path(__file__).parents[2] / "examples"
WILD = Path(__file__).parents[1] / "wild"
AGAIN = 20
FASTAPI = ("fastapi==0.165.0", "annotated-doc==0.0.7", "opentelemetry-api==1.45.2")


@dataclass(frozen=True)
class Twins:
    """Two scenarios of an example.

    Args:
        anomaly: by its name in the literature.
        schedules: that the sound one has, played and known without playing.
    """

    example: str
    racy: str
    sound: str
    schedule: str
    anomaly: str
    schedules: int


TWINS = [
    Twins("flask_psycopg", "buy", "buy-locked", "AB", "P4", 9),
    Twins("starlette_asyncpg", "book", "book-once", "AB", "A5B/P3", 5),
    Twins("django_psycopg", "pay", "pay-locked", "AB", "P4", 9),
    Twins("node_pg", "leave", "leave-locked", "AB", "A5B", 7),
]

Race = Callable[[str], tuple[int, dict[str, Any]]]
Open = Callable[[str], Race]


@pytest.fixture(scope="session")
def node_packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages of the example on Node."""
    folder = tmp_path_factory.mktemp("node")
    shutil.copy(EXAMPLES / "node_pg" / "package.json", folder)
    return install_npm(folder)


@pytest.fixture
def example(
    database: Target,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Open:
    def open_example(name: str) -> Race:
        parent = EXAMPLES if (EXAMPLES / name).exists() else WILD
        folder = shutil.copytree(parent / name, tmp_path / name, ignore=shutil.ignore_patterns("node_modules"))
        if (folder / "package.json").exists():
            (folder / "node_modules").symlink_to(request.getfixturevalue("node_packages"))
        with closing(database.connect()) as connection:
            connection.execute((folder / "schema.sql").read_bytes())
            connection.commit()
        monkeypatch.chdir(folder)
        monkeypatch.setenv("INTEGRITY_DATABASE_URL", database.text)
        monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
        return race

    def race(scenario: str) -> tuple[int, dict[str, Any]]:
        with pytest.raises(SystemExit) as ended:
            main(["race", "--scenario", scenario, "--json"])
        captured = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        assert captured.out, captured.err
        return ended.value.code, json.loads(captured.out)

    return open_example


@pytest.mark.parametrize("twins", TWINS, ids=lambda twins: twins.example)
def test_an_application_on_one_pool_is_raced_as_it_is(twins: Twins, example: Open) -> None:
    race = example(twins.example)
    code, told = race(twins.racy)
    found = told["findings"][0]
    assert (code, found["schedule"], found["anomaly"]) == (1, twins.schedule, twins.anomaly), told
    code, told = race(twins.sound)
    schedules = told["schedules"] + told["spared"]
    assert (code, told["verdict"], told["is_exhaustive"], schedules) == (0, "holds", True, twins.schedules), told


@pytest.mark.exhaustive
def test_an_application_of_fastapis_is_raced_as_it_is(
    example: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = install_pip(tmp_path, FASTAPI)
    monkeypatch.setenv("PYTHONPATH", str(place), prepend=os.pathsep)
    race = example("fastapi_seats")
    code, told = race("book")
    found = told["findings"][0]
    assert (code, found["anomaly"]) == (1, "A5B/P3"), told
    code, told = race("book-once")
    assert (code, told["verdict"], told["is_exhaustive"]) == (0, "holds", True), told


@pytest.mark.exhaustive
@pytest.mark.timeout(900)
@pytest.mark.parametrize("twins", TWINS, ids=lambda twins: twins.example)
def test_what_is_found_in_an_application_is_the_same_each_time(twins: Twins, example: Open) -> None:
    race = example(twins.example)
    findings = [race(twins.racy)[1] for _ in range(AGAIN)]
    for told in findings:
        del told["rows"], told["findings"][0]["seconds"]
    assert len({json.dumps(told) for told in findings}) == 1, findings

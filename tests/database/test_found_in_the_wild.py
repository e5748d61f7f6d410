"""Defects in packages that others have released, each found by a race of the package as it is, and not where it is mended.

The versions are fetched by name from the registries, into environments of their own; a page of the docs tells of them.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from integrity.cli.main import main
from integrity.engines.target import Target
from tests.database.registries import install_npm, install_pip

PROGRAMS = Path(__file__).parents[1] / "wild"
PAGE = Path(__file__).parents[2] / "docs" / "found-in-the-wild.md"
AGAIN = 3

Found = dict[str, str]
"""The schedule that goes wrong, by what is raced; empty: none within the bound."""
MakeDatabase = Callable[[str | None], Target]


@dataclass(frozen=True)
class Release:
    """A version of somebody's package, and what its race finds.

    Args:
        program: a file or a folder of tests/wild.
        packages: that it needs, this one first.
    """

    program: str
    packages: tuple[str, ...]
    found: Found

    def __str__(self) -> str:
        return self.packages[0]


PYTHON = [
    Release("people.py", ("Django==2.1", "pytz==2024.2"), {"update_or_create": "ABABABABABB"}),
    Release("people.py", ("Django==2.1.1", "pytz==2024.2"), {"update_or_create": ""}),
    Release(
        "treebeard_places.py",
        ("django-treebeard==5.0.2",),
        {"first root": "ABABA", "root": "ABABA", "child": "ABABABAAB"},
    ),
    Release("treebeard_places.py", ("django-treebeard==5.0.3",), {"first root": "ABABABA", "root": "", "child": ""}),
    Release("treebeard_places.py", ("django-treebeard==7.0.3",), {"first root": "ABABA", "root": "ABABA", "child": ""}),
    Release("mptt_places.py", ("django-mptt==0.20.0",), {"root": "ABABAB", "child": "ABABABABABAB"}),
]
NODE = [
    Release("knex", ("knex@0.95.11", "pg@8.23.1"), {"race": "AAAB"}),
    Release("knex", ("knex@0.95.12", "pg@8.23.1"), {"race": "AAAAB"}),
    Release("knex", ("knex@3.3.0", "pg@8.23.1"), {"race": "AAAAB"}),
    Release(
        "connect_session_knex",
        ("connect-session-knex@5.0.0", "knex@3.3.0", "pg@8.23.1", "express-session@1.18.1"),
        {"race": "AB"},
    ),
]


@pytest.mark.exhaustive
@pytest.mark.parametrize("release", PYTHON, ids=str)
def test_a_released_package_for_python_is_raced_as_it_is(
    release: Release, make_database: MakeDatabase, tmp_path: Path
) -> None:
    if release.packages[0].startswith("Django==2.") and sys.version_info >= (3, 12):
        pytest.skip("Django 2 needs distutils, which Python has no more")
    place = install_pip(tmp_path, release.packages)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(place), str(PROGRAMS)])}
    for _ in range(AGAIN):
        command = [sys.executable, str(PROGRAMS / release.program), make_database(None).text]
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert {name: each["schedule"] for name, each in told.items()} == release.found
        assert {each["verdict"] for each in told.values() if not each["schedule"]} <= {"holds"}, told


@pytest.mark.exhaustive
@pytest.mark.parametrize("release", NODE, ids=str)
def test_a_released_package_for_node_is_raced_as_it_is(
    release: Release,
    database: Target,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = shutil.copytree(PROGRAMS / release.program, tmp_path / release.program)
    install_npm(folder, release.packages)
    with closing(database.connect()) as connection:
        connection.execute((folder / "schema.sql").read_bytes())
        connection.commit()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("INTEGRITY_DATABASE_URL", database.text)
    for _ in range(AGAIN):
        with pytest.raises(SystemExit):
            main(["race", "--scenario", "race", "--json"])
        captured = capsys.readouterr()
        assert captured.out, captured.err
        told = json.loads(captured.out)
        assert {"race": told["findings"][0]["schedule"]} == release.found, told["findings"][0]["timeline"]


@pytest.mark.parametrize("release", [*PYTHON, *NODE], ids=str)
def test_the_page_of_defects_has_each_release_with_what_its_race_finds(release: Release) -> None:
    name, _, version = release.packages[0].replace("==", "@").partition("@")
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith(f"| {name} ") and f" {version} " in line]
    said = [schedule or "none" for schedule in release.found.values()]
    assert [line for line in lines if all(f"`{each}`" in line for each in said)], (name, version, said)

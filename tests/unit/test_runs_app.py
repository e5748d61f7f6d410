"""A run keeps the version of the application that it loads, not of whatever lies around the current folder."""

import subprocess
from pathlib import Path

import pytest

from integrity.errors import UsageError
from integrity.project import AppSection, Project, Settings, find_project
from integrity.runs.app import find_app_version


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=app", "-c", "user.email=app@example.org")
    return subprocess.run(["git", "-C", folder, *who, *words], capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Return the application's folder, a git repository with one commit."""
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "app.py").write_text("price = 7\n")
    git(folder, "init", "--quiet")
    git(folder, "add", "app.py")
    git(folder, "commit", "--quiet", "--message=first")
    return folder


def of(project: Path, **said: str) -> Project:
    project.mkdir(exist_ok=True)
    return Project(project, Settings(app=AppSection(**said)))


def test_it_is_what_the_settings_say_else_what_the_named_folder_is_at(shop: Path, tmp_path: Path) -> None:
    commit = git(shop, "rev-parse", "HEAD")

    clean = find_app_version(of(tmp_path / "audit", folder="../shop"))
    (shop / "app.py").write_text("price = 8\n")
    changed = find_app_version(of(tmp_path / "audit", folder="../shop"))
    said = find_app_version(of(tmp_path / "audit", folder="../shop", commit="v2.1"))

    assert clean is not None
    assert (clean.commit, clean.is_changed, clean.shown) == (commit, False, commit[:12])
    assert changed is not None
    assert changed.shown == f"{commit[:12]}, with changes that are not committed"
    assert said is not None
    assert (said.commit, said.is_changed) == ("v2.1", None)


def test_what_lies_around_the_current_folder_is_not_it_unless_the_project_lies_there(shop: Path) -> None:
    inside = shop / "load"
    assert find_app_version(of(inside)) is None
    (inside / "integrity.toml").write_text("")
    found = find_app_version(find_project(inside))
    assert found is not None
    assert found.commit == git(shop, "rev-parse", "HEAD")


@pytest.mark.parametrize(("folder", "reason"), [("gone", "there is no such folder"), (".", "not a git repository")])
def test_a_folder_of_which_no_commit_can_be_told_is_refused(folder: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=rf"integrity\.toml: app\.folder: no commit can be told of .*: .*{reason}"):
        find_app_version(of(tmp_path / "audit", folder=folder))

"""What the demo says is to be typed next can be typed: where its data is, and with a command that the shell finds."""

import re
import shlex
import sys
from pathlib import Path

import pytest

from integrity.cli import demo_command
from integrity.cli.main import COMMANDS


@pytest.fixture
def folder_of_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as a virtual environment has it, which no shell looks into yet."""
    folder = tmp_path / "a b" / "bin"
    folder.mkdir(parents=True)
    (folder / "integrity").write_text("#!/bin/sh\n")
    (folder / "integrity").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    monkeypatch.setenv("PATH", "/nowhere")
    return folder


def test_a_command_that_the_shell_does_not_find_is_put_on_its_path(folder_of_commands: Path) -> None:
    (step,) = demo_command.path_to_command()
    assert shlex.split(step) == ["export", f"PATH={folder_of_commands}:$PATH"]


def test_a_command_that_the_shell_finds_is_left_as_it_is(
    folder_of_commands: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "integrity").symlink_to(folder_of_commands / "integrity")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert demo_command.path_to_command() == []


def test_the_next_steps_name_commands_that_there_are() -> None:
    named = re.findall(r"^  integrity (\S+)", demo_command.NEXT.replace("{way}", ""), re.MULTILINE)
    assert len(named) > 5
    assert set(named) <= set(COMMANDS)

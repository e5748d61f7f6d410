"""What the documents say is true: generated parts are current, every command and error is in them, examples run."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

import integrity
from integrity import errors
from integrity.cli.main import COMMANDS, group

ROOT = Path(integrity.__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_generated_parts_are_current() -> None:
    checked = subprocess.run(
        [sys.executable, "-m", "cogapp", "--check", *DOCUMENTS], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, f"run `cog -r README.md docs/*.md`\n{checked.stdout}{checked.stderr}"


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_every_command_has_an_example_to_paste(name: str) -> None:
    command = group.get_command(None, name)  # type: ignore[arg-type]  # the lazy group needs no context
    assert command is not None
    commands = getattr(command, "commands", None) or {name: command}
    for called, each in commands.items():
        assert each.help, f"{called} says nothing about itself"
        assert re.search(rf"Example: .*integrity (\w+ )?{called}\b", each.help), f"{called} has no example"


@pytest.mark.parametrize("name", ["db", "queries"])
def test_no_line_of_a_list_of_commands_is_cut_at_80_columns(name: str) -> None:
    command = group.get_command(None, name)  # type: ignore[arg-type]  # the lazy group needs no context
    assert command is not None
    shown = command.get_help(click.Context(command, info_name=name, terminal_width=80, max_content_width=80))
    assert "..." not in shown.partition("Commands:")[2]


def test_the_tree_of_errors_names_every_error() -> None:
    tree = errors.__doc__ or ""
    classes = [name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)]
    assert classes
    assert [name for name in classes if name not in tree] == []


def test_links_between_documents_lead_somewhere() -> None:
    for document in DOCUMENTS:
        for link in re.findall(r"\]\(([^)#:]+)\)", document.read_text(encoding="utf-8")):
            assert (document.parent / link).exists(), f"{document.name} links to {link}"


def test_no_document_names_a_machine_or_a_registry() -> None:
    for document in [*DOCUMENTS, ROOT / "CHANGELOG.md", ROOT / "constraints.txt", ROOT / "pyproject.toml"]:
        text = document.read_text(encoding="utf-8")
        assert not re.search(r"https?://[^\s)]*(simple|packages)/", text), document.name
        assert f"{Path.home()}/" not in text, document.name
        assert f"{ROOT}/" not in text, document.name


@pytest.mark.slow
def test_the_commands_of_the_readme_run(tmp_path: Path) -> None:
    """The block under "Use", as a newcomer pastes it; its bug is caught, so the last command exits with 1."""
    section = README.split("## Use\n")[1]
    block = re.search(r"```console\n(.*?)```", section, re.DOTALL)
    assert block is not None
    commands = [shlex.split(line.removeprefix("$ ")) for line in block[1].splitlines()]
    assert [command[0] for command in commands] == ["integrity"] * 3
    codes = []
    try:
        for command in commands:
            ran = subprocess.run(
                [sys.executable, "-m", *command], cwd=tmp_path, capture_output=True, text=True, check=False
            )
            codes.append(ran.returncode)
    finally:
        subprocess.run([sys.executable, "-m", "integrity", "db", "stop"], cwd=tmp_path, check=True, capture_output=True)
    assert codes == [0, 0, 1]
    assert "ghostpass/balance-equals-entries" in ran.stdout

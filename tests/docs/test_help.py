"""Help fits an 80-column screen, and its example can be pasted: the options are there, and so is all that it names."""

import re
import shlex
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import pytest

from integrity.cli.main import group, invoke
from integrity.drafts.templates.catalogue import TEMPLATES
from integrity.faults.catalogue import FAULTS
from integrity.invariants.load import fits, load_invariants
from integrity.jobs.run import find_profiles
from integrity.jobs.suite import find_suites
from integrity.project import Project, Settings, find_project
from integrity.queries.load import load_queries
from integrity.registry import Registry


def walk(command: click.Command, *words: str) -> Iterator[tuple[str, ...]]:
    """Yield the words of a command and of all below it."""
    yield words
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from walk(below, *words, name)


COMMANDS = list(walk(group))


@pytest.fixture
def help_of(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[[tuple[str, ...]], str]:
    """Return what `--help` prints where no terminal says how wide it is."""
    monkeypatch.delenv("COLUMNS")

    def read(words: tuple[str, ...]) -> str:
        assert invoke([*words, "--help"]) == 0
        return capsys.readouterr().out

    return read


def examples_in(text: str) -> Iterator[list[str]]:
    """Yield the words behind `integrity` of each example, as a shell reads them; what the shell alone sees is left out."""
    shown = text[text.index("Example: ") + len("Example: ") :].replace("\\\n", " ").partition("\n\n")[0]
    for line in shown.splitlines():
        inner = re.search(r"\$\((.*?)\)", line)
        words = shlex.split((inner[1] if inner else line).partition(" > ")[0])
        assert words[0] == "integrity", line
        yield words[1:]


def parse(words: list[str]) -> Iterator[click.Context]:
    """Yield the context of each command of a line, outermost first; nothing is run.

    Raises:
        UsageError: there is no such command or option, or a value cannot be one.
    """
    command: click.Command = group
    parent = None
    while True:
        context = command.make_context(command.name, list(words), parent=parent)
        yield context
        if not isinstance(command, click.Group) or not (words := [*context._protected_args, *context.args]):
            return
        _name, below, words = command.resolve_command(context, words)
        assert below is not None
        command, parent = below, context


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_fits_a_screen(words: tuple[str, ...], help_of: Callable[[tuple[str, ...]], str]) -> None:
    assert [line for line in help_of(words).splitlines() if len(line) > 80] == []


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_the_example_of_a_command_parses_and_names_what_there_is(
    words: tuple[str, ...],
    help_of: Callable[[tuple[str, ...]], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop").mkdir()
    for example in examples_in(help_of(words)):
        *outer, context = parse(example)
        assert tuple(example[: len(words)]) == words
        named = {key: value for each in (*outer, context) for key, value in each.params.items() if value}
        known = names_known(context.command.name or "", named)
        assert {
            key: value for key, value in named.items() if not set(strings(value)) <= set(known.get(key, strings(value)))
        } == {}


def strings(value: Any) -> Sequence[Any]:
    return value if isinstance(value, tuple) else (value,)


def names_known(command: str, named: Mapping[str, Any]) -> Mapping[str, Collection[Any]]:
    """Return option -> all that it could name, in a folder that declares nothing of its own."""
    registry, project = Registry(), find_project(Path())
    raced = named["names"][0] if command == "race" else registry.default.name
    system = registry[named.get("system_name", raced)]
    known: dict[str, Collection[Any]] = {
        "system_name": list(registry),
        "system_names": list(registry),
        "template_name": TEMPLATES,
        "bug_name": system.bugs,
    }

    def of_validate() -> dict[str, Collection[Any]]:
        return {"patterns": [each for each in named.get("patterns", ()) if any(fits(name, each) for name in invariants())]}

    def of_ask() -> dict[str, Collection[Any]]:
        queries = load_queries(project)
        asked = {each.name for each in queries[named["name"]].parameters}
        return {"name": queries, "given": [each for each in named.get("given", ()) if each.partition("=")[0] in asked]}

    def invariants() -> Collection[str]:
        return load_invariants(project, find_operations=registry.operations_of)

    of_command: Mapping[str, Callable[[], dict[str, Collection[Any]]]] = {
        "run": lambda: {"profile": find_profiles(project, system.name)[1]},
        "race": lambda: {"names": [raced, *system.operations]},
        "suite": lambda: {"name": find_suites(Project(Path(), Settings()))},
        "faults": lambda: {"name": FAULTS},
        "explain": lambda: {"name": invariants()},
        "ask": of_ask,
        "reproduce": lambda: {"violation": [f"{name}#1" for name in invariants()]},
        "validate": of_validate,
    }
    return known | of_command.get(command, dict)()

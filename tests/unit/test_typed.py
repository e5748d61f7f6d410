"""Commands that are told to be typed next have what the command line named, and are made in one place."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from integrity import typed as typing
from integrity.cli.main import COMMANDS, group, invoke
from integrity.errors import UsageError
from integrity.typed import forget_given, note_given, typed
from tests.unit.sources import trees

NAMED = re.compile(rf"\bintegrity (?:{'|'.join(COMMANDS)})\b")


def options_of(name: str, command: click.Command) -> Iterator[tuple[str, set[str]]]:
    """Yield a command, or those that it groups, by name with their options."""
    if isinstance(command, click.Group):
        for inner in command.list_commands(click.Context(group)):
            found = command.get_command(click.Context(group), inner)
            assert found is not None
            yield from options_of(f"{name}-{inner}", found)
    else:
        yield name, {option for parameter in command.params for option in parameter.opts}


def test_each_command_gets_what_it_takes_and_no_other_option() -> None:
    known = dict(pair for name in COMMANDS for pair in options_of(name, group.get_command(click.Context(group), name)))  # type: ignore[arg-type]
    for option, takers, left_out in (
        ("--database", typing._DATABASE, {"init", "mcp", "replay", *(name for name in known if name.startswith("db-"))}),
        ("--project", typing._PROJECT, {"demo"}),
        ("--yes-this-is-a-test-database", typing._TEST_DATABASE, set()),
    ):
        assert set(takers.split()) == {name for name, options in known.items() if option in options} - left_out, option


def test_a_command_has_what_the_command_line_named_once_and_in_a_shells_words() -> None:
    note_given(database=lambda: "postgresql://app:***@host/my shop", folder="/a b", test_database="shop")
    try:
        assert typed("seed --system bank") == (
            "integrity seed --system bank --database 'postgresql://app:***@host/my shop' --project '/a b' "
            "--yes-this-is-a-test-database shop"
        )
        assert typed("db start") == "integrity db start --project '/a b'"
        assert typed("queries run slow --project /c") == (
            "integrity queries run slow --project /c --database 'postgresql://app:***@host/my shop'"
        )
    finally:
        forget_given()
    assert typed("seed --system bank") == "integrity seed --system bank"


def test_what_a_command_line_named_is_forgotten_with_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no suite is called"):
        invoke(["suite", "none", "--database", "sqlite:///shop.db", "--project", str(tmp_path)])
    assert typed("validate") == "integrity validate"


ELSEWHERE = {
    "race": "races say how they are played again by themselves",
    "jobs/race": "the same",
    "cli/race_requests.py": "the same",
    "report/requests_text.py": "the same",
    "jobs/replay": "the same",
    "jobs/learn_pass.py": "the same",
    "jobs/pass_recording.py": "the same",
    "pytest_pass.py": "the same",
    "jobs/database_of_tests.py": "pytest's settings hold for the next one, too",
    "jobs/findings.py": "the same",
    "scenarios": "the same",
    "pytest_plugin.py": "no command line is under way",
    "jobs/about.py": "`integrity` alone takes neither option",
    "cli/demo_command.py": "the demo's folder is its own, and is told by cd",
    "drafts/project.py": "a job of CI, in a file",
}
"""Files with commands of their own making, and why they are."""

MENTIONED = (
    " integrity db ",  # of another database, in whose place the variable stands
    ", and stopped; there: integrity db start",  # in another folder
    " does not happen on the wire: integrity run has it",
    "run it where integrity seed has made them.",
    "or name a pair yourself: integrity race.",
    "what `integrity validate` says of them is seed's doing.",
)
"""Ends of texts that tell of a command, and do not say to type it here and now."""
WHOLE = {
    ("report/audit_junit.py", "integrity validate"),  # a suite's name
}


def spoken(tree: ast.Module) -> Iterator[str]:
    """Yield the texts of a file that are no documentation: docstrings, help of commands, names of sessions."""
    silent = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    silent |= {id(each.value) for call in calls for each in call.keywords if each.arg == "help"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in silent:
            yield node.value


def test_no_command_is_told_that_was_not_made_where_its_options_are_known() -> None:
    told = {
        (place, text)
        for place, tree in trees(NAMED)
        if not place.startswith(tuple(ELSEWHERE))
        for text in spoken(tree)
        if NAMED.search(text) and not text.endswith(MENTIONED)
    }
    assert told - WHOLE == set()

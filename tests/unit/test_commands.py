"""A command parses, calls a job, listens and exits: whatever else it did, a library could not be asked for."""

import ast
from pathlib import Path

import pytest

import integrity.cli

COMMANDS = sorted(Path(integrity.cli.__path__[0]).glob("*_command.py"))
LINES_MOST = 25
LONGER = {"snapshot": 33, "monitor": 30, "rollback": 26}
"""Those that are still too long, with their lines: no command is added, and none grows."""


def body_lines(function: ast.FunctionDef, lines: list[str]) -> int:
    """Return the lines of a body that say something; imports, which wait until a command runs, say what it calls."""
    statements = [each for each in function.body if not isinstance(each, ast.Import | ast.ImportFrom)]
    if ast.get_docstring(function) is not None:
        del statements[0]
    return sum(bool(line.strip()) for each in statements for line in lines[each.lineno - 1 : each.end_lineno])


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: path.stem)
def test_the_body_of_a_command_has_at_most_25_lines(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    commands = [
        node
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef) and any("command" in ast.unparse(each) for each in node.decorator_list)
    ]
    most = LONGER.get(path.stem.removesuffix("_command"), LINES_MOST)
    assert commands
    assert {node.name: count for node in commands if (count := body_lines(node, text.splitlines())) > most} == {}

"""A command parses, calls a job, listens and exits: whatever else it did, a library could not be asked for."""

import ast
from pathlib import Path

import pytest

import integrity.cli

COMMANDS = sorted(Path(integrity.cli.__path__[0]).glob("*_command.py"))
LINES_MOST = 25


def body_lines(function: ast.FunctionDef, lines: list[str]) -> int:
    """Return the lines of a body that say something: its docstring is the command's help."""
    statements = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return sum(bool(line.strip()) for each in statements for line in lines[each.lineno - 1 : each.end_lineno])


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: path.stem)
def test_the_body_of_a_command_has_at_most_25_lines(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    commands = [
        node
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef) and any("command" in ast.unparse(each) for each in node.decorator_list)
    ]
    assert commands
    assert {node.name: count for node in commands if (count := body_lines(node, text.splitlines())) > LINES_MOST} == {}

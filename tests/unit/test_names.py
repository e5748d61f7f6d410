"""Names: no code but the registry knows which reference systems there are, or which bugs.

A sixth touches its own folder and one line.
"""

import ast
import re
from collections.abc import Iterator

import pytest

from integrity.registry import SYSTEMS
from tests.unit.sources import trees

MAY_NAME = ("reference/", "registry.py", "cli/demo_command.py")
_BUGS = {bug for system in SYSTEMS.values() for bug in system.bugs}
NAMES = re.compile(rf"\b(?:{'|'.join(SYSTEMS)})\b|--bug (?:{'|'.join(sorted(_BUGS))})\b", re.IGNORECASE)
_WITH_DOCSTRING = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def names_in(tree: ast.Module, *, is_of_a_command: bool = False) -> list[str]:
    """Return the lines of code that name a reference system; docstrings and, of commands, examples of them may."""
    firsts = [node.body[0] for node in ast.walk(tree) if isinstance(node, _WITH_DOCSTRING) and node.body]
    docstrings = {id(first.value) for first in firsts if isinstance(first, ast.Expr)}
    found = []
    for node in ast.walk(tree):
        for word in _words_of(node):
            is_example = is_of_a_command and "integrity " in word
            if NAMES.search(word) and id(node) not in docstrings and not is_example:
                found.append(f"{getattr(node, 'lineno', 0)}: {word}")
    return found


def _words_of(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.keyword(arg=str(name)) | ast.arg(arg=name):
            yield name
        case ast.ImportFrom(module=str(module)):
            yield module
        case ast.alias(name=name):
            yield name
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name


@pytest.mark.parametrize(
    "code",
    [
        "DEFAULT = 'ghostpass'",
        "from integrity.reference.safebox.system import SAFEBOX",
        "import integrity.reference.streamvote",
        "limits(inbox=3)",
        "def instainstru(): ...",
        "raise UsageError(said, hint='integrity run hammer --bug lost_update')",
        "'''The module.'''\nx = f'{y} of ghostpass'",
    ],
)
def test_a_name_in_code_is_found(code: str) -> None:
    assert names_in(ast.parse(code))


@pytest.mark.parametrize(
    "code", ["'''As ghostpass does.'''", "def f():\n    '''As inbox does.'''", "x = 1  # as safebox has it", "wallets = 1"]
)
def test_docstrings_and_comments_may_name_whom_they_like(code: str) -> None:
    assert names_in(ast.parse(code)) == []


def test_a_name_is_looked_for_behind_an_escape_and_over_the_parts_of_a_text(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {"a.py": r"x = 'a\nghostpass'", "b.py": "x = ('--bug '\n     f'double_credit')", "c.py": "x = 'ghost'"}
    monkeypatch.setattr("tests.unit.sources.sources", lambda: texts)
    assert [place for place, _ in trees(NAMES)] == ["a.py", "b.py"]


def test_no_code_but_the_registry_names_a_reference_system() -> None:
    found = []
    for place, tree in trees(NAMES):
        if not place.startswith(MAY_NAME):
            names = names_in(tree, is_of_a_command=place.startswith("cli/"))
            found += [f"{place}:{each}" for each in names]
    assert found == []

"""The package's own source, as the tests of its shape read it: each file is read once, and parsed only where it may matter.

To parse all of it takes seconds, and there are a dozen such tests.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import integrity

PACKAGE = Path(integrity.__file__).parent

_BETWEEN_PARTS = re.compile(r"""["']\s*[rRfFbB]*["']""")
_ESCAPED = re.compile(r"\\.")


@cache
def sources() -> dict[str, str]:
    """Return the text of each module by its place in the package."""
    return {
        path.relative_to(PACKAGE).as_posix(): path.read_text(encoding="utf-8") for path in sorted(PACKAGE.rglob("*.py"))
    }


def trees(having: str | re.Pattern[str]) -> Iterator[tuple[str, ast.Module]]:
    """Yield the place and the tree of each module whose text has a match, also behind an escape and in parts of a text."""
    for place, text in sources().items():
        if re.search(having, text) or re.search(having, _ESCAPED.sub(" ", _BETWEEN_PARTS.sub("", text))):
            yield place, ast.parse(text)


def nodes(having: str | re.Pattern[str]) -> Iterator[tuple[str, ast.AST]]:
    """Yield each node of such modules, with its module's place."""
    for place, tree in trees(having):
        for node in ast.walk(tree):
            yield place, node


@cache
def imports() -> dict[str, tuple[tuple[str, str], ...]]:
    """Return by its place what each module imports: (module, name in it), or (module, "") where that is imported whole."""
    return {place: tuple(_imports(place, ast.parse(text))) for place, text in sources().items()}


def _imports(place: str, tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{place}: relative imports hide the layer"
            yield from ((str(node.module), alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)

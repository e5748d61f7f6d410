"""Engines: each is a folder that has all that one may be asked for, and nothing else asks which one it is."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import integrity
from integrity.engines.engine import SCHEMES, Engine, find_engine
from integrity.engines.target import Target
from integrity.errors import UsageError

PACKAGE = Path(integrity.__file__).parent
NAMES = frozenset(SCHEMES.values())

# SQLAlchemy's connections know no target. It shrinks: what is asked there is to become a fact of the engine's.
STILL_ASKED = {
    "database/constraints.py",
    "database/ownership.py",
    "seeds/load.py",
}


@pytest.mark.parametrize("name", sorted(NAMES))
def test_an_engine_has_all_that_one_may_be_asked_for(name: str) -> None:
    asked_for = {member for member in vars(Engine) if not member.startswith("_")}
    engine = find_engine(name)
    assert {member for member in asked_for if not hasattr(engine, member)} == set()
    assert (PACKAGE / "engines" / name / "engine.py").exists()


def test_a_name_that_no_engine_has_is_refused_and_imports_nothing() -> None:
    with pytest.raises(UsageError, match="no support for databases of kind 'embedded'"):
        find_engine("embedded")


def test_a_target_of_each_scheme_knows_its_engine() -> None:
    urls = {"postgresql": "postgresql://u@h/d", "postgres": "postgres://u@h/d", "sqlite": "sqlite:///venue.db"}
    assert {scheme: Target.parse(urls[scheme]).dialect for scheme in SCHEMES} == SCHEMES


def test_nobody_but_an_engine_compares_an_engine_with_a_name() -> None:
    compared = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if not path.is_relative_to(PACKAGE / "engines") and any(_comparisons(path))
    }
    assert compared - STILL_ASKED == set()


def _comparisons(path: Path) -> Iterator[ast.Compare]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Compare) and any(
            isinstance(side, ast.Constant) and side.value in NAMES for side in (node.left, *node.comparators)
        ):
            yield node

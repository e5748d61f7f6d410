"""Whoever misspells a name is told which names are near, in the same words whatever it is a name of."""

from pathlib import Path

import pytest

import integrity
from integrity.suggestion import suggest

INVARIANTS = ["ghostpass/sale-once", "safebox/balance-not-negative", "accounts/owner-once"]


@pytest.mark.parametrize(
    ("name", "known", "hint"),
    [
        ("sel", ["sell", "cancel", "refund"], "Perhaps you meant sell."),
        ("balance-not-negativ", INVARIANTS, "Perhaps you meant safebox/balance-not-negative."),
        ("accounts/ownr-once", INVARIANTS, "Perhaps you meant accounts/owner-once."),
        ("ab", ["abc", "abd", "abe", "abf"], "Perhaps you meant abf or abe or abd."),
        ("nothing", ["sell"], "Look elsewhere."),
        ("", [], "Look elsewhere."),
    ],
)
def test_names_that_are_near_are_told_else_where_to_look(name: str, known: list[str], hint: str) -> None:
    assert suggest(name, known, otherwise="Look elsewhere.") == hint


def test_what_is_always_said_stands_behind_the_suggestion() -> None:
    keys = "The keys are: title, source."
    assert suggest("titel", ["title", "source"], always=keys) == f"Perhaps you meant title. {keys}"
    assert suggest("xyz", ["title", "source"], always=keys) == keys


def test_nobody_else_looks_for_names_that_are_near() -> None:
    sources = Path(integrity.__path__[0]).rglob("*.py")
    looking = [path.name for path in sources if "difflib" in path.read_text(encoding="utf-8")]
    assert looking == ["suggestion.py"]

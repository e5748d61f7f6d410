"""Whoever misspells a name is told which names are near, in the same words whatever it is a name of."""

from pathlib import Path

import click
import pytest

import integrity
from integrity.cli.main import invoke
from integrity.cli.usage import DESTRUCTIVE, describe_usage
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


@pytest.mark.parametrize("group", [("db",), ()], ids=["integrity db", "integrity"])
def test_no_misspelling_leads_to_a_command_that_takes_something_away(group: tuple[str, ...]) -> None:
    hints = {word: refuse(*group, word) for name in sorted(DESTRUCTIVE) for word in misspelt(name)}
    assert {word: hint for word, hint in hints.items() if "Perhaps" in hint and DESTRUCTIVE & set(words_of(hint))} == {}
    assert "restore" not in refuse("report")
    assert "Perhaps you meant start or status." in refuse("db", "strat")  # the others still are


def misspelt(name: str) -> list[str]:
    return [name[:at] + name[at + 1 :] for at in range(len(name))] + [f"{name}e", name.capitalize()]


def words_of(hint: str) -> list[str]:
    return hint.replace(".", "").split()


def refuse(*words: str) -> str:
    with pytest.raises(click.UsageError) as caught:
        invoke(words)
    return describe_usage(caught.value, words[0]).partition("hint: ")[2]

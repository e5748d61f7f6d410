"""Numbers of things are spelt in one place, so that one thing is never "1 things"."""

import ast
import re
from collections.abc import Iterator

import pytest

from integrity.numbers import counted
from tests.unit.sources import trees

THINGS = "actor call client connection event file finding invariant pair row run sample schedule session statement"
THINGS += " system table webhook"
COUNTED_BY_HAND = re.compile(rf" (queries|({THINGS.replace(' ', '|')})s)\b(?![\w ]*/s)")


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0 rows"), (1, "1 row"), (2, "2 rows"), (12_000, "12,000 rows"), (1.0, "1 row"), (3.0, "3 rows")],
)
def test_one_thing_is_told_from_several(count: float, said: str) -> None:
    assert counted(count, "row") == said


def test_several_may_be_more_than_an_s() -> None:
    assert counted(1, "query is", "queries are") == "1 query is"
    assert counted(2, "query is", "queries are") == "2 queries are"


def test_no_message_spells_a_number_of_things_by_itself() -> None:
    found = {place: list(spelt_by_hand(tree)) for place, tree in trees(rf"}}{COUNTED_BY_HAND.pattern}")}
    assert {place: spelt for place, spelt in found.items() if spelt} == {}


def spelt_by_hand(tree: ast.Module) -> Iterator[str]:
    """Yield what f-strings say of numbers of things; constants are more than one, and `calls/s` is a unit."""
    for text in ast.walk(tree):
        for value, behind in zip(text.values, text.values[1:], strict=False) if isinstance(text, ast.JoinedStr) else ():
            if not isinstance(value, ast.FormattedValue) or not isinstance(behind, ast.Constant):
                continue
            number, words = ast.unparse(value.value), str(behind.value)
            met = COUNTED_BY_HAND.match(words)
            if met and not number.isupper() and "counted(" not in number:
                yield f"{{{number}}}{words[: met.end()]}"

"""A token says which schedule, of what, and how it goes wrong, in one short line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrity.errors import UsageError
from integrity.race.finding.token import LENGTH_MOST, Token, code_of, read_token
from integrity.race.judge.oracles import Oracle

NUMBERS = st.integers(0, 7)
KEPT = st.lists(st.tuples(NUMBERS, st.none() | st.lists(st.integers(0, 4), unique=True).map(tuple)), max_size=8)
POINTS = st.lists(st.tuples(st.integers(0, 399), st.sampled_from("ABCDEFGH")), max_size=6)
FAILURES = st.frozensets(
    st.tuples(st.sampled_from(Oracle), st.text(max_size=3)).map(lambda each: code_of((each[0].value, each[1]))), min_size=1,
    max_size=3,
)  # fmt: skip


@given(name=st.text("abc-_.é", max_size=40), kept=KEPT.map(tuple), points=POINTS.map(tuple), failures=FAILURES)
def test_a_token_is_read_back_as_it_was_and_is_short(
    name: str,
    kept: tuple[tuple[int, tuple[int, ...] | None], ...],
    points: tuple[tuple[int, str], ...],
    failures: frozenset[str],
) -> None:
    token = Token(name, "9f2c61e04ab7", kept, points, failures)
    text = str(token)
    if text:  # eight actors with five requests each are too many for one
        read = read_token(text)
        assert (read.digest, read.kept, read.points, read.failures) == (token.digest, kept, points, failures)
        assert read.is_of(name)
        assert len(text) <= LENGTH_MOST
    else:
        assert len(kept) + len(points) > 8


def test_what_a_search_finds_has_one() -> None:
    everybody = tuple((number, (0, 2)) for number in range(4))
    token = Token("n" * 60, "9f2c61e04ab7", everybody, ((3, "B"), (9, "C"), (14, "D")), frozenset({"s", "f81C0"}))
    assert str(token) == f"r1:{'n' * 32}:9f2c61e04ab7:0.02-1.02-2.02-3.02:B3C9De:f81C0s"


@pytest.mark.parametrize(
    "text", ["r1:", "r1:buy:9f2c:0:B2", "r1:buy:9f2c::B2:s and more", "r2:buy:9f2c::B2:s", "r1:b:9f:0-:B2:s"]
)
def test_what_is_none_is_told(text: str) -> None:
    with pytest.raises(UsageError, match="no token"):
        read_token(text)

"""What somebody types is searched for as it stands."""

from integrity.reference.patterns import as_it_stands


def test_what_like_would_take_for_a_wildcard_is_escaped() -> None:
    assert as_it_stands(r"50%_\ off") == r"50\%\_\\ off"

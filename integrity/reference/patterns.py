"""Patterns of `like`, of what somebody types."""

import re

_MEANING = re.compile(r"([\\%_])")


def as_it_stands(term: str) -> str:
    """Return a term as a pattern that finds it as it is written: to `like`, % is any text and _ any letter."""
    return _MEANING.sub(r"\\\1", term)

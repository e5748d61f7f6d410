"""Recorded outputs: what a command printed once, kept in `recorded/`, and held against what it prints now.

What differs from one machine or run to the next is replaced by a word: times, ids, paths, addresses, measured figures. To
renew the files after a change that is meant, and then to read the difference as part of the change:

    RENEW_RECORDED=1 python -m pytest tests/snapshots/test_messages.py && git diff tests/snapshots/recorded
"""

import os
import re
from pathlib import Path

import integrity

RECORDED = Path(__file__).parent / "recorded"
CHECKOUT = Path(integrity.__file__).parent.parent

_CHANGING = (
    (re.compile(r"postgresql://\S+?(?=[:,.]?(?:\s|$))"), "URL"),
    (re.compile(r"\d{8}-\d{6}(?:-\d+)?"), "TIME"),
    (re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+)?(?:[+-]\d\d:?\d\d)?"), "TIME"),
    (re.compile(r"\b(?:test|seeded)_\d+(?:_\d+)?"), "DATABASE"),
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "ID"),
    (re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]*)+…"), "ID…"),
    (re.compile(r"(?<= ms )(?:ahead of|behind)(?= ours)"), "FROM"),
    (re.compile(r"\bPostgreSQL \d+(?:\.\d+)?\b"), "PostgreSQL VERSION"),
)


def normalize(text: str, *, folder: Path) -> str:
    """Return the text with what changes replaced, lines without blanks at their end."""
    text = text.replace(str(folder), "PROJECT").replace(f"{CHECKOUT}/", "")
    for changing, word in _CHANGING:
        text = changing.sub(word, text)
    return "\n".join(line.rstrip() for line in text.splitlines()).strip() + "\n"


def without_figures(text: str) -> str:
    """Return the text with every number as N and columns as wide as that makes them: for what is measured."""
    return re.sub(r"(?<=\S) {2,}(?=\S)|-{3,}", "  ", re.sub(r"\d[\d,.]*\d|\d", "N", text))


def assert_recorded(name: str, text: str) -> None:
    """Assert that the text is the recorded one of that name; or record it, where that is asked for."""
    file = RECORDED / f"{name}.txt"
    if os.environ.get("RENEW_RECORDED"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    recorded = file.read_text(encoding="utf-8")
    assert text == recorded, f"{file.name}: if this is meant, recorded_text.py says how to renew it"

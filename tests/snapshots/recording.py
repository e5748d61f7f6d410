"""Whole messages, kept as files: what a command prints is compared with what was looked at once.

A message that was changed on purpose is looked at again and written: INTEGRITY_WRITE_MESSAGES=1 pytest tests/snapshots.
"""

import os
import re
from pathlib import Path

FOLDER = Path(__file__).parent / "messages"
_SPREAD_KEY = re.compile(r"\b[1-9]\d{6}\b")  # scratch tables number their rows from a million of their own on


def assert_as_kept(name: str, text: str) -> None:
    """Compare a message with the file of that name; keys of rows are told apart by their length only."""
    told = _SPREAD_KEY.sub("KEY    ", text)
    file = FOLDER / f"{name}.txt"
    if os.environ.get("INTEGRITY_WRITE_MESSAGES"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(told, encoding="utf-8")
    assert told == file.read_text(encoding="utf-8")

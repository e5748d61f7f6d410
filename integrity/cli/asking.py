"""Asking before something is lost."""

import sys

from integrity.errors import UsageError
from integrity.report.terminal import write_note


def confirm(question: str, *, without_terminal: str) -> bool:
    """Return whether the answer was yes; the question goes to stderr.

    Args:
        without_terminal: the command to say it with beforehand.

    Raises:
        UsageError: nobody answered.
    """
    write_note(f"{question} [y/N] ", end="")
    answer = sys.stdin.readline() if sys.stdin is not None else ""  # None: it is closed, as a daemon's is
    if not answer:
        write_note()
        asked = question[:1].lower() + question[1:].rstrip("?")
        raise UsageError(f"nobody answered whether to {asked}", hint=f"Without a terminal: {without_terminal}")
    return answer.strip().lower() in ("y", "yes")

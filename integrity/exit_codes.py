"""Exit codes, and which of them a command ends with: decided here alone, from what fell short.

Mistakes of usage end a command before anything can fall short. Of what does, the weightiest decides:

- a violation: whatever else happened, that was found;
- an interruption: who pressed Ctrl-C, or the script that did, knows why the rest was not found out, and a shell's loop ends
  by this code. That a threshold was missed before is in the report, and of a whole run only;
- what is unknown, and that before a threshold, since nobody knows what would have been found;
- a threshold that was missed, before one that was not measured, which can be no worse than missed.
"""

from collections.abc import Collection, Sequence
from enum import Enum, auto

from integrity.verdict import Verdict


class ExitCode:
    """Exit codes of every command."""

    OK = 0
    VIOLATED = 1
    USAGE = 2
    UNKNOWN = 3
    THRESHOLD = 4
    INTERRUPTED = 130


class Shortfall(Enum):
    """What keeps a command from ending with 0, the weightiest first.

    Unknown is an invariant that could not be judged, a run in which no call was answered, an error of ours.
    """

    VIOLATED = auto()
    INTERRUPTED = auto()
    UNKNOWN = auto()
    MISSED = auto()
    NOT_MEASURED = auto()


_CODES = {
    Shortfall.VIOLATED: ExitCode.VIOLATED,
    Shortfall.INTERRUPTED: ExitCode.INTERRUPTED,
    Shortfall.UNKNOWN: ExitCode.UNKNOWN,
    Shortfall.MISSED: ExitCode.THRESHOLD,
    Shortfall.NOT_MEASURED: ExitCode.UNKNOWN,
}


def exit_code_of(shortfalls: Collection[Shortfall]) -> int:
    """Return the exit code of the weightiest; 0 where nothing fell short."""
    return next((_CODES[each] for each in Shortfall if each in shortfalls), ExitCode.OK)


_WORDS = {
    ExitCode.OK: "passed",
    ExitCode.VIOLATED: "data violated",
    ExitCode.UNKNOWN: "unknown",
    ExitCode.THRESHOLD: "failed",
    ExitCode.INTERRUPTED: "interrupted",
}


def verdict_of(shortfalls: Collection[Shortfall]) -> str:
    """Return what the exit code says, in a word or two: of a run and its data together."""
    return _WORDS[exit_code_of(shortfalls)]


def exit_code_after_failure(code: int) -> int:
    """Return the exit code of a command that went on after an error of ours; one that was interrupted says that."""
    return ExitCode.UNKNOWN if code in (ExitCode.OK, ExitCode.THRESHOLD) else code


def shortfalls_of(verdicts: Sequence[Verdict], *, fails_on_empty: bool = False) -> frozenset[Shortfall]:
    """Return what fell short among verdicts; nothing judged at all is unknown.

    Args:
        fails_on_empty: one that had nothing to judge is as good as unknown.
    """
    shortfalls = set()
    if Verdict.VIOLATED in verdicts:
        shortfalls.add(Shortfall.VIOLATED)
    is_judged = Verdict.HOLDS in verdicts or Verdict.VIOLATED in verdicts
    if Verdict.UNKNOWN in verdicts or not is_judged or (fails_on_empty and Verdict.EMPTY in verdicts):
        shortfalls.add(Shortfall.UNKNOWN)
    return frozenset(shortfalls)

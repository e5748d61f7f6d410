"""What of an application's statements is none of a race's: a job in the background, a monitor, a queue's polling."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from integrity.numbers import counted

_BY_NAME = "application_name="


@dataclass
class Ignored:
    """Patterns of what goes through unheld, and how many statements each let through.

    Args:
        patterns: "application_name=worker*" of connections; any other of the text of statements, blanks taken as one:
            "*from jobs*". Capital letters are not told apart.
    """

    patterns: Sequence[str] = ()
    counts: Counter[str] = field(default_factory=Counter)

    def pattern_of(self, application_name: str, sql: str) -> str:
        """Return the pattern that a statement on a connection fits; empty: none."""
        text = " ".join(sql.split()).lower()
        for pattern in self.patterns:
            name = pattern.removeprefix(_BY_NAME)
            if fnmatchcase(*((application_name, name) if name != pattern else (text, pattern.lower()))):
                return pattern
        return ""

    def is_of_name(self, pattern: str) -> bool:
        """Return whether a pattern is of connections, and not of statements."""
        return pattern.startswith(_BY_NAME)

    def __str__(self) -> str:
        return ", ".join(f"{counted(self.counts[each], 'statement')} of {each}" for each in self.patterns)

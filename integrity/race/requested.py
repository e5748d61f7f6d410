"""What came out of a race of requests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from integrity.exit_codes import exit_code_of, shortfalls_of
from integrity.race.raced import FindingKept
from integrity.race.search.exploration import Exploration
from integrity.verdict import Verdict


@dataclass(frozen=True, slots=True)
class RequestsRaced:
    """What came out of a race of requests.

    Args:
        actors: what each letter stands for.
        rows: how each schedule got the same rows, in words.
        found: schedules that go wrong, the first of each kind, as small as may be.
        uncompared: what was compared with nothing, and why, in words.
    """

    actors: Mapping[str, str]
    rows: str
    exploration: Exploration
    found: Sequence[FindingKept] = ()
    uncompared: Sequence[str] = ()

    @property
    def verdict(self) -> Verdict:
        """Of the data, and of what is expected of the answers."""
        return self.exploration.verdict

    @property
    def exit_code(self) -> int:
        return exit_code_of(shortfalls_of([self.verdict]))

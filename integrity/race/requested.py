"""What came out of a race of requests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from integrity.exit_codes import exit_code_of, shortfalls_of
from integrity.race.judge.explain import Explanation
from integrity.race.search.explore import Exploration, Hit
from integrity.verdict import Verdict


@dataclass(frozen=True, slots=True)
class FoundRequests:
    """A schedule of requests that goes wrong.

    Args:
        hit: as it was found.
        timeline: what happened in it, as lines of text.
    """

    hit: Hit
    explanation: Explanation
    timeline: Sequence[str]


@dataclass(frozen=True, slots=True)
class RequestsRaced:
    """What came out of a race of requests.

    Args:
        actors: what each letter stands for.
        rows: how each schedule got the same rows, in words.
        found: the first schedule that goes wrong; None: none does.
    """

    actors: Mapping[str, str]
    rows: str
    exploration: Exploration
    found: FoundRequests | None

    @property
    def verdict(self) -> Verdict:
        """Of the data, and of what is expected of the answers."""
        return self.exploration.verdict

    @property
    def exit_code(self) -> int:
        return exit_code_of(shortfalls_of([self.verdict]))

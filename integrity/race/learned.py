"""What came of the pairs that were foretold."""

from collections.abc import Sequence
from dataclasses import dataclass

from integrity.exit_codes import exit_code_of, shortfalls_of
from integrity.race.raced import FindingKept
from integrity.race.search.conflicts import Conflict, Observed
from integrity.race.search.exploration import Exploration
from integrity.verdict import Verdict


@dataclass(frozen=True, slots=True)
class PairRaced:
    """A pair of calls that meet, and what came of it.

    Args:
        names: of the two.
        exploration: None: the budget was spent before.
    """

    conflict: Conflict
    names: tuple[str, str]
    exploration: Exploration | None
    found: Sequence[FindingKept] = ()

    @property
    def verdict(self) -> Verdict:
        return Verdict.UNKNOWN if self.exploration is None else self.exploration.verdict


@dataclass(frozen=True, slots=True)
class Learned:
    """What came of a scenario whose calls were recorded one by one.

    Args:
        calls: what each did alone.
        pairs: those that meet, the worst first.
        rows: how each schedule got the same rows, in words.
    """

    calls: Sequence[Observed]
    pairs: Sequence[PairRaced]
    rows: str

    @property
    def apart(self) -> int:
        """How many pairs touch nothing in common."""
        return len(self.calls) * (len(self.calls) + 1) // 2 - len(self.pairs)

    @property
    def exit_code(self) -> int:
        return exit_code_of(shortfalls_of([each.verdict for each in self.pairs]))

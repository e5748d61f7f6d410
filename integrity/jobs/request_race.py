"""How far a race of an application's requests goes, and on what: one set of settings, whatever is asked of it."""

from dataclasses import dataclass

from integrity.race.search.explore import CUTS_MAX_SLOW, Budget

PREEMPTIONS = 2
SECONDS_MAX = 10.0
"""That a request is given between two statements, unless somebody says otherwise."""


@dataclass(frozen=True, slots=True)
class RequestRace:
    """See the module.

    Args:
        is_strict: answers that no serial order gives are findings too, where the rows are right.
        seconds_max: that a request is given between two statements.
        test_database: the name of a database that may be changed; needed of an application that is running already.
    """

    preemptions: int = PREEMPTIONS
    schedules: int = 10_000
    seconds: float = float("inf")
    seed: int = 0
    is_strict: bool = False
    seconds_max: float = SECONDS_MAX
    test_database: str | None = None

    @property
    def budget(self) -> Budget:
        """Of one search; calls that are not ours to step are given seconds to come to their end, a few times."""
        return Budget(self.preemptions, self.schedules, self.seconds, CUTS_MAX_SLOW)

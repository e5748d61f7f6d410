"""Functions that are to be raced, each called alone before any order is played.

What only a first call does is done then: SQLAlchemy asks the server what it is, under a lock of its engine's, and a call
that is held at a statement of that would hold all others. What does not come to its end alone comes to none beside others.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from integrity.race.play.scheduler import Scheduler
from integrity.race.program.program import Program
from integrity.race.search.exploration import Coverage, Exploration
from integrity.verdict import Verdict

_TIMES_MOST = 2


@dataclass(frozen=True, slots=True)
class CalledAlone:
    """What came of it.

    Args:
        cuts: why calls were not played to their end.
        hung: a call that never was, with why; empty: none.
    """

    cuts: Sequence[str]
    hung: str = ""

    def search(self, search: Callable[[], Exploration]) -> Exploration:
        """Return the end of a search, which is spared where a call never comes to its end."""
        if self.hung:
            return Exploration(Verdict.UNKNOWN, (), Coverage(cut=[self.hung]), frozenset(), 0.0)
        found = search()
        found.coverage.cut += [cut for cut in self.cuts if cut not in found.coverage.cut]
        is_open = found.coverage.cut and found.verdict is Verdict.HOLDS
        return replace(found, verdict=Verdict.UNKNOWN) if is_open else found


def call_alone(scheduler: Scheduler, program: Program) -> CalledAlone:
    """Call each function of a program alone."""
    cuts: list[str] = []
    for actor in {id(actor): actor for actor in program.actors}.values():  # one that comes several times is one
        alone = replace(program, actors=(actor,))
        for _ in range(_TIMES_MOST):  # what is cut off once may have met a stranger's statement, or left what it made
            cut = scheduler.play(alone).cut
            if not cut:
                break
            cuts.append(cut)
        else:
            hung = (
                f"{actor.operation} is not played to its end, though it is called alone: {'; '.join(dict.fromkeys(cuts))}"
            )
            return CalledAlone(cuts, hung)
    return CalledAlone(cuts)

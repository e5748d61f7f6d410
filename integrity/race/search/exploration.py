"""What a search comes to: the schedules that went wrong, what was covered, and the verdict."""

from dataclasses import dataclass, field

from integrity.operation import Isolation
from integrity.race.judge.end_state import EndState
from integrity.race.judge.judge import Judgement
from integrity.race.judge.oracles import Alarm, Alarmed
from integrity.race.play.scheduler import PlayedSchedule
from integrity.race.program.schedule import count_preemptions, shorten
from integrity.race.search.idle import Idle
from integrity.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Hit(Alarmed):
    """A schedule that went wrong.

    Args:
        run: as played.
        judgement: what is wrong with it.
        schedules: how many had been played when it was found, itself included.
        seconds: since the search began.
        is_repeatable: played again it went wrong in the same way.
    """

    run: PlayedSchedule
    judgement: Judgement
    schedules: int
    seconds: float
    is_repeatable: bool

    @property
    def alarms(self) -> tuple[Alarm, ...]:
        return self.judgement.alarms

    @property
    def schedule(self) -> str:
        """The shortest text that plays it."""
        return shorten(self.run.choices)

    def is_alike(self, judgement: Judgement) -> bool:
        """Return whether another run goes wrong in the same way; what is no part of a race may be missing there."""
        if self.is_race:
            return judgement.of_race == self.of_race
        return not judgement.is_race and judgement.fingerprint == self.fingerprint

    @property
    def is_apart(self) -> bool:
        """Only answers are none of any serial order, over rows that are right, where nobody asked for those."""
        return bool(self.judgement.apart) and self.alarms == self.judgement.apart

    @property
    def preemptions(self) -> int:
        return count_preemptions(self.run.choices)


@dataclass(slots=True)
class Coverage:
    """What a search covered.

    Args:
        played, spared: schedules played; those known from others without playing.
        bound_completed: all schedules with at most so many preemptions are done; -1: not even the serial orders.
        is_exhaustive: there are no schedules beyond the bound either.
        pairs: statements of two actors that touch, as ((actor, number), (actor, number)), with the orders seen.
        waits: lock waits seen.
        deadlocks, serialization_failures: statements refused for them, whatever the calls then made of it.
        refusals: calls that ended in another refusal, or in an error of their own.
        abstentions: schedules that serial equivalence could not judge.
        random: schedules drawn at random.
        levels: isolation levels of the transactions; an operation may name one other than the race's.
        cut: why schedules were not played to their end, or the search not to its bound.
        unfinished: the first schedule that was not played to its end.
        failing: calls that failed in every schedule, also alone, "withdraw (bank.py:41)", and with what.
        idle: why nothing was raced in any of them; None: something was.
    """

    played: int = 0
    spared: int = 0
    bound_completed: int = -1
    is_exhaustive: bool = False
    pairs: dict[tuple[tuple[str, int], tuple[str, int]], set[bool]] = field(default_factory=dict)
    waits: int = 0
    deadlocks: int = 0
    serialization_failures: int = 0
    refusals: int = 0
    abstentions: int = 0
    random: int = 0
    levels: set[Isolation] = field(default_factory=set)
    cut: list[str] = field(default_factory=list)
    unfinished: PlayedSchedule | None = field(default=None, repr=False)
    failing: dict[str, str] = field(default_factory=dict)
    idle: Idle | None = None

    @property
    def reasons(self) -> list[str]:
        """Why nobody knows of all schedules, in words."""
        failing = (f"{call} fails however it is called: {error}" for call, error in self.failing.items())
        return [*self.cut, *failing, *([self.idle.reason] if self.idle else ())]

    @property
    def pairs_in_both_orders(self) -> int:
        return sum(len(orders) == 2 for orders in self.pairs.values())


@dataclass(frozen=True, slots=True)
class Exploration:
    """The end of a search.

    Args:
        verdict: violated; holds (for all schedules of the bound); unknown.
        hits: what was found, each fingerprint once, the first of its kind, in order of what they mean.
        apart: the same of answers that no serial order gives, where the rows are right and the program is not strict.
        outcomes: all that the schedules came to.
        seconds: how long it took.
    """

    verdict: Verdict
    hits: tuple[Hit, ...]
    coverage: Coverage
    outcomes: frozenset[EndState]
    seconds: float
    apart: tuple[Hit, ...] = ()

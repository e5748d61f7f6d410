"""Independence: which schedules need not be played because one that was played is the same up to the order of neighbours
that do not touch.

Each letter that was played is remembered with its footprint and its past: the letters before it that it depends on, with
theirs. What a letter does follows from its past alone, so a schedule of which every letter is known, each in a past that
was seen, is foreseen without playing it; and if all of it together was seen before, in another order, its outcome is known.
The search still goes through every schedule of its bound: only the playing is spared. So nothing can be lost to a bound,
as it can where persistent or sleep sets meet one (Coons, Musuvathi, McKinley, OOPSLA 2013).
"""

from collections import defaultdict
from dataclasses import dataclass, field

from integrity.race.play.footprint import Footprint, is_dependent
from integrity.race.program.schedule import Choice, continue_with
from integrity.race.program.trace import StepPhase

PastLetters = frozenset[int]
Signature = frozenset[int]


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A letter, or the part of one behind a wait, in its place in a run.

    Args:
        identity: stands for actor, number, phase and past: equal occurrences of two runs did the same.
    """

    actor: str
    number: int
    phase: StepPhase
    footprint: Footprint
    past: PastLetters
    identity: int


@dataclass(frozen=True, slots=True)
class _Memory:
    """What an occurrence was followed by.

    Args:
        is_end: the actor was at its end behind it.
        woke: the occurrences that came with the letter: (actor, phase).
    """

    occurrence: Occurrence
    is_end: bool
    woke: tuple[tuple[str, StepPhase], ...] = ()


@dataclass(frozen=True, slots=True)
class Foreseen:
    """A schedule that need not be played to know its letters."""

    choices: tuple[Choice, ...]
    signature: Signature


@dataclass(slots=True)
class Independence:
    """What the runs of one program have shown."""

    played: set[Signature] = field(default_factory=set)
    _ready: str = ""
    _letters: dict[tuple[str, int], list[_Memory]] = field(default_factory=lambda: defaultdict(list))
    _woken: dict[tuple[str, int, StepPhase], list[_Memory]] = field(default_factory=lambda: defaultdict(list))

    def record(self) -> "RunRecorder":
        """Return what listens to a run."""
        return RunRecorder(self)

    def remember(self, ready: str, occurrences: list[Occurrence]) -> None:
        """Note that a run was played to its end."""
        self._ready = ready
        self.played.add(signature_of(occurrences))

    def foresee(self, letters: str) -> Foreseen | None:
        """Return how the schedule would go, if all of it is known."""
        if not self._ready:
            return None
        numbers = dict.fromkeys(self._ready, 0)
        ready = self._ready
        previous = ""
        choices: list[Choice] = []
        occurrences: list[Occurrence] = []
        waiting: set[str] = set()
        while ready:
            chosen = letters[len(choices)] if len(choices) < len(letters) else continue_with(ready, previous)
            if chosen not in ready:
                return None
            choices.append(Choice(ready, previous, chosen))
            previous = chosen
            memory = _find(self._letters[chosen, numbers[chosen]], occurrences)
            if memory is None:
                return None
            happened = [memory]
            occurrences.append(memory.occurrence)
            for actor, phase in memory.woke:
                woken = _find(self._woken[actor, numbers[actor], phase], occurrences)
                if woken is None:
                    return None
                happened.append(woken)
                occurrences.append(woken.occurrence)
            for each in happened:
                actor = each.occurrence.actor
                if each.occurrence.phase is StepPhase.WAITS:
                    waiting.add(actor)
                    continue
                waiting.discard(actor)
                if each.is_end:
                    del numbers[actor]
                else:
                    numbers[actor] += 1
            ready = "".join(actor for actor in numbers if actor not in waiting)
        return Foreseen(tuple(choices), signature_of(occurrences))

    def known(self, actor: str, number: int, phase: StepPhase, occurrences: list[Occurrence]) -> Footprint | None:
        """Return the footprint of what comes next in a run, if it was seen with this past."""
        candidates = self._letters[actor, number] + self._woken[actor, number, phase]
        memory = _find([each for each in candidates if each.occurrence.phase is phase], occurrences)
        return memory.occurrence.footprint if memory else None

    def learn_letter(self, memory: _Memory) -> None:
        _learn(self._letters[memory.occurrence.actor, memory.occurrence.number], memory)

    def learn_woken(self, memory: _Memory) -> None:
        occurrence = memory.occurrence
        _learn(self._woken[occurrence.actor, occurrence.number, occurrence.phase], memory)


class RunRecorder:
    """Listens to one run."""

    def __init__(self, independence: Independence) -> None:
        self.occurrences: list[Occurrence] = []
        self._independence = independence
        self._letter_start = 0

    def known(self, actor: str, number: int, phase: StepPhase) -> Footprint | None:
        return self._independence.known(actor, number, phase, self.occurrences)

    def add(self, actor: str, number: int, phase: StepPhase, footprint: Footprint) -> None:
        past = _past(actor, footprint, self.occurrences)
        identity = hash((actor, number, phase, past))
        self.occurrences.append(Occurrence(actor, number, phase, footprint, past, identity))

    def end_letter(self, *, done: str) -> None:
        letter, *woken = self.occurrences[self._letter_start :]
        self._letter_start = len(self.occurrences)
        woke = tuple((each.actor, each.phase) for each in woken)
        self._independence.learn_letter(_Memory(letter, letter.actor in done, woke))
        for each in woken:
            self._independence.learn_woken(_Memory(each, each.actor in done))


def signature_of(occurrences: list[Occurrence]) -> Signature:
    return frozenset(occurrence.identity for occurrence in occurrences)


def _find(memories: list[_Memory], occurrences: list[Occurrence]) -> _Memory | None:
    """Return the memory whose past is what the occurrences are to it; by determinism there is at most one."""
    for memory in memories:
        occurrence = memory.occurrence
        if _past(occurrence.actor, occurrence.footprint, occurrences) == occurrence.past:
            return memory
    return None


def _past(actor: str, footprint: Footprint, occurrences: list[Occurrence]) -> PastLetters:
    return frozenset(
        each.identity for each in occurrences if each.actor == actor or is_dependent(each.footprint, footprint)
    )


def _learn(memories: list[_Memory], memory: _Memory) -> None:
    if all(each.occurrence.identity != memory.occurrence.identity for each in memories):
        memories.append(memory)

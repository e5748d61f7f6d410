"""What came out of races, reproductions, replays and mutations, as reports show it and scripts are told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from integrity.events import Event
from integrity.exit_codes import Shortfall, exit_code_of, shortfalls_of
from integrity.numbers import counted
from integrity.race.finding.finding import Finding
from integrity.race.finding.replay import Replay
from integrity.race.matrix import Group
from integrity.race.played import Played
from integrity.race.reproduction.reproduction import Reproduction
from integrity.race.search.settings import RaceSubject
from integrity.race.trial.mutate import Mutation, Unguarded
from integrity.verdict import Verdict


@dataclass(frozen=True, slots=True)
class FindingKept(Event):
    """A finding is kept.

    Args:
        file: where.
        replay: the command that plays it again.
    """

    finding: Finding
    file: Path
    replay: str


@dataclass(frozen=True, slots=True)
class Raced:
    """What came out of a race.

    Args:
        groups: that were searched; none where one schedule was played.
        found: the first one was studied.
        apart: answers that no serial order gives, over rows that are right.
        played: the schedule that was asked for.
        is_matrix: the groups are each pair of the system's operations.
    """

    race: RaceSubject
    groups: Sequence[Group]
    found: Sequence[FindingKept]
    apart: Sequence[FindingKept] = ()
    played: Played | None = None
    is_matrix: bool = False

    @property
    def verdict(self) -> Verdict:
        """Of all groups: violated where one is, else unknown where one is."""
        verdicts = {group.verdict for group in self.groups}
        return next((each for each in (Verdict.VIOLATED, Verdict.UNKNOWN) if each in verdicts), Verdict.HOLDS)

    @property
    def exit_code(self) -> int:
        """Return what a script is told: unknown as a group that was not searched is a schedule that was cut off, of
        calls that fail alone, or in which nothing was raced."""
        if self.found:
            return exit_code_of({Shortfall.VIOLATED})
        if self.played is not None:
            is_unknown = self.played.cut or self.played.has_failed or self.played.idle
            return exit_code_of({Shortfall.UNKNOWN} if is_unknown else ())
        return exit_code_of(shortfalls_of([group.verdict for group in self.groups]))


@dataclass(frozen=True, slots=True)
class Mutated:
    """What a system's protections are good for.

    Args:
        unguarded: pairs that go wrong with all of them in place.
    """

    mutations: Sequence[Mutation]
    unguarded: Sequence[Unguarded] = ()

    @property
    def exit_code(self) -> int:
        """Return what a script is told: where one of an operation's own was not missed, or not tried, that is unknown.

        So is what a pair needs that is racy as it is.
        """
        is_open = any(
            each.word == "untried" or (each.word == "vacuous" and not each.is_constraint) for each in self.mutations
        )
        return exit_code_of({Shortfall.UNKNOWN} if is_open or self.unguarded or not self.mutations else ())


@dataclass(frozen=True, slots=True)
class Reproduced:
    """What brought a violated row back.

    Args:
        invariant, row: that was violated.
        run_id, taken_at: of the audit that says so.
        found: the race that did, if one did.
    """

    reproduction: Reproduction
    invariant: str
    row: Mapping[str, Any]
    run_id: str
    taken_at: str
    found: Sequence[FindingKept]

    @property
    def exit_code(self) -> int:
        return exit_code_of({Shortfall.VIOLATED if self.reproduction.kind else Shortfall.UNKNOWN})


@dataclass(frozen=True, slots=True)
class Replayed:
    """How often a finding came back.

    Args:
        name: of the finding.
        failures: what goes wrong in it, in words.
        differences: what is not as it was when it was found.
        finding: None: a token says how it is played, and nothing else.
    """

    name: str
    failures: Sequence[str]
    replays: Sequence[Replay]
    differences: Sequence[str] = ()
    finding: Finding | None = None

    @property
    def text(self) -> str:
        """What happened the last time, and how often it came back."""
        back = sum(each.is_back for each in self.replays)
        came = f"{', '.join(self.failures)}: came back {back} of {counted(len(self.replays), 'time')}"
        last = self.replays[-1]
        otherwise = [f"it went wrong in another way: {name}" for name in self.others]
        unknown = [f"nobody knows whether that is a fix: {last.why_unknown}"] if last.why_unknown else []
        return "\n".join([came, *otherwise, *unknown, last.course, *last.timeline, *self.differences])

    @property
    def others(self) -> Sequence[str]:
        """The other failures that came instead of it, or along with it."""
        return sorted({name for each in self.replays for name in each.others})

    @property
    def exit_code(self) -> int:
        """Return what a script is told: a schedule that goes wrong in another way by now is no more right than it was.

        What was cut off, or calls that went astray, might have brought it back.
        """
        if any(each.is_wrong for each in self.replays):
            return exit_code_of({Shortfall.VIOLATED})
        return exit_code_of({Shortfall.UNKNOWN} if any(each.why_unknown for each in self.replays) else ())

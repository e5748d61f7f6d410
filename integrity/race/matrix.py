"""The race matrix: groups of operations, usually each pair, searched for races with several choices of arguments.

The likeliest choice of each group is searched first, then the second one of each, while the time lasts. A group is sound
when its first choice was searched to the bound and nothing was found; how many more were is said beside it. One with which
nothing was raced counts for nothing, and is not the first; where none is left, that is unknown (idle.py). Where a call
fails, or a deadlock is met, the other choices are searched all the same: with one of them the data may go wrong.

One choice of one group is searched as searcher.py has it; with several jobs, processes share the groups (processes.py).
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations_with_replacement

from integrity.engines.target import Target
from integrity.errors import UsageError
from integrity.events import Advanced, Job, Noted
from integrity.race.finding.finding import Finding
from integrity.race.play.deadline import Deadline
from integrity.race.processes import SECONDS_LEAST, OpenSearchers, open_searchers
from integrity.race.search.settings import RaceSubject
from integrity.race.searcher import Searched, Task
from integrity.verdict import Verdict


@dataclass(slots=True)
class Group:
    """What is known of one group of operations.

    Args:
        searched: its choices, in the order in which they came in.
        is_out_of_choices: there are no more than those.
        fault: what is wrong with the rows that its operations want; None: nothing.
    """

    names: tuple[str, ...]
    searched: list[Searched] = field(default_factory=list)
    is_out_of_choices: bool = False
    fault: UsageError | None = None

    @property
    def verdict(self) -> Verdict:
        """Violated; holds, for the choices that were searched to the bound; unknown when not even the first was of those
        with which something was raced."""
        verdicts = [each.verdict for each in self.searched]
        if Verdict.VIOLATED in verdicts:
            return Verdict.VIOLATED
        raced = [each for each in self.searched if each.coverage.idle is None]
        is_first = bool(raced) and len(self.searched) > raced[0].choice  # none before it is left out
        return raced[0].verdict if is_first else Verdict.UNKNOWN

    @property
    def is_unasked(self) -> bool:
        """An invariant was not asked, as a row that somebody wrote violates it, or is beside one that does."""
        return any(left_out.blamed for each in self.searched for left_out in each.left_out)

    @property
    def idle(self) -> list[Searched]:
        """Those of which each is idle, with which nothing was raced; none where one was not."""
        return self.searched if self.searched and all(each.coverage.idle for each in self.searched) else []

    @property
    def finding(self) -> Finding | None:
        """The one that means the most, of all choices; of those that mean as much the first."""
        return min(self._findings, key=lambda each: each.rank, default=None)

    @property
    def others(self) -> tuple[Finding, ...]:
        """What else goes wrong, each kind of failure once."""
        first = self.finding
        kinds = {each.fingerprint: each for each in reversed(self._findings)}
        return tuple(each for kind, each in reversed(kinds.items()) if first and kind != first.fingerprint)

    @property
    def is_settled(self) -> bool:
        """The data was seen to go wrong: nothing that other arguments show is worse."""
        return any(each.is_of_data for each in self._findings)

    @property
    def _findings(self) -> list[Finding]:
        return [finding for each in self.searched if each.finding for finding in (each.finding, *each.others)]

    @property
    def apart(self) -> Finding | None:
        return next((each.apart for each in self.searched if each.apart), None)

    @property
    def finished(self) -> list[Searched]:
        """Those searched to the bound, or until a race was found."""
        return [each for each in self.searched if each.verdict is not Verdict.UNKNOWN]


def pairs_of(names: Sequence[str]) -> list[tuple[str, ...]]:
    """Return each pair of operations, each with itself included."""
    return list(combinations_with_replacement(names, 2))


def race_groups(
    target: Target,
    race: RaceSubject,
    groups: Sequence[tuple[str, ...]],
    *,
    test_database: str | None = None,
    deadline: Deadline | None = None,
    opening: OpenSearchers = open_searchers,
) -> Job[list[Group]]:
    """Search the groups on scratch databases and return what is known of each, in their order.

    Where operations want rows of their own, the groups of one with wrong rows are left out, and that is noted.

    Args:
        deadline: of all of it; None: the settings' seconds from now.
        opening: opens what searches them.

    Raises:
        UsageError: the system has no such operation, or cannot be raced on this target, or by several processes.
        DatabaseError: the server is gone.
    """
    settings = race.settings
    ends_at = (deadline or Deadline.within(settings.seconds)).at
    known = {names: Group(names) for names in dict.fromkeys(groups)}
    yield Advanced("racing", "", 0, len(known))
    with opening(target, race, known, test_database) as search:
        for choice in range(settings.choices_max):
            open_groups = [
                group for group in known.values() if not (group.is_out_of_choices or group.fault or group.is_settled)
            ]
            left = ends_at - time.monotonic()
            if not open_groups or (choice and left < SECONDS_LEAST):
                break
            tasks = [Task(group.names, choice) for group in open_groups]
            for task, searched in search(tasks, ends_at):
                group = known[task.names]
                if isinstance(searched, UsageError):
                    if race.system.rows_of is None or len(known) == 1:
                        raise searched
                    group.fault = searched
                elif searched is None:
                    group.is_out_of_choices = True
                else:
                    group.searched.append(searched)
                    begun = sum(bool(each.searched) for each in known.values())
                    yield Advanced("racing", " + ".join(searched.names), begun, len(known))
    return (yield from _without_faults(list(known.values())))


def _without_faults(groups: list[Group]) -> Job[list[Group]]:
    """Return the groups without those of operations whose own rows are wrong; note each operation, and each other fault.

    Raises:
        UsageError: there is no other group.
    """
    faults = {group.names[0]: group.fault for group in groups if group.fault and len(set(group.names)) == 1}
    left = [group for group in groups if not faults.keys() & set(group.names)]
    faults |= {" + ".join(group.names): group.fault for group in left if group.fault}
    if faults and not any(group.searched for group in left):
        raise next(iter(faults.values()))
    for name, fault in faults.items():
        yield Noted(f"{name} is left out: {fault}")
    return left

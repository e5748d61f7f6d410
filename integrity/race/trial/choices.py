"""Choices: which arguments of calls to try, of the many that there are, so that few of them say much.

What two calls can do to each other hangs on which keys they share, more than on which keys these are.
"""

from collections.abc import Iterable

from integrity.race.judge.contest import Contest

Pattern = tuple[int, ...]


def by_pattern(contests: Iterable[Contest], known: Iterable[Contest] = ()) -> tuple[list[Contest], list[Contest]]:
    """Return the first contest of each pattern, in their order, and the rest.

    Args:
        known: of whose patterns all are of the rest.
    """
    seen = {pattern_of(contest) for contest in known}
    first: list[Contest] = []
    rest: list[Contest] = []
    for contest in contests:
        pattern = pattern_of(contest)
        (rest if pattern in seen else first).append(contest)
        seen.add(pattern)
    return first, rest


def pattern_of(contest: Contest) -> Pattern:
    """Return which arguments of the calls are equal to which: the same for calls that differ in their keys only."""
    values = [repr(value) for call in contest.calls for value in call.arguments.values()]
    return tuple(values.index(value) for value in values)

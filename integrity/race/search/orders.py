"""Orders that are tried beside those of few preemptions: a fair rotation, and random priorities (PCT)."""

from random import Random

PCT_DEPTHS = (2, 3, 4)  # change points of a random schedule, and one: bugs of that depth are found with a known chance


def rotate(ready: str, previous: str) -> str:
    """Go round: the next actor behind the one before."""
    return next((actor for actor in ready if actor > previous), ready[0])


class Priorities:
    """Runs the ready actor of the highest priority; at each change point the one that runs falls behind all others."""

    def __init__(self, random: Random, *, depth: int, letters: int) -> None:
        self._random = random
        self._priorities: dict[str, float] = {}
        self._changes = {random.randrange(1, letters + 1) for _ in range(depth - 1)}
        self._position = 0

    def __call__(self, ready: str, previous: str) -> str:
        for actor in ready:
            if actor not in self._priorities:
                self._priorities[actor] = 1 + self._random.random()
        if self._position in self._changes and previous:
            self._priorities[previous] = -self._position
        self._position += 1
        return max(ready, key=lambda actor: self._priorities[actor])

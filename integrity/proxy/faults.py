"""The gates of faults: what a proxy does to the connections that pass it, and a count of what it has done.

All gates open is a proxy that only forwards. They are set while connections live and count for all of them.
"""

from collections import Counter
from dataclasses import dataclass, field
from random import Random

from integrity.proxy.gate import Direction, Ruling
from integrity.proxy.message import Message
from integrity.proxy.postgresql.commits import CommitReplies, CommitRequests


@dataclass(frozen=True, slots=True)
class Delay:
    """How much later bytes arrive: by `least_s` to `most_s`, drawn anew for each chunk; their order stays."""

    least_s: float
    most_s: float

    def draw(self, random: Random) -> float:
        """Return one delay."""
        return random.uniform(self.least_s, self.most_s)


@dataclass(slots=True)
class Gates:
    """The gates of a proxy.

    Args:
        delay_to_server, delay_to_client: of what goes in that direction; None: none.
        hidden_share: of the commits that the server says have happened: the client is cut off instead of being told.
        lost_share: of the commits that clients ask for: both sides are cut off instead of passing it on.
        counts: what was done, e.g. "commits hidden".
        random: draws the shares and the delays.
    """

    random: Random = field(default_factory=Random)
    delay_to_server: Delay | None = None
    delay_to_client: Delay | None = None
    hidden_share: float = 0.0
    lost_share: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)

    def delay_of(self, direction: Direction) -> float | None:
        """Return by how many seconds a piece that goes in that direction is late; None: it is not."""
        delay = self.delay_to_server if direction is Direction.TO_SERVER else self.delay_to_client
        if delay is None:
            return None
        self.counts["pieces delayed"] += 1
        return delay.draw(self.random)

    def hides_commit(self) -> bool:
        """Draw whether this commit is hidden from its client."""
        return self._draw(self.hidden_share)

    def loses_commit(self) -> bool:
        """Draw whether this request for a commit is lost."""
        return self._draw(self.lost_share)

    def _draw(self, share: float) -> bool:
        return share > 0 and self.random.random() < share


class FaultGate:
    """One connection's gate of faults: it follows what asks for a commit, and what tells of one."""

    def __init__(self, gates: Gates) -> None:
        self._gates = gates
        self._requests, self._replies = CommitRequests(), CommitReplies()

    def rule(self, direction: Direction, message: Message) -> Ruling:
        """See gate.Gate."""
        if direction is Direction.TO_SERVER:
            if self._requests.asks_for_commit(message) and self._gates.loses_commit():
                self._gates.counts["commits not delivered"] += 1
                return Ruling.CUT
        elif self._replies.tells_of_commit(message) and self._gates.hides_commit():
            self._gates.counts["commits hidden from their client"] += 1
            return Ruling.CUT
        return Ruling.PASS

    def ended(self) -> None:
        """Nothing is left to do."""

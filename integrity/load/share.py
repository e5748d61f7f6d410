"""Shares: which clients, arrivals and connections of a run are those of one of its processes.

Numbers go round: of 10 clients the second of 3 processes has numbers 1, 4 and 7. So client 4 is the same, and draws the
same, however many processes there are; and shares differ by one at most, and add up to the whole.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Share:
    """One of `count` shares.

    Args:
        number: which, from 0.
    """

    number: int = 0
    count: int = 1

    def numbers(self, total: int) -> range:
        """Return which of so many are in this share, as numbers from 0."""
        return range(self.number, total, self.count)

    def of(self, total: int) -> int:
        """Return how many of so many that is."""
        return len(self.numbers(total))

    def has(self, number: int) -> bool:
        """Return whether this one is in the share."""
        return number % self.count == self.number

    def named(self, name: str) -> str:
        """Return the name of what each process has of its own; of the only one the name itself."""
        return name if self.count == 1 else f"{name}/{self.number}"


WHOLE = Share()

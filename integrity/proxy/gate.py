"""The gate: the one seam of the proxy, where it is decided what becomes of each message of a connection.

Faults, recordings and races are gates. A gate is asked in the proxy's event loop and never blocks: what it holds it keeps
itself, and sends later, or something else in its place, or nothing, by `Link.send`.
"""

from enum import Enum, auto
from typing import Protocol

from integrity.proxy.message import Message


class Direction(Enum):
    """Where a message goes."""

    TO_SERVER = auto()
    TO_CLIENT = auto()

    __hash__ = object.__hash__  # asked several times a message: enum's own hashes the name, in Python


class Ruling(Enum):
    """What becomes of a message.

    HOLD: the gate keeps it, and sends it or another in its place later: so much is on its way, and once that is too much
    nothing more is read from that side. DROP: it goes nowhere. CUT: both connections end. RESET: the client's is reset.
    """

    PASS = auto()
    HOLD = auto()
    DROP = auto()
    CUT = auto()
    RESET = auto()


class Gate(Protocol):
    """Rules on the messages of one connection."""

    def rule(self, direction: Direction, message: Message) -> Ruling:
        """Return what becomes of a message: of each one behind the startup packet, in the order in which they come."""
        ...

    def ended(self) -> None:
        """The connection is over."""
        ...


class OpenGate:
    """Lets everything pass."""

    def rule(self, _direction: Direction, _message: Message) -> Ruling:
        return Ruling.PASS

    def ended(self) -> None:
        """Nothing is left to do."""

"""What a proxy has to know of a wire protocol: how bytes become messages, how a session begins, how a client is refused.

Each protocol is a folder beside this file with one object that begins sessions; link.py knows no other. What the messages
mean is the business of gates.
"""

from collections.abc import Mapping
from enum import Enum, auto
from typing import NamedTuple, Protocol

from integrity.proxy.message import Message


class Step(Enum):
    """What is to be done about a message that a client begins with.

    ANSWER: reply, and read on. ENCRYPT: reply, and go on with encryption. CONNECT: connect to the server, and give it the
    message. REFUSE: reply, and end.
    """

    ANSWER = auto()
    ENCRYPT = auto()
    CONNECT = auto()
    REFUSE = auto()


class Opening(NamedTuple):
    """A step, with the reply to the client, or the message for the server.

    Args:
        counted: what the proxy counts it as; empty: not at all.
    """

    step: Step
    message: Message
    counted: str = ""


class Session(Protocol):
    """How one link speaks."""

    @property
    def parameters(self) -> Mapping[str, str]:
        """What the client said of itself, as it said it; empty before it has."""
        ...

    @property
    def backend_pid(self) -> int:
        """The server's process; 0: not known yet."""
        ...

    @property
    def backend_secret(self) -> bytes:
        """With which the server can be told to cancel what it is at; empty: not known yet."""
        ...

    @property
    def unmet(self) -> str:
        """What the client hung up for, to be counted; empty: nothing that is known."""
        ...

    def read_client(self, data: bytes) -> list[Message]:
        """Return the messages that these bytes of the client's complete.

        Raises:
            ProtocolError: they are none; nothing more can be read.
        """
        ...

    def read_server(self, data: bytes) -> list[Message]:
        """Return the messages that these bytes of the server's complete.

        Raises:
            ProtocolError: they are none; nothing more can be read.
        """
        ...

    def open(self, message: Message) -> Opening:
        """Return what is to be done about a client's message, before there is a server.

        Raises:
            ProtocolError: it is none that a session begins with.
        """
        ...

    def note(self, message: Message) -> None:
        """Learn from a message of the server's, until the backend is known."""
        ...

    def make_cancel(self) -> Message | None:
        """Return what tells the server to cancel what it is at; None: nobody could."""
        ...

    def make_refusal(self, reason: str) -> Message:
        """Return the farewell to a client whose bytes are no messages."""
        ...


class WireProtocol(Protocol):
    """Begins sessions."""

    def begin(self) -> Session:
        """Return how a new link speaks."""
        ...

"""A message: what passes a proxy whole, or not at all; in any wire protocol."""

from collections.abc import Iterable
from typing import NamedTuple


class ProtocolError(Exception):
    """Bytes that are no message of the protocol."""


class Message(NamedTuple):
    """A whole message.

    Args:
        kind: its letter; empty for those without.
        raw: all its bytes, letter and length included.
    """

    kind: bytes
    raw: bytes

    @property
    def body(self) -> bytes:
        """What follows the length."""
        return self.raw[5:] if self.kind else self.raw[4:]

    @property
    def code(self) -> int:
        """Of one without a letter: which request it is, or the protocol's version."""
        return int.from_bytes(self.raw[4:8])


def join(messages: Iterable[Message]) -> bytes:
    """Return the bytes of these messages."""
    return b"".join([message.raw for message in messages])

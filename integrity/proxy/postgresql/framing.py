"""The PostgreSQL protocol, version 3, as messages: a stream of bytes in, whole messages out, without I/O.

A message is a letter, a length and a body. Only what a client begins with has no letter: its startup packet, or before it a
request for encryption; a request to cancel, on a connection of its own, looks the same. In which chunks the bytes arrive
makes no difference to the messages. What messages mean for a commit is in commits.py.
"""

from collections.abc import Mapping

from integrity.proxy.message import Message, ProtocolError

PROTOCOL_MAJOR = 3
CANCEL_REQUEST = 80877102
SSL_REQUEST = 80877103
GSSENC_REQUEST = 80877104
STARTUP_BYTES_MOST = 10_000  # PostgreSQL's own MAX_STARTUP_PACKET_LENGTH
MESSAGE_BYTES_MOST = 0x3FFF_FFFF  # no server nor client allocates a larger one


class Framer:
    """Cuts one direction of a connection into messages.

    Args:
        begins_untyped: the client's direction, which begins without letters up to its startup packet.
    """

    def __init__(self, *, begins_untyped: bool) -> None:
        self._is_typed = not begins_untyped
        self._waiting = bytearray()
        self._needed = 0  # bytes without which nothing more can be said

    @property
    def is_between_messages(self) -> bool:
        """Whether all bytes so far were whole messages."""
        return not self._waiting

    def feed(self, data: bytes) -> list[Message]:
        """Return the messages that these bytes complete, in order.

        Raises:
            ProtocolError: these are not messages of this protocol; the stream cannot be read any further.
        """
        if self._waiting:
            self._waiting += data
            if len(self._waiting) < self._needed:
                return []  # a long message is looked at once, not once a chunk
            data = bytes(self._waiting)
            self._waiting.clear()
        messages: list[Message] = []
        place, end = 0, len(data)
        while place < end:
            head = place + 1 if self._is_typed else place
            if head + 4 > end:
                self._needed = head + 4 - place
                break
            length = int.from_bytes(data[head : head + 4])
            self._check(length)
            after = head + length
            if after > end:
                self._needed = after - place
                break
            message = Message(data[place:head], data[place:after])
            messages.append(message)
            place = after
            if not self._is_typed:
                self._is_typed = message.code >> 16 == PROTOCOL_MAJOR
        if place < end:
            self._waiting += data[place:]
        return messages

    def _check(self, length: int) -> None:
        least, most = (4, MESSAGE_BYTES_MOST) if self._is_typed else (8, STARTUP_BYTES_MOST)
        if not least <= length <= most:
            raise ProtocolError(f"a message of {length} bytes; possible are {least} to {most}")


def read_startup(message: Message) -> dict[str, str]:
    """Return the parameters of a startup packet, e.g. user, database, application_name.

    Raises:
        ProtocolError: they do not come in pairs.
    """
    words = message.body[4:].split(b"\0")
    # Each word ends with a zero and so does the list, which leaves two empty pieces behind.
    if len(words) < 2 or words[-1] or words[-2] or len(words) % 2:
        raise ProtocolError("a startup packet whose parameters are not pairs")
    texts = [word.decode("utf-8", "surrogateescape") for word in words[:-2]]
    return dict(zip(texts[::2], texts[1::2], strict=True))


def make_startup(version: int, parameters: Mapping[str, str]) -> Message:
    """Return a startup packet of that protocol version with these parameters."""
    words = [word.encode("utf-8", "surrogateescape") for pair in parameters.items() for word in pair]
    body = version.to_bytes(4) + b"".join(word + b"\0" for word in words) + b"\0"
    return Message(b"", (len(body) + 4).to_bytes(4) + body)


def make_cancel(key: bytes) -> Message:
    """Return the request to cancel what a session is at: the key is the body of its BackendKeyData."""
    body = CANCEL_REQUEST.to_bytes(4) + key
    return Message(b"", (len(body) + 4).to_bytes(4) + body)


def make_refusal(sqlstate: str, reason: str) -> Message:
    """Return the server's farewell: a fatal error."""
    fields = [("S", "FATAL"), ("V", "FATAL"), ("C", sqlstate), ("M", reason)]
    return make_message(b"E", *((name + text).encode() + b"\0" for name, text in fields), b"\0")


def make_message(kind: bytes, *parts: bytes) -> Message:
    """Return a message of that letter, its body the parts in a row."""
    body = b"".join(parts)
    return Message(kind, kind + (len(body) + 4).to_bytes(4) + body)

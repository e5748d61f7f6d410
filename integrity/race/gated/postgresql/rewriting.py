"""Rewriting: statements of a client's that the server is given with another text, for trying what a part of one is for.

What a client has prepared under a name stays so: where it is bound, the changed text is parsed as the statement without a
name and that bound. So nothing that is tried outlives the trial, on whatever connection of a pool.
"""

from collections.abc import Callable, Mapping
from typing import Any

from psycopg import sql

from integrity.engines.values import text_of
from integrity.proxy.message import Message
from integrity.proxy.postgresql.bodies import read_text
from integrity.proxy.postgresql.framing import make_message
from integrity.sql.parameters import marks_in
from integrity.sql.statements import split_statements
from integrity.sql.tokens import Token, TokenKind, spliced

Changes = Callable[[], Mapping[str, str]]
"""Returns the texts that are changed now, each with what stands for it."""


class Rewriting:
    """Rewrites the messages of one client.

    Args:
        changes: see Changes.
    """

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self._named: dict[bytes, tuple[str, bytes]] = {}  # text and types of what the client has prepared

    def rewrite(self, message: Message) -> list[Message]:
        """Return what the server is given for a message; of two the first is ours, and its answer not the client's."""
        kind, changes = message.kind, self._changes()
        if kind == b"Q" and changes:
            texts = split_statements(read_text(message.body))
            if any(text in changes for text in texts):
                changed = "; ".join(changes.get(text, text) for text in texts)
                return [make_message(kind, changed.encode() + b"\0")]
        elif kind == b"P":
            name, sql, types = message.body.split(b"\0", 2)
            if name:
                self._named[name] = sql.decode("utf-8", "replace"), types
            elif (parsed := changes.get(sql.decode("utf-8", "replace"))) is not None:
                return [_parse(parsed, types)]
        elif kind == b"B" and changes:
            portal, name, rest = message.body.split(b"\0", 2)
            text, types = self._named.get(name, ("", b""))
            if (bound := changes.get(text)) is not None:
                return [_parse(bound, types), make_message(kind, b"\0".join((portal, b"", rest)))]
        return [message]


def _parse(sql: str, types: bytes) -> Message:
    return make_message(b"P", b"\0".join((b"", sql.encode(), types)))


def with_values(text: str, values: Mapping[str, Any]) -> str:
    """Return a statement with values in the place of its parameters, of which the server finds out the types."""
    edits = [
        (Token(TokenKind.SIGN, ":", mark.start, mark.end), sql.Literal(text_of(values[mark.name])).as_string(None))
        for mark in marks_in(text)
    ]
    return spliced(text, edits)

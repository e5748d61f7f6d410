"""Commits on the wire: which message of a client asks for one, and which message of the server says that it happened.

The client's text alone would miss most of them: drivers prepare even COMMIT, and execute it by a name from then on. So
names are followed, and what counts as having happened is what the server says: its tag `COMMIT`, or, for a statement that
is a transaction of its own, the tag of a write followed by "ready, not in a transaction".
"""

import re
from functools import lru_cache

from integrity.proxy.message import Message
from integrity.sql.tokens import code_tokens

_COMMIT = re.compile(rb"\s*(?:commit|end)\b(?!\s+prepared)", re.IGNORECASE)
_WRITES = (b"INSERT ", b"UPDATE ", b"DELETE ", b"MERGE ")
_WRITING = ("insert", "update", "delete", "merge")
_IDLE = b"I"


@lru_cache(maxsize=4096)
def writes(sql: str) -> bool:
    """Return whether a statement writes rows by its own words, and so commits them where no transaction is open."""
    tokens = code_tokens(sql)
    if not tokens or not tokens[0].is_word(*_WRITING, "with"):
        return False
    return any(
        token.is_word(*_WRITING) and not (place and tokens[place - 1].is_word("for", "key", "do"))
        for place, token in enumerate(tokens)
    )


class CommitReplies:
    """Follows what a server says."""

    def __init__(self) -> None:
        self._is_idle = True
        self._has_written = False

    def tells_of_commit(self, message: Message) -> bool:
        """Return whether this is the message from which the client learns that a commit has happened.

        Kept back, with all that follows, it leaves the client with no way to tell.
        """
        kind = message.kind
        if kind == b"C":
            tag = message.body
            if tag == b"COMMIT\0":
                return True
            # It is not committed yet: in the extended protocol that happens at the Sync that follows.
            self._has_written = self._has_written or (self._is_idle and tag.startswith(_WRITES))
        elif kind == b"Z":
            is_idle = message.body == _IDLE
            is_end_of_write = self._has_written and is_idle
            self._is_idle, self._has_written = is_idle, False
            return is_end_of_write
        elif kind == b"E":
            self._has_written = False  # whatever it did is rolled back
        return False


class CommitRequests:
    """Follows what a client asks for."""

    def __init__(self) -> None:
        self._statements: set[bytes] = set()  # names of those that are a COMMIT
        self._portals: set[bytes] = set()

    def asks_for_commit(self, message: Message) -> bool:
        """Return whether this message makes the server commit the open transaction."""
        kind = message.kind
        if kind == b"Q":
            return _COMMIT.match(message.body) is not None
        if kind == b"P":
            name, _, rest = message.body.partition(b"\0")
            _note(self._statements, name, is_commit=_COMMIT.match(rest) is not None)
        elif kind == b"B":
            portal, _, rest = message.body.partition(b"\0")
            _note(self._portals, portal, is_commit=rest.partition(b"\0")[0] in self._statements)
        elif kind == b"E":
            return message.body.partition(b"\0")[0] in self._portals
        return False


def _note(names: set[bytes], name: bytes, *, is_commit: bool) -> None:
    if is_commit:
        names.add(name)
    else:
        names.discard(name)

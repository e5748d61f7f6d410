"""A transaction that its operation left open: what it wrote is rolled back, as any pool does, while its client hears Ok."""

from collections.abc import Iterable
from itertools import pairwise

from integrity.operation import Ok, Reply
from integrity.sql.tokens import code_tokens
from integrity.user_code import place_in_operation

_READS = ("(", "select", "values", "table", "with", "show", "explain", "set", "savepoint", "release", "lock", "fetch")
_ENDS = ("commit", "end", "rollback", "abort")


class TransactionLeftOpen(Exception):
    """An operation returned Ok with its transaction open, so it told its client of what nobody stored.

    Args:
        cure: what is missing before the return.
        place: where the operation is written, for whoever cannot see it; empty: in its generator.
    """

    def __init__(self, cure: str = "yield Commit()", *, place: str = "") -> None:
        super().__init__(f"it returned Ok with its transaction open, so nothing of that is stored: {cure} first")
        self.place = place


def check_end(steps: object, reply: Reply, statements: Iterable[str]) -> None:
    """Check that an operation of the user's may return in an open transaction: nothing is lost of what it told.

    Args:
        steps: the generator of the call.
        statements: of that transaction, in order.

    Raises:
        TransactionLeftOpen: it may not.
    """
    if type(reply) is Ok and has_written(statements) and place_in_operation(steps):
        raise TransactionLeftOpen


def has_written(statements: Iterable[str]) -> bool:
    """Return whether statements wrote something that is not committed. What was only read, or locked, nobody misses."""
    is_written = False
    for sql in statements:
        words = [token.text for token in code_tokens(sql)]
        if not words or words[0] not in _ENDS:
            is_written = is_written or _writes(words)
        elif "to" not in words[:3]:  # a savepoint
            is_written = False
    return is_written


def _writes(words: list[str]) -> bool:
    """Return whether a statement writes; a query does by what its `with` holds. What its functions do is not seen."""
    inner = set(pairwise(words)) & {("(", "insert"), ("(", "update"), ("(", "delete"), ("(", "merge")}
    return bool(words) and (words[0] not in _READS or bool(inner))

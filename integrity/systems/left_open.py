"""A transaction that its operation left open: what it wrote is rolled back, as any pool does, while its client hears Ok."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise

from integrity.operation import Ok, Reply, Statement
from integrity.sql.tokens import code_tokens
from integrity.user_code import Spot, describe_spots

_READS = ("(", "select", "values", "table", "with", "show", "explain", "set", "savepoint", "release", "lock", "fetch")
_ENDS = ("commit", "end", "rollback", "abort")
_LOCKS = {
    ("for", "update"),
    ("for", "no"),
    ("for", "share"),
    ("for", "key"),
    ("lock", "table"),
    ("nextval", "("),
    ("setval", "("),
}


class TransactionLeftOpen(Exception):
    """An operation returned Ok with its transaction open, so it told its client of what nobody stored.

    Args:
        cure: what is missing behind its last statement.
        place: that statement's.
    """

    def __init__(self, cure: str, *, place: str) -> None:
        super().__init__(f"it returns Ok with its transaction open, so nothing of that is stored: {cure} behind this")
        self.place = place


class LastStatement:
    """The statement that the call of an operation asked for last, and where."""

    def __init__(self) -> None:
        self._statement = Statement("")
        self._spots: Sequence[Spot] = ()

    def at(self, statement: Statement, spots: Sequence[Spot]) -> None:
        """Note a statement, and where the operation stood when it asked for it."""
        self._statement, self._spots = statement, spots

    @property
    def place(self) -> str:
        """The statement's in a user's code or file; empty: it is in none."""
        return self._statement.place or describe_spots(self._spots)

    def check_end(self, reply: Reply, statements: Iterable[str], *, has_id: bool) -> None:
        """Check that an operation of the user's may return in an open transaction: nothing is lost of what it told.

        Args:
            statements: of that transaction, in order.
            has_id: the database says that the transaction has written, or locked rows.

        Raises:
            TransactionLeftOpen: it may not.
        """
        sent = list(statements)
        if type(reply) is Ok and (has_written(sent) or (has_id and not may_lock(sent))) and self.place:
            cure = "connection.commit()" if self._statement.place else "yield Commit()"
            raise TransactionLeftOpen(cure, place=self.place)


def may_write_by_functions(statements: Iterable[str]) -> bool:
    """Return whether a statement calls a function, which may have written: only the database knows."""
    return any(token.text == "(" and before.is_name for sql in statements for before, token in pairwise(code_tokens(sql)))


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


@lru_cache(maxsize=4096)
def is_writing(sql: str) -> bool:
    """Return whether a statement writes, as far as its words say; an operation says the same ones again and again."""
    words = [token.text for token in code_tokens(sql)]
    return bool(words) and words[0] not in _ENDS and _writes(words)


def may_lock(statements: Iterable[str]) -> bool:
    """Return whether a transaction may have an id without having written rows: for locks of them, or for a sequence."""
    return any(pair in _LOCKS for sql in statements for pair in pairwise(token.text for token in code_tokens(sql)))


def _writes(words: list[str]) -> bool:
    """Return whether a statement writes; a query does by what its `with` holds. What its functions do is not seen."""
    inner = set(pairwise(words)) & {("(", "insert"), ("(", "update"), ("(", "delete"), ("(", "merge")}
    return bool(words) and (words[0] not in _READS or bool(inner))

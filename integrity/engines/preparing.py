"""Statements that a database is asked about before they are sent for good: whether it understands them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NotUnderstood:
    """Why a database does not understand a statement.

    Args:
        reason: in its own words.
        hint: of it, or empty.
        at: the offset in the statement that it points at; None: it points at none.
        is_syntax: it is no statement at all; else it names a schema, table or column that is not there.
    """

    reason: str
    hint: str
    at: int | None
    is_syntax: bool

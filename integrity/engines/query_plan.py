"""What a database says about how it answers a query: the indexes that it uses, and the tables that it reads through."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class QueryPlan:
    """A query's plan in short.

    Args:
        shape: its nodes from the top, e.g. "Limit > Index Scan Backward (conversations_recent_idx)".
        indexes: that it uses.
        scanned: tables that it reads from end to end -> how many rows one such scan read.
        is_bounded: those are rows that the tables have: the database does not say where a scan stopped.
    """

    shape: str
    indexes: frozenset[str]
    scanned: Mapping[str, int]
    is_bounded: bool = False

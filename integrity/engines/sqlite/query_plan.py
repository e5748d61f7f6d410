"""How SQLite says that it answers a query."""

from collections.abc import Mapping, Sequence
from typing import Any

from integrity.engines.query_plan import QueryPlan
from integrity.engines.snapshot import Reader
from integrity.sql.file import SqlFile


def read_plan(rows: Sequence[Mapping[str, Any]], counts: Mapping[str, int]) -> QueryPlan:
    """Return the plan of `explain query plan`.

    Args:
        counts: table -> its rows, as SQLite's plan does not say how many it reads.
    """
    details = [str(row["detail"]) for row in rows]
    indexes, scanned = set(), {}
    for detail in details:
        words = detail.split()
        if "INDEX" in words and words[words.index("INDEX") - 1] in ("USING", "COVERING"):
            indexes.add(words[words.index("INDEX") + 1])
        elif words[0] == "SCAN" and len(words) > 1 and words[1] in counts:
            scanned[words[1]] = counts[words[1]]
    return QueryPlan(" > ".join(details), frozenset(indexes), scanned)


def count_tables(session: Reader, query: SqlFile) -> dict[str, int]:
    """Return how many rows each table of the query has, by the names that a plan may call it."""
    from sqlglot import exp

    counts = {}
    for table in query.tree.find_all(exp.Table) if query.tree is not None else ():
        if table.db:
            (row,) = session.read(f'select count(*) as count from "{table.db}"."{table.name}"')
            counts[table.name] = counts[table.alias_or_name] = int(row["count"])
    return counts

"""What a database says about how it answers a query: the indexes that it uses, and the tables that it reads through."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class QueryPlan:
    """A query's plan in short.

    Args:
        shape: its nodes from the top, e.g. "Limit > Index Scan Backward (conversations_recent_idx)".
        indexes: that it uses.
        scanned: tables that it reads from end to end -> about how many rows that are.
    """

    shape: str
    indexes: frozenset[str]
    scanned: Mapping[str, int]


def read_postgresql_plan(rows: Sequence[Mapping[str, Any]]) -> QueryPlan:
    """Return the plan of `explain (analyze, format json)`."""
    (value,) = rows[0].values()
    top = (orjson.loads(value) if isinstance(value, str) else value)[0]["Plan"]
    nodes = list(_nodes(top))
    scanned = {
        f"{node.get('Schema', '')}.{node['Relation Name']}".lstrip("."): _rows_read(node)
        for node in nodes
        if node["Node Type"] == "Seq Scan"
    }
    return QueryPlan(
        shape=" > ".join(_shown(node) for node in nodes),
        indexes=frozenset(node["Index Name"] for node in nodes if "Index Name" in node),
        scanned=scanned,
    )


def read_sqlite_plan(rows: Sequence[Mapping[str, Any]], counts: Mapping[str, int]) -> QueryPlan:
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


def _nodes(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)


def _shown(node: Mapping[str, Any]) -> str:
    backward = " Backward" if node.get("Scan Direction") == "Backward" else ""
    what = node.get("Index Name") or node.get("Relation Name")
    return f"{node['Node Type']}{backward}{f' ({what})' if what else ''}"


def _rows_read(node: Mapping[str, Any]) -> int:
    """Return the rows that one scan read: those that it kept and those that it threw away."""
    kept, thrown_away = node.get("Actual Rows", node["Plan Rows"]), node.get("Rows Removed by Filter", 0)
    return round(float(kept) + float(thrown_away))

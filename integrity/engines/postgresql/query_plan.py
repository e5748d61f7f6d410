"""How PostgreSQL says that it answers a query."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from integrity.engines.query_plan import QueryPlan


def read_plan(rows: Sequence[Mapping[str, Any]]) -> QueryPlan:
    """Return the plan of `explain (analyze, format json)`."""
    (value,) = rows[0].values()
    top = (orjson.loads(value) if isinstance(value, str) else value)[0]["Plan"]
    nodes = list(_nodes(top))
    scanned: dict[str, int] = {}
    for node in nodes:
        if node["Node Type"] == "Seq Scan":
            table = f"{node.get('Schema', '')}.{node['Relation Name']}".lstrip(".")
            scanned[table] = max(scanned.get(table, 0), _rows_read(node))
    return QueryPlan(
        shape=" > ".join(_shown(node) for node in nodes),
        indexes=frozenset(node["Index Name"] for node in nodes if "Index Name" in node),
        scanned=scanned,
    )


def _nodes(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)


def _shown(node: Mapping[str, Any]) -> str:
    backward = " Backward" if node.get("Scan Direction") == "Backward" else ""
    what = node.get("Index Name") or node.get("Relation Name")
    return f"{node['Node Type']}{backward}{f' ({what})' if what else ''}"


def _rows_read(node: Mapping[str, Any]) -> int:
    """Return the rows that one scan read: those that it kept and those that it threw away.

    The plan counts them for a loop; processes that share a scan are a loop each of the same one.
    """
    kept, thrown_away = node.get("Actual Rows", node["Plan Rows"]), node.get("Rows Removed by Filter", 0)
    sharing = node.get("Actual Loops", 1) if node.get("Parallel Aware") else 1
    return round((float(kept) + float(thrown_away)) * sharing)

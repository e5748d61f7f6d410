"""Named queries as text and JSON: what there is, what was answered, and what an examination found."""

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from integrity.load.statistics import STATISTICS
from integrity.numbers import counted
from integrity.report.figures import NONE, explain_none
from integrity.report.layout import fold, lay_table
from integrity.report.values import row_table, show
from integrity.sql.file import SqlFile

if TYPE_CHECKING:
    from integrity.queries.examine import Examination

SHAPE_WIDTH = 70


def render_query_list(queries: Sequence[SqlFile]) -> str:
    """Return a table of queries."""
    rows = [
        [
            query.name,
            f"broken: {query.fault.splitlines()[0]}" if query.fault else query.title,
            ", ".join(f"{p.name}{'' if p.is_required else '?'}" for p in query.parameters) or "-",
            f"{query.limit_ms} ms" if query.limit_ms is not None else "-",
        ]
        for query in queries
    ]
    return lay_table(rows, ["query", "title", "parameters", "limit"])


def render_rows(rows: Sequence[dict[str, Any]], limit: int) -> str:
    """Return the rows of an answer."""
    if not rows:
        return "no rows"
    headers, cells = row_table(rows)
    text = lay_table(cells, headers)
    return f"{text}\nthe first {counted(limit, 'row')}; --limit N shows more" if len(rows) == limit else text


def encode_value(value: Any) -> int | str:
    """Return a value of an answer as JSON has it: sums are whole numbers, whatever the server calls them."""
    return int(value) if isinstance(value, Decimal) and value == value.to_integral_value() else str(value)


def render_examinations(examinations: "Sequence[Examination]", *, is_explained: bool) -> str:
    """Return a table of queries with their times and plans, and below it why one failed or is unknown.

    Args:
        is_explained: show whole plans below the table.
    """
    rows = [
        [
            each.state.value,
            each.query.name,
            _ms(each.median_ms),
            _ms(each.p95_ms) if each.asked >= STATISTICS["p95"].samples_least else NONE,
            f"{each.query.limit_ms} ms" if each.query.limit_ms is not None else "-",
            str(each.asked),
            f"{each.rows:,}",
            _served(each),
        ]
        for each in examinations
    ]
    headers = ["", "query", "median", "p95", "limit", "asked", "rows", "served by"]
    aligned = ("left", "left", "right", "right", "right", "right", "right", "left")
    blocks = [lay_table(rows, headers, align=aligned)]
    if note := explain_none(("p95",), [each.asked for each in examinations], of="askings"):
        blocks.append(fold(note))
    blocks += [f"{each.query.name}: {reason}" for each in examinations for reason in each.reasons]
    if is_explained:
        blocks += [f"{each.query.name}\n  {each.plan.shape}" for each in examinations if each.plan]
    return "\n\n".join(blocks)


def examination_fields(examinations: "Sequence[Examination]") -> dict[str, Any]:
    """Return what an examination found, for programs."""
    records = [
        {
            "query": each.query.name,
            "state": each.state.value,
            "asked": each.asked,
            "rows": each.rows,
            "median_ms": _rounded(each.median_ms),
            "p95_ms": _rounded(each.p95_ms),
            "limit_ms": each.query.limit_ms,
            "indexes_asked_for": list(each.query.indexes),
            "indexes_used": sorted(each.plan.indexes) if each.plan else None,
            "scanned": dict(each.plan.scanned) if each.plan else None,
            "plan": each.plan.shape if each.plan else None,
            "reasons": list(each.reasons),
        }
        for each in examinations
    ]
    return {"queries": records}


def _served(each: "Examination") -> str:
    if each.plan is None:
        return "-"
    parts = sorted(each.plan.indexes)
    parts += [f"sequential scan of {table} ({count:,})" for table, count in each.plan.scanned.items()]
    return show(", ".join(parts) or each.plan.shape, width=SHAPE_WIDTH)


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} ms"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)

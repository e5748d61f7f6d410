"""What a run asked of outside services, as text: their answers and times, and the operations' own time without them."""

from collections.abc import Iterator

from integrity.report.figures import explain_none, show_ms, show_statistic
from integrity.report.layout import fold, lay_table
from integrity.runs.result import DependencyResult, OwnTimeResult, RunResult

PERCENTILES = ("p50", "p95", "p99")
TIMES = ("p50 ms", "p95 ms", "p99 ms", "max ms")


def render_dependencies(result: RunResult) -> Iterator[str]:
    """Yield the two tables; none of a run that asked no service."""
    tables = []
    if result.dependencies:
        rows = [
            [
                f"{each.service} {each.asked}".rstrip(),
                each.requests,
                each.answered,
                *_times(each, each.answered),
                ", ".join(f"{count} {kind}" for kind, count in each.answers.items()),
            ]
            for each in result.dependencies
        ]
        headers = ["dependency", "requests", "answered", *TIMES, "answers"]
        tables.append(lay_table(rows, headers, align=("left", *("right",) * (2 + len(TIMES)), "left")))
    if result.own:
        rows = [[each.operation, each.count, *_times(each, each.count)] for each in result.own]
        headers = ["without its dependencies", "answered", *TIMES]
        tables.append(lay_table(rows, headers, align=("left", *("right",) * (1 + len(TIMES)))))
    yield from tables
    samples = [*(each.answered for each in result.dependencies), *(each.count for each in result.own)]
    note = explain_none(PERCENTILES, samples)
    if note and not explain_none(PERCENTILES, [row.ok + row.declined for row in result.operations]):
        yield fold(note)


def _times(record: DependencyResult | OwnTimeResult, samples: int) -> list[str]:
    shown = [show_statistic(name, getattr(record, f"{name}_ms"), samples) for name in PERCENTILES]
    return [*shown, show_ms(record.max_ms)]

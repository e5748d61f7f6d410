"""A run broken down, as text: by groups of operations, by what was asked of outside services, by what its time was."""

from collections.abc import Iterator, Sequence

from integrity.report.figures import explain_none, show_ms, show_number, show_share, show_statistic
from integrity.report.layout import fold, lay_table
from integrity.runs.percentiles import Percentiles
from integrity.runs.result import RunResult, TimesResult

PERCENTILES = ("p50", "p95", "p99")
TIMES = ("p50 ms", "p95 ms", "p99 ms", "max ms")


def render_breakdown(result: RunResult) -> Iterator[str]:
    """Yield a table for each; none of a run that has nothing to say to it."""
    if result.groups:
        yield _groups(result)
    if result.dependencies:
        yield _dependencies(result)
    if result.own:
        yield _parts("without its dependencies", "answered", result.own)
    if result.writes:
        yield _parts("until a write was committed", "commits", result.writes)
    samples = [*(each.answered for each in result.dependencies), *(each.count for each in (*result.own, *result.writes))]
    note = explain_none(PERCENTILES, samples)
    if note and not explain_none(PERCENTILES, [row.ok + row.declined for row in result.operations]):
        yield fold(note)


def _groups(result: RunResult) -> str:
    rows = [
        [
            each.group,
            show_number(each.calls),
            show_number(each.unavailable + each.failed + each.unknown - each.abandoned),
            "" if each.failure_share is None else show_share(each.failure_share),
            *_times(each, each.ok + each.declined, each.max_ms),
        ]
        for each in result.groups
    ]
    headers = ["group", "invocations", "failures", "share", *TIMES]
    return lay_table(rows, headers, align=("left", *("right",) * (len(headers) - 1)))


def _dependencies(result: RunResult) -> str:
    rows = [
        [
            f"{each.service} {each.asked}".rstrip(),
            each.requests,
            each.answered,
            *_times(each, each.answered, each.max_ms),
            ", ".join(f"{count} {kind}" for kind, count in each.answers.items()),
        ]
        for each in result.dependencies
    ]
    headers = ["dependency", "requests", "answered", *TIMES, "answers"]
    return lay_table(rows, headers, align=("left", *("right",) * (2 + len(TIMES)), "left"))


def _parts(title: str, counted: str, parts: Sequence[TimesResult]) -> str:
    rows = [[each.operation, each.count, *_times(each, each.count, each.max_ms)] for each in parts]
    return lay_table(rows, [title, counted, *TIMES], align=("left", *("right",) * (1 + len(TIMES))))


def _times(record: Percentiles, samples: int, max_ms: float | None) -> list[str]:
    return [*(show_statistic(name, getattr(record, f"{name}_ms"), samples) for name in PERCENTILES), show_ms(max_ms)]

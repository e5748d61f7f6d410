"""An audit as text for a terminal: a table of what is amiss, each with its rows or its reason, then one sentence.

What is violated comes first, and what holds is a count.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from integrity.events import InvariantJudged
from integrity.numbers import counted
from integrity.report.audit_report import AuditReport
from integrity.report.layout import fold, lay_table, terminal_width
from integrity.report.values import CALLS_SHOWN, call_table, printable, row_table, show
from integrity.sql.file import SqlFile, printable_path
from integrity.sql.header import Parameter
from integrity.sql.name import literal
from integrity.verdict import Severity, Verdict

if TYPE_CHECKING:
    from integrity.invariants.plan import Plan

TITLE_WIDTH = 72


def render_text(report: AuditReport, *, is_verbose: bool = False) -> str:
    """Return the report as text.

    Args:
        is_verbose: list also what holds and what had nothing to judge; else they are counted.
    """
    listed = report.worst_first if is_verbose else report.amiss
    blocks = [_verdicts(listed)] if listed else []
    blocks += [fold(report.rest)] if report.rest and not is_verbose else []
    blocks += [_unknown(each) if each.finding.verdict is Verdict.UNKNOWN else _violation(each) for each in report.amiss]
    place = f"{report.moment}, in {report.finished.seconds:.1f} s:\n{fold(f'  {report.started.consistency}')}"
    blocks.append(f"{place}\n{fold(f'{report.caution}{report.sentence}')}")
    return "\n\n".join(blocks)


def render_plan(plan: "Plan") -> str:
    """Return a plan as text: how each invariant would be judged, and the scans that are shared."""
    steps = [
        [
            step.name,
            "unknown" if step.unjudged else step.method(plan.scans),
            ", ".join(str(number + 1) for number in sorted(step.scans)),
            _first_line(step.why),
        ]
        for step in plan.steps
    ]
    scans = [
        [scan.number + 1, show(str(scan.source), width=TITLE_WIDTH), len(scan.answers), len(scan.invariants)]
        for scan in plan.scans
    ]
    text = _table(["invariant", "method", "scans", "why"], steps)
    if scans:
        text += "\n\n" + _table(["scan", "reads once", "columns", "invariants"], scans)
    return text


def render_catalogue(files: Sequence[SqlFile]) -> str:
    """Return a table of invariants."""
    rows = [
        [printable(file.name), file.severity, f"broken: {_first_line(file.fault)}" if file.fault else printable(file.title)]
        for file in files
    ]
    return _table(["invariant", "severity", "title"], rows)


def render_invariant(file: SqlFile) -> str:
    """Return one invariant: its header and its query; of a file that cannot be used, why."""
    if file.fault:
        lines = [printable(file.name), "  broken: its verdict is unknown", f"  file: {printable_path(file.path)}", ""]
        return "\n".join([*lines, *(printable(line) for line in file.fault.splitlines())])
    fields = [("severity", file.severity), ("source", file.source), ("why", file.why), ("hint", file.hint)]
    lines = [file.name, f"  {file.title}"]
    lines += [f"  {name}: {value}" for name, value in fields if value]
    lines += [
        f"  parameter: {parameter.name} {parameter.type}{' (required)' if parameter.is_required else _default(parameter)}"
        for parameter in file.parameters
    ]
    lines += [] if file.tree is not None else ["  plan: asked as it stands: the parser does not know this query"]
    return "\n".join([*map(fold, lines), f"  file: {printable_path(file.path)}", "", file.query])


def _first_line(text: str) -> str:
    return printable((text.splitlines() or [""])[0])


def _default(parameter: Parameter) -> str:
    """Return its default as a header says it."""
    value = parameter.default
    if isinstance(value, str):
        return f" = {literal(value)}"
    return f" = {'null' if value is None else str(value).lower() if isinstance(value, bool) else value}"


def _verdicts(listed: Sequence[InvariantJudged]) -> str:
    rows = [
        [
            judged.finding.verdict.words,
            printable(judged.finding.name),
            judged.severity if judged.severity is Severity.WARNING else "",
            f"{judged.finding.violation_count:,}" if judged.finding.verdict is Verdict.VIOLATED else "",
            judged.finding.method,
            f"{judged.finding.seconds:.2f}",
        ]
        for judged in listed
    ]
    headers = ["verdict", "invariant", "severity", "rows", "method", "seconds"]
    if not any(row[2] for row in rows):
        headers.remove("severity")
        rows = [[*row[:2], *row[3:]] for row in rows]
    numbers = {"rows", "seconds"}
    return lay_table(
        rows,
        headers,
        align=["right" if header in numbers else "left" for header in headers],
        spare=("seconds", "method"),  # JSON has them
    )


def _unknown(judged: InvariantJudged) -> str:
    reason = [printable(line) for line in judged.finding.reason.splitlines()]
    return "\n".join([f"unknown  {judged.finding.name}", *(fold(f"  {line}") for line in reason)])


def _violation(judged: InvariantJudged) -> str:
    finding = judged.finding
    lines = [
        f"violated  {finding.name}  {judged.severity}  {counted(finding.violation_count, 'row')}",
        fold(f"  {printable(judged.title)}"),
    ]
    if judged.why:
        lines.append(fold(f"  why it matters: {printable(judged.why)}"))
    if finding.rows:
        shown, total = len(finding.rows), finding.violation_count
        lines += ["", *([f"  the first {shown} of {total:,}:"] if shown < total else [])]
        headers, cells = row_table(finding.rows)
        lines.append(lay_table(cells, headers, indent="  "))
    elif finding.reason:
        lines += ["", f"  {printable(finding.reason)}"]
    lines += _calls(judged)
    if judged.hint:
        lines += ["", fold(f"  look for: {printable(judged.hint)}")]
    return "\n".join(lines)


def _calls(judged: InvariantJudged) -> Iterator[str]:
    if not judged.calls:
        return
    yield ""
    many = len(judged.calls) > CALLS_SHOWN
    yield f"  calls of these operations{f', {CALLS_SHOWN} of {len(judged.calls)}' if many else ''}:"
    headers, cells = call_table(judged.calls)
    table = lay_table(cells, headers, indent="  ", width=_WHOLE)
    if max(map(len, table.splitlines())) <= terminal_width():
        yield table
    else:  # in bands, ids of 36 letters would stand there three times
        yield from (_call(dict(zip(headers, row, strict=True))) for row in cells)


_WHOLE = 1000
"""Letters that every table of calls fits in: a cell has 60 at most."""


def _call(call: Mapping[str, str]) -> str:
    """Return a call in lines of its own."""
    until = "no return" if call["returned_at"] == "null" else f"to {call['returned_at']}"
    lines = [
        f"  {call['operation_id']}  {call['operation']}  {call['outcome']}",
        f"    client {call['client']}, {call['invoked_at']} {until}",
        f"    {call['arguments']}",
    ]
    return "\n".join(map(fold, lines))


def _table(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    return lay_table(rows, headers)

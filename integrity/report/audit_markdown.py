"""An audit as Markdown: for a pull request's comment or a chat."""

import re
from collections.abc import Sequence

from integrity.events import InvariantJudged
from integrity.numbers import counted
from integrity.report.audit_report import AuditReport
from integrity.report.terminal import visible
from integrity.report.values import call_table, row_table
from integrity.verdict import Severity, Verdict

_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+\-.!|~<>&@:$=])")


def render_markdown(report: AuditReport) -> str:
    """Return the report as Markdown."""
    verdicts = _table(
        ["verdict", "invariant", "rows", "method"],
        [
            [
                judged.finding.verdict.words,
                judged.finding.name,
                f"{judged.finding.violation_count:,}" if judged.finding.verdict is Verdict.VIOLATED else "",
                judged.finding.method,
            ]
            for judged in report.judged
        ],
    )
    places = [_escape(line) for line in (report.place, *report.caution.splitlines())]
    blocks = ["# Data integrity", _escape(report.sentence), *places, verdicts]
    for judged in report.of(Verdict.VIOLATED):
        blocks += _violation(judged)
    for judged in report.of(Verdict.UNKNOWN):
        blocks += [f"## Unknown: {_escape(judged.finding.name)}", _escape(" ".join(judged.finding.reason.split()))]
    return "\n\n".join(blocks) + "\n"


def _violation(judged: InvariantJudged) -> list[str]:
    finding = judged.finding
    warning = " (warning)" if judged.severity is Severity.WARNING else ""
    blocks = [
        f"## Violated{warning}: {_escape(finding.name)}",
        f"{_escape(judged.title)}: {counted(finding.violation_count, 'row')}",
    ]
    blocks += [_escape(judged.why)] if judged.why else []
    blocks += [_table(*row_table(finding.rows))] if finding.rows else []
    blocks += [_escape(finding.reason)] if finding.reason else []
    blocks += ["Calls of these operations:", _table(*call_table(judged.calls))] if judged.calls else []
    return [*blocks, f"Look for: {_escape(judged.hint)}"] if judged.hint else blocks


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headers, ["---"] * len(headers)]
    text = ["| " + " | ".join(_escape(cell) for cell in lines[0]) + " |", "| " + " | ".join(lines[1]) + " |"]
    return "\n".join([*text, *("| " + " | ".join(_escape(cell) for cell in row) + " |" for row in rows)])


def _escape(text: str) -> str:
    """Return the text so that none of it is markup, a link or a formula."""
    return _SPECIAL.sub(r"\\\1", visible(" ".join(text.split("\n"))))

"""An audit as Markdown: for a pull request's comment or a chat, and to be read as it stands."""

import re
from collections.abc import Sequence

from integrity.events import InvariantJudged
from integrity.numbers import counted
from integrity.report.audit_report import AuditReport
from integrity.report.terminal import visible
from integrity.report.values import call_table, row_table
from integrity.verdict import Severity, Verdict


def render_markdown(report: AuditReport, *, is_verbose: bool = False) -> str:
    """Return the report as Markdown.

    Args:
        is_verbose: list also what holds and what had nothing to judge; else they are counted.
    """
    listed = report.worst_first if is_verbose else report.amiss
    verdicts = _table(
        ["verdict", "invariant", "rows", "method"],
        [
            [
                judged.finding.verdict.words,
                judged.finding.name,
                f"{judged.finding.violation_count:,}" if judged.finding.verdict is Verdict.VIOLATED else "",
                judged.finding.method,
            ]
            for judged in listed
        ],
    )
    places = [_line(line) for line in (report.place, *report.caution.splitlines())]
    blocks = ["# Data integrity", _line(report.sentence), *places, *([verdicts] if listed else [])]
    blocks += [_line(report.rest)] if report.rest and not is_verbose else []
    for judged in report.amiss:
        blocks += _unknown(judged) if judged.finding.verdict is Verdict.UNKNOWN else _violation(judged)
    return "\n\n".join(blocks) + "\n"


def _unknown(judged: InvariantJudged) -> list[str]:
    return [f"## Unknown: {_inline(judged.finding.name)}", _verbatim(judged.finding.reason)]


def _violation(judged: InvariantJudged) -> list[str]:
    finding = judged.finding
    warning = " (warning)" if judged.severity is Severity.WARNING else ""
    blocks = [
        f"## Violated{warning}: {_inline(finding.name)}",
        _line(f"{judged.title}: {counted(finding.violation_count, 'row')}"),
    ]
    blocks += [_line(judged.why)] if judged.why else []
    blocks += [_table(*row_table(finding.rows))] if finding.rows else []
    blocks += [_line(finding.reason)] if finding.reason else []
    blocks += ["Calls of these operations:", _table(*call_table(judged.calls))] if judged.calls else []
    return [*blocks, _line(f"Look for: {judged.hint}")] if judged.hint else blocks


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table whose columns are as wide in the text as when it is shown."""
    lines = [[_inline(cell) for cell in row] for row in (headers, *rows)]
    widths = [max(3, *(len(line[n]) for line in lines)) for n in range(len(headers))]
    lines.insert(1, ["-" * width for width in widths])
    padded = ([cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in padded)


def _verbatim(text: str) -> str:
    """Return lines as they stand, a place in SQL with the caret below it; one line alone is a sentence."""
    lines = [visible(line) for line in text.splitlines()]
    if len(lines) < 2:
        return _line(text)
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return "\n".join((fence, *lines, fence))


def _line(text: str) -> str:
    """Return a paragraph that is none but that: no heading, no list, no quotation."""
    return _BLOCK.sub(r"\g<0>\\", _inline(text).strip())


def _inline(text: str) -> str:
    r"""Return the text so that none of it is markup, a link or a formula, and all else stands as it is.

    A character is escaped where it would mean something there: account_id, 10:30 and [1,2) do not.
    """
    return _MEANING.sub(r"\\\g<0>", visible(" ".join(text.splitlines())))


_MEANING = re.compile(
    r"""[`*|~$]                          # code, emphasis, a cell's end, struck out, a formula
    | (?<![^\W_])_ | _(?![^\W_])         # emphasis, but for one within a word
    | <(?=[A-Za-z/!?])                   # HTML, and a link in angle brackets
    | &(?=\#?\w+;)                       # an entity
    | \](?=[(\[:])                       # a link, and what defines one
    | :(?=//) | (?<=www)\. | @(?=\w)     # a link without brackets, an address, a person's name
    | \#(?=\#*\s*$)                    # the end of a heading
    | \\(?=[!-/:-@\[-`{-~]|$)            # an escape
    """,
    re.VERBOSE,
)
_BLOCK = re.compile(r"^(?:\d{1,9}(?=[.)](?:\s|$))|(?=\#{1,6}(?:\s|$)|[-+](?:\s|$)|>|-{3,}\s*$))")

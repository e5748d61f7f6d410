"""An audit as JUnit XML: one testcase an invariant, its system the classname.

Violated is a failure with its rows, unknown an error with its reason, nothing to judge skipped. A violated warning passes,
with its rows as output, as it leaves the exit code alone. What the role could do beside reading is a property, and output.
"""

import re
from xml.etree import ElementTree

from integrity.events import InvariantJudged
from integrity.numbers import counted
from integrity.report.audit_report import AuditReport
from integrity.report.values import row_table
from integrity.verdict import Severity, Verdict

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render_junit(report: AuditReport) -> str:
    """Return the report as JUnit XML."""
    cases = [_case(judged) for judged in report.judged]
    counts = {
        "tests": str(len(cases)),
        "failures": str(sum(case.find("failure") is not None for case in cases)),
        "errors": str(sum(case.find("error") is not None for case in cases)),
        "skipped": str(sum(case.find("skipped") is not None for case in cases)),
        "time": f"{report.finished.seconds:.3f}",
    }
    suites = ElementTree.Element("testsuites", {"name": "integrity", **counts})
    timestamp = report.started.taken_at.strftime("%Y-%m-%dT%H:%M:%S")
    suite = ElementTree.SubElement(suites, "testsuite", {"name": "integrity validate", "timestamp": timestamp, **counts})
    properties = ElementTree.SubElement(suite, "properties")
    started = report.started
    said = {"database": started.target, "consistency": started.consistency, "caution": started.caution}
    for name, value in said.items():
        if value:
            ElementTree.SubElement(properties, "property", {"name": name, "value": _clean(value)})
    suite.extend(cases)
    if report.caution:  # many readers of JUnit show no properties
        ElementTree.SubElement(suite, "system-out").text = _clean(report.caution)
    ElementTree.indent(suites)
    return ElementTree.tostring(suites, encoding="unicode", xml_declaration=True)


def _case(judged: InvariantJudged) -> ElementTree.Element:
    finding = judged.finding
    system, _, name = finding.name.rpartition("/")
    attributes = {"classname": _clean(system or "project"), "name": _clean(name), "time": f"{finding.seconds:.3f}"}
    case = ElementTree.Element("testcase", attributes)
    if finding.verdict is Verdict.UNKNOWN:
        first_line = (finding.reason.splitlines() or [""])[0]
        error = ElementTree.SubElement(case, "error", {"type": "unknown", "message": _clean(first_line)})
        error.text = _clean(finding.reason)
    elif finding.verdict is Verdict.EMPTY:
        ElementTree.SubElement(case, "skipped", {"message": _clean(f"{finding.verdict.words}: {finding.reason}")})
    elif finding.verdict is Verdict.VIOLATED and judged.severity is Severity.WARNING:
        ElementTree.SubElement(case, "system-out").text = _clean(f"{judged.title}\n{_rows(judged)}")
    elif finding.verdict is Verdict.VIOLATED:
        message = _clean(f"{judged.title}: {counted(finding.violation_count, 'row')}")
        ElementTree.SubElement(case, "failure", {"type": judged.severity, "message": message}).text = _clean(_rows(judged))
    return case


def _rows(judged: InvariantJudged) -> str:
    headers, rows = row_table(judged.finding.rows)
    lines = ["  ".join(f"{header}={cell}" for header, cell in zip(headers, row, strict=True)) for row in rows]
    more = judged.finding.violation_count - len(rows)
    lines += [judged.finding.reason] if judged.finding.reason else []
    lines += [f"and {counted(more, 'row')} more"] if more > 0 and rows else []
    lines += [text for text in (judged.why, f"look for: {judged.hint}" if judged.hint else "") if text]
    return "\n".join(lines)


def _clean(text: str) -> str:
    """Return the text without the characters that XML cannot hold, however they are escaped."""
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)

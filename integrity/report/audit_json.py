"""An audit as JSON: for programs, and as verdicts.json in a run's folder."""

from datetime import datetime
from typing import Any

import orjson

from integrity.events import InvariantJudged
from integrity.report.audit_report import AuditReport
from integrity.runs.verdicts import JudgedInvariant, Verdicts
from integrity.sql.file import SqlFile, printable_path
from integrity.sql.header import Moment
from integrity.value import Value
from integrity.verdict import Verdict


def render_json(report: AuditReport) -> str:
    """Return the report as JSON; a run's folder keeps the same."""
    return _dump(
        Verdicts(
            target=report.started.target,
            taken_at=report.started.taken_at.isoformat(),
            consistency=report.started.consistency,
            caution=report.started.caution,
            seconds=round(report.finished.seconds, 3),
            sentence=report.sentence,
            exit_code=report.exit_code,
            counts={verdict: len(report.of(verdict)) for verdict in Verdict},
            invariants=tuple(map(_invariant, report.judged)),
        )
    )


def catalogue_fields(files: list[SqlFile]) -> dict[str, Any]:
    """Return invariants with their headers, for programs."""
    return {"invariants": [_file(file) for file in files]}


def invariant_fields(file: SqlFile) -> dict[str, Any]:
    """Return one invariant with its query, for programs."""
    return {**_file(file), "query": file.query}


def _invariant(judged: InvariantJudged) -> JudgedInvariant:
    finding = judged.finding
    return JudgedInvariant(
        name=finding.name,
        verdict=finding.verdict,
        severity=judged.severity,
        title=judged.title,
        source=judged.source,
        why=judged.why,
        hint=judged.hint,
        path=judged.path,
        violation_count=finding.violation_count,
        rows=[dict(row) for row in finding.rows],
        method=finding.method,
        seconds=round(finding.seconds, 6),
        reason=finding.reason,
        rows_estimate=judged.rows_estimate,
        operation_count=judged.operation_count,
        calls=[dict(call) for call in judged.calls],
    )


def _file(file: SqlFile) -> dict[str, Any]:
    return {
        "name": file.name,
        "title": file.title,
        "severity": file.severity,
        "source": file.source,
        "why": file.why,
        "hint": file.hint,
        "path": printable_path(file.path),
        "fault": file.fault,
        "parameters": [
            {
                "name": parameter.name,
                "type": parameter.type,
                "is_required": parameter.is_required,
                "default": _default(parameter.default),
            }
            for parameter in file.parameters
        ],
    }


def _default(value: Value | Moment) -> object:
    """Return a default; as text where a reader of numbers would lose digits, or there is no such thing in JSON."""
    is_plain = isinstance(value, str | bool | None) or (isinstance(value, int) and -(2**63) <= value < 2**63)
    return value if is_plain else str(value)


def _dump(value: object) -> str:
    return orjson.dumps(value, default=_plain, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS).decode()


def _plain(value: object) -> object:
    """Return what orjson cannot write as text."""
    return value.isoformat() if isinstance(value, datetime) else str(value)

"""The formats of an audit's report: a listener renders it in the one that was asked for, and prints it or writes a file."""

from pathlib import Path

from integrity.errors import UsageError
from integrity.events import Event, Listener
from integrity.report.audit_report import AuditReport, Reported
from integrity.report.terminal import write_json_text, write_result

FORMATS = ("table", "json", "junit", "markdown")


def publisher(format_name: str, output: Path | None = None) -> Listener:
    """Return what publishes the report of an audit as soon as it is whole.

    Args:
        format_name: one of FORMATS.
        output: the file to write it to; its sentence alone is printed then.
    """

    def publish(event: Event) -> None:
        if isinstance(event, Reported):
            _publish(event.report, format_name, output)

    return publish


def _publish(report: AuditReport, format_name: str, output: Path | None) -> None:
    text = _render(report, format_name).rstrip("\n")
    if output is None:
        if format_name == "json":
            write_json_text(text)
        else:  # the others are documents, for programs or for pages
            write_result(text, is_verbatim=format_name != "table")
        return
    try:
        output.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"{output}: cannot be written: {error.strerror}", hint="Name another file with --output."
        ) from None
    write_result(report.sentence)


def _render(report: AuditReport, format_name: str) -> str:
    """Return the report in that format; of the others nothing is imported."""
    match format_name:
        case "json":
            from integrity.report.audit_json import render_json as render
        case "junit":
            from integrity.report.audit_junit import render_junit as render
        case "markdown":
            from integrity.report.audit_markdown import render_markdown as render
        case _:
            from integrity.report.audit_text import render_text as render
    return render(report)

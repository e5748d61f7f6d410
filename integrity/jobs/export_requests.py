"""A finding of requests as tests: one that asks the application again and, where its statements show it, one without it."""

from pathlib import Path

from integrity.errors import UsageError
from integrity.events import FileWritten, Job, Noted
from integrity.jobs.findings import NotWritten
from integrity.jobs.site import Site
from integrity.race.export.replay_test import write_replay_test
from integrity.race.export.sealed import InTheWay, check_unedited
from integrity.race.export.statements_export import export_statements, schemas_of
from integrity.race.finding.finding import Finding
from integrity.systems.reflect import reflect

ALONE = "_statements"
"""Behind the name of the test that needs no application."""


def check_unedited_of_requests(pytest_file: Path) -> None:
    """Make sure that neither test is one that somebody has edited.

    Raises:
        InTheWay: one is.
    """
    check_unedited(pytest_file)
    check_unedited(alone_beside(pytest_file))


def alone_beside(pytest_file: Path) -> Path:
    """Return the path of the test that needs no application."""
    return pytest_file.with_name(f"{pytest_file.stem}{ALONE}.py")


def export_requests(site: Site, finding: Finding, pytest_file: Path, *, replay_command: str) -> Job[None]:
    """Write the tests; say why where the second cannot be.

    Raises:
        UsageError: a path cannot be a test's, or cannot be written.
    """
    try:
        beside = write_replay_test(finding, pytest_file, replay_command=replay_command)
    except InTheWay as error:
        yield NotWritten(f"{pytest_file} was not written: {error.message}", pytest_file)
    else:
        yield FileWritten((pytest_file, beside))
    assert finding.scenario is not None
    alone = alone_beside(pytest_file)
    try:
        script = export_statements(
            site.stand.scheduler,
            site.program(finding.scenario.kept or None),
            finding,
            alone,
            metadata=reflect(site.place, schemas_of(finding)),
            replay_command=replay_command,
            secrets=site.secrets,
        )
    except UsageError as error:
        yield Noted(f"no test without the application was written: {error.message}")
        return
    yield FileWritten((alone, script))

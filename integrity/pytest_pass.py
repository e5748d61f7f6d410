"""A pass of a whole suite, for `pytest --integrity-race`: recorded test by test, and raced behind the last one.

It is opened before the suite's own code is imported, which then finds our proxy at DATABASE_URL and by libpq's variables.
In a process that `integrity race --learn -- pytest` has started, only which test is at work is noted: the rest is done
there.
"""

import os
from contextlib import ExitStack
from pathlib import Path

import pytest

from integrity.engines.target import Target
from integrity.errors import AuditError, UsageError
from integrity.events import listen
from integrity.jobs.database_of_tests import database_of_tests
from integrity.jobs.learn_pass import learn_pass
from integrity.jobs.pass_recording import CALL, TESTS_VARIABLE, Recorded, note_moment, recording
from integrity.jobs.request_race import RequestRace
from integrity.project import Project, find_project
from integrity.race.learned_pass import LearnedPass, Outcome
from integrity.report.learned_pass_text import render_pass
from integrity.report.progress import write_notes


class TestNotes:
    """Notes which test is at work."""

    __test__ = False

    def __init__(self, tests: Path) -> None:
        self._tests = tests

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Its fixtures are made."""
        note_moment(self._tests, "setup", item.nodeid)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> None:
        """Its body runs."""
        note_moment(self._tests, CALL, item.nodeid)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> None:
        """Its fixtures are unmade."""
        note_moment(self._tests, "teardown", item.nodeid)


class RacedPass(TestNotes):
    """Records a suite, and races what it did.

    Args:
        stack: that ends the recording.
        before: variables of the environment as they were.
    """

    def __init__(
        self, recorded: Recorded, origin: Target, project: Project, stack: ExitStack, before: dict[str, str | None]
    ) -> None:
        super().__init__(recorded.tests)
        self._recorded, self._origin, self._project, self._stack, self._before = recorded, origin, project, stack, before
        self._learned: LearnedPass | None = None
        self._failure = ""

    def end(self) -> None:
        """End the recording, and give the environment back."""
        self._stack.close()
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        self._before = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Race what was recorded."""
        self.end()
        if exitstatus not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            return
        far = RequestRace(seconds=session.config.getoption("--integrity-race-budget"))
        try:
            self._learned = listen(learn_pass(self._recorded, self._origin, self._project, far), write_notes)
        except AuditError as error:
            self._failure = str(error)
            session.exitstatus = pytest.ExitCode.USAGE_ERROR
            return
        if any(each.outcome is Outcome.WRONG for each in self._learned.pairs):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Tell what came of it."""
        if self._learned is not None or self._failure:
            terminalreporter.section("integrity race")
            terminalreporter.write_line(self._failure or render_pass(self._learned))  # type: ignore[arg-type]

    def pytest_unconfigure(self) -> None:
        """Drop the copy also where no session came about."""
        self.end()


def open_pass(config: pytest.Config, *, is_asked: bool) -> TestNotes:
    """Return what notes, or records and races, a suite whose code is not imported yet."""
    if not is_asked:
        return TestNotes(Path(os.environ[TESTS_VARIABLE]))
    stack = ExitStack()
    try:
        if getattr(config.known_args_namespace, "numprocesses", None):
            raise UsageError(
                "--integrity-race records one serial pass, and -n runs tests side by side", hint="Leave -n out: -n 0."
            )
        project = find_project(Path(config.rootpath))
        origin = Target.parse(database_of_tests(project, config.getini("integrity_database")))
        recorded = stack.enter_context(recording(origin))
    except AuditError as error:
        stack.close()
        raise pytest.UsageError(str(error)) from None
    before = {name: os.environ.get(name) for name in recorded.environment}
    os.environ.update(recorded.environment)
    return RacedPass(recorded, origin, project, stack, before)

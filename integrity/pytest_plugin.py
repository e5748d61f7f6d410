"""The fixture `race` for pytest: two calls in, the shortest order of their statements that goes wrong out.

def test_two_payments(race):
    race.sqlalchemy(engine)                       # or let what is called connect to race.url
    race(pay, pay).holds()

@pytest.mark.race                                 # or the body of the test itself, as two calls of it
def test_payment():
    pay(connect(os.environ["DATABASE_URL"]))

With `pytest --integrity-race` the transactions of a whole suite are recorded, and raced behind it (pytest_pass.py).
"""

import os
import sys
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from functools import wraps
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

_TESTS_VARIABLE = "INTEGRITY_RACE_TESTS"  # as jobs/pass_recording.py has it, which is not imported for every suite

if TYPE_CHECKING:
    from integrity.jobs.race_calls import CallRace


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a project say on which database its tests race."""
    parser.addini("integrity_database", "URL of the database that races are played on", default="")
    parser.addini("integrity_test_database", "its name, if it holds tables and may be changed all the same", default="")
    group = parser.getgroup("integrity")
    group.addoption(
        "--integrity-race",
        action="store_true",
        help="Record each test's transactions, on a copy of the database, and race those that meet behind the last test.",
    )
    group.addoption(
        "--integrity-race-budget", metavar="DURATION", default="60s", help="For the races; default: 60s.", type=_duration
    )


def _duration(text: str) -> float:
    from argparse import ArgumentTypeError

    from integrity.numbers import read_duration

    try:
        return read_duration(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Stand between a suite and its database before any of its code is imported."""
    is_asked = early_config.known_args_namespace.integrity_race
    if is_asked or _TESTS_VARIABLE in os.environ:
        from integrity import pytest_pass

        early_config.pluginmanager.register(pytest_pass.open_pass(early_config, is_asked=is_asked), "integrity-pass")


def pytest_configure(config: pytest.Config) -> None:
    """Say what the mark is."""
    said = (
        'race(count=2, exactly_one=False, replay=""): the body of the test is a call, and so many of them race each other; '
        "with the token of a schedule that was found, that one is played again"
    )
    config.addinivalue_line("markers", said)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Give a test that is marked the race, before all else that it asks for."""
    if isinstance(item, pytest.Function) and item.get_closest_marker("race") is not None:
        item.fixturenames[:] = ["race", *(name for name in item.fixturenames if name != "race")]


@dataclass(frozen=True, slots=True)
class _Crash:
    """What pytest's summary says of a failure."""

    message: str


@dataclass(frozen=True, slots=True)
class _Told:
    """A failure as pytest prints it: where the test asked, and what came of it, without our own source around it."""

    text: str
    reprcrash: _Crash

    def __str__(self) -> str:
        return self.text

    def toterminal(self, writer: Any) -> None:
        """Write it."""
        writer.line(self.text)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: "pytest.CallInfo[Any]"
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what a race came to as the text that it is."""
    from integrity.report.layout import fold

    report = yield
    raced = sys.modules.get("integrity.jobs.calls_raced")  # what was not imported was not raised
    if raced is not None and call.excinfo is not None and isinstance(call.excinfo.value, raced.NotHeld):
        own = str(Path(__file__).parent)
        asked = next((each for each in reversed(call.excinfo.traceback) if not str(each.path).startswith(own)), None)
        ours = asked is None or "site-packages" in str(asked.path)
        place = item.location[0] if asked is None or ours else f"{os.path.relpath(asked.path)}:{asked.lineno + 1}"
        lines = str(call.excinfo.value).splitlines()
        told = "\n".join(line if line.startswith(raced.KEPT) else fold(line) for line in lines)
        report.longrepr = _Told(f"{place}: NotHeld\n{told}", _Crash(f"NotHeld: {told}"))  # type: ignore[assignment]
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Race the body of a test that is marked; what it must come to is that it holds."""
    mark = pyfuncitem.get_closest_marker("race")
    if mark is None:
        return None
    from integrity.errors import AuditError

    try:
        _race_body(pyfuncitem, *mark.args, **mark.kwargs)
    except AuditError as error:
        pytest.fail(str(error), pytrace=False)
    return True


def _race_body(test: pytest.Function, count: int = 2, *, exactly_one: bool = False, replay: str = "") -> None:
    from integrity.jobs.race_calls import CallRace
    from integrity.scenarios.app import database_environment

    race = test.funcargs["race"]
    if not isinstance(race, CallRace):
        pytest.fail("the mark race: the fixture `race` of this test is not integrity's: name it otherwise", pytrace=False)
    wanted = {name: test.funcargs[name] for name in signature(test.obj).parameters if name in test.funcargs}

    @wraps(test.obj)
    def body() -> object:
        return test.obj(**wanted)

    with pytest.MonkeyPatch.context() as patch:
        for name, value in database_environment(race.url).items():
            patch.setenv(name, value)
        if replay:
            race.replay(replay, body, count=count).holds()
            return
        told = [f"count={count}"] if count != 2 else []
        race.mark = f"@pytest.mark.race({''.join(f'{each}, ' for each in (*told, *['exactly_one=True'] * exactly_one))}"
        raced = race(body, count=count).holds()
        if exactly_one:
            raced.exactly_one_succeeds()


@pytest.fixture
def race(request: pytest.FixtureRequest) -> "Iterator[CallRace]":
    """A race on the database of the test run; a result that nothing was asked of fails the test."""
    from integrity.database.namespace import DECLARING_OPTION
    from integrity.errors import AuditError
    from integrity.jobs.database_of_tests import database_of_tests
    from integrity.jobs.race_calls import CallRace
    from integrity.project import find_project

    told = ""
    try:
        project = find_project(Path(request.config.rootpath))
        url = database_of_tests(project, request.config.getini("integrity_database"))
        named = request.config.getini("integrity_test_database") or project.settings.database.test
        with CallRace(url, test_database=named or None) as opened:
            yield opened
            opened.check_asked()
    except AuditError as error:
        told = str(error).replace(f"{DECLARING_OPTION} ", "integrity_test_database = ")  # pytest has no such option
    if told:
        pytest.fail(told, pytrace=False)

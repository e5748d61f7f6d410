"""The fixture `race` for pytest: two calls in, the shortest order of their statements that goes wrong out.

def test_two_payments(race):
    race.sqlalchemy(engine)                       # or let what is called connect to race.url
    race(pay, pay).holds()

@pytest.mark.race                                 # or the body of the test itself, as two calls of it
def test_payment():
    pay(connect(os.environ["DATABASE_URL"]))
"""

import os
from collections.abc import Iterator
from functools import wraps
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from integrity.jobs.race_calls import CallRace


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a project say on which database its tests race."""
    parser.addini("integrity_database", "URL of the database that races are played on", default="")
    parser.addini("integrity_test_database", "its name, if it holds tables and may be changed all the same", default="")


def pytest_configure(config: pytest.Config) -> None:
    """Say what the mark is."""
    said = "race(count=2, exactly_one=False): the body of the test is a call, and so many of them race each other"
    config.addinivalue_line("markers", said)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Give a test that is marked the race, before all else that it asks for."""
    if isinstance(item, pytest.Function) and item.get_closest_marker("race") is not None:
        item.fixturenames[:] = ["race", *(name for name in item.fixturenames if name != "race")]


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


def _race_body(test: pytest.Function, count: int = 2, *, exactly_one: bool = False) -> None:
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
        raced = race(body, count=count).holds()
        if exactly_one:
            raced.exactly_one_succeeds()


@pytest.fixture
def race(request: pytest.FixtureRequest) -> "Iterator[CallRace]":
    """A race on the database of the test run; a result that nothing was asked of fails the test."""
    from integrity.errors import AuditError
    from integrity.jobs.race_calls import CallRace
    from integrity.project import find_project

    try:
        project = find_project(Path(request.config.rootpath))
        url = project.database_url(request.config.getini("integrity_database") or None, os.environ)
        if url is None:
            pytest.fail("race: no database is named: set integrity_database in pytest's settings", pytrace=False)
        named = request.config.getini("integrity_test_database") or project.settings.database.test
        with CallRace(url, test_database=named or None) as opened:
            yield opened
            opened.check_asked()
    except AuditError as error:
        pytest.fail(str(error), pytrace=False)

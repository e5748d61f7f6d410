"""The fixture `race` for pytest: two calls in, the shortest order of their statements that goes wrong out.

def test_two_payments(race):
    race.sqlalchemy(engine)                       # or let what is called connect to race.url
    race(pay, pay).holds()
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from integrity.jobs.race_calls import CallRace


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a project say on which database its tests race."""
    parser.addini("integrity_database", "URL of the database that races are played on", default="")
    parser.addini("integrity_test_database", "its name, if it holds tables and may be changed all the same", default="")


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

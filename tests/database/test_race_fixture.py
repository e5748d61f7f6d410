"""The fixture `race`, as a project's own tests use it."""

from contextlib import closing

import pytest

from integrity.engines.target import Target

pytest_plugins = ["pytester"]

SCHEMA = b"create table stock (left_over int); insert into stock values (9); create table taken (id serial)"

TESTS = """
import os

import psycopg
import pytest


def take(race, lock):
    with psycopg.connect(race.url) as connection:
        ((left,),) = connection.execute("select left_over from stock " + lock).fetchall()
        connection.execute("update stock set left_over = %s", (left - 1,))
        connection.execute("insert into taken default values")


def test_racy(race):
    race(lambda: take(race, "")).holds()


def test_sound(race):
    race(lambda: take(race, "for update")).holds()


def test_nothing_asked(race):
    race(lambda: take(race, "for update"))


class Here:
    url = property(lambda _: os.environ["DATABASE_URL"])


@pytest.mark.race
@pytest.mark.parametrize("lock", ["", "for update"])
def test_marked(lock):
    take(Here(), lock)


@pytest.mark.race(count=2, exactly_one=True)
def test_only_one():
    take(Here(), "for update")
"""


def test_a_racy_function_fails_its_test_with_the_schedule_and_a_sound_one_passes(
    database: Target, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(database.connect()) as connection:
        connection.execute(SCHEMA)
        connection.commit()
    monkeypatch.setenv("INTEGRITY_DATABASE_URL", database.text)
    pytester.makeini(f"[pytest]\nintegrity_test_database = {database.url.database}")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    pytester.makepyfile(TESTS)
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=3, failed=3, errors=1)
    result.stdout.fnmatch_lines(
        [
            "*NotHeld: schedule AB*",
            '*keep it: race.replay("r1:_lambda_-_lambda_:*:B1:s", lambda: ..., lambda: ...).holds()*',
            "FAILED *::test_marked[[]] - *NotHeld: schedule AB*",
            "FAILED *::test_only_one - *NotHeld: 2 calls of 2 succeeded*",
            "*a race was searched and nothing asked of it*",
        ]
    )

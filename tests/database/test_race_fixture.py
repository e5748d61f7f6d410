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
    monkeypatch.setenv("COLUMNS", "80")
    for name in ("CI", "BUILD_NUMBER"):  # where they are set, pytest cuts no line of its summary
        monkeypatch.delenv(name, raising=False)
    pytester.makepyfile(test_it=TESTS)
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=3, failed=3, errors=1)
    result.stdout.fnmatch_lines(
        [
            "*a race was searched and nothing asked of it*",
            "test_it.py:15: NotHeld",
            "schedule AB*",
            '*keep it: race.replay("r1:_lambda_-_lambda_:*:B1:s", lambda: ..., lambda: ...).holds()*',
            "FAILED *::test_marked[[]] - *NotHeld: schedule AB*",
            "FAILED *::test_only_one - *NotHeld: 2 calls of 2 succeeded*",
        ]
    )
    kept = [line.removeprefix("keep it: ") for line in result.outlines if line.startswith("keep it: @")]
    assert [line.partition("r1:")[0] for line in kept] == [
        '@pytest.mark.race(replay="',
        '@pytest.mark.race(exactly_one=True, replay="',
    ]
    replayed = TESTS.replace("@pytest.mark.race\n", f"{kept[0]}\n")
    replayed = replayed.replace("@pytest.mark.race(count=2, exactly_one=True)", kept[1])
    pytester.makepyfile(test_it=replayed)
    again = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-k", "test_marked or test_only_one")
    again.assert_outcomes(passed=1, failed=2, deselected=3)
    again.stdout.fnmatch_lines(
        ["FAILED *::test_marked[[]] - *NotHeld: schedule AB*", "FAILED *::test_only_one - *: schedule *"]
    )
    begun = next(number for number, line in enumerate(result.outlines) if " ERRORS " in line)
    shown = [line for line in result.outlines[begun:] if not line.startswith("keep it: ")]
    assert max(map(len, shown)) <= 80
    assert not [line for line in shown if "raise NotHeld" in line or "Stand(" in line], "no source of ours"


def test_without_a_database_the_embedded_one_is_meant_and_how_it_is_started_is_said(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("INTEGRITY_DATABASE_URL", raising=False)
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    pytester.makefile(".toml", integrity='[database]\ntest = "integrity"')
    pytester.makepyfile("def test_race(race): pass")
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*no database is named, and no embedded server*", "*integrity db start*"])


def test_a_database_of_others_is_refused_once_with_the_setting_of_pytest(
    database: Target, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(database.connect()) as connection:
        connection.execute(SCHEMA)
        connection.commit()
    monkeypatch.setenv("INTEGRITY_DATABASE_URL", database.text)
    monkeypatch.setenv("COLUMNS", "80")
    pytester.makepyfile(test_it="def test_it(race):\n    race(print, print).holds()")
    # In CI pytest's summary has the whole reason once more.
    out = pytester.runpytest_inprocess("-p", "no:cacheprovider").stdout.str().partition("short test summary")[0]
    assert (out.count(f"or integrity_test_database = {database.url.database}"), "--yes-this" in out) == (1, False), out

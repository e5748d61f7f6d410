"""A whole suite as the source of races: its transactions are recorded in a serial pass, and those that meet are raced."""

import json
import os
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from integrity.cli.main import main
from integrity.engines.target import Target

pytest_plugins = ["pytester"]

SCHEMA = b"""
create table stock (id int primary key, left_over int not null, seen_at timestamptz not null default now());
create table taken (id serial primary key, n int);
create table seats (id int primary key, free int not null);
create table wallets (id uuid primary key default gen_random_uuid(), n numeric not null);
create table notes (taken_id int references taken);
"""
SUITE = """
import asyncio
import os

import asyncpg
import psycopg
import pytest


@pytest.fixture(autouse=True)
def rows():
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        connection.execute("insert into stock values (1, 9)")
        connection.commit()
        yield
        connection.execute("truncate stock, taken, notes")


def read(connection, lock=""):
    return connection.execute("select * from stock where id = 1 " + lock).fetchall()[0][1]


def test_buy():
    with psycopg.connect() as connection:
        left = read(connection)
        connection.execute("update stock set left_over = %s where id = 1", (left - 1,))


def test_buy_locked():
    with psycopg.connect() as connection:
        left = read(connection, "for update")
        connection.execute("update stock set left_over = %s, seen_at = now() where id = 1", (left - 2,))


def test_relative():
    with psycopg.connect() as connection:
        read(connection)
        connection.execute("update stock set left_over = left_over - 3 where id = 1")


def test_take():
    with psycopg.connect() as connection:
        connection.execute("lock table notes in exclusive mode")
        (made,) = connection.execute("insert into taken (n) values (7) returning id").fetchone()
        connection.execute("insert into notes values (%s)", (made,))


def test_within():
    with psycopg.connect() as connection:
        connection.execute("insert into seats values (2, 5)")
        with connection.transaction():
            ((free,),) = connection.execute("select free from seats where id = 2").fetchall()
            connection.execute("update seats set free = %s where id = 2", (free - 1,))
        connection.rollback()


def test_drawn():
    async def spend():
        connection = await asyncpg.connect(os.environ["DATABASE_URL"])
        wallet = await connection.fetchval("insert into wallets (n) values ($1) returning id", 10)
        async with connection.transaction():
            n = await connection.fetchval("select n from wallets where id = $1", wallet)
            await connection.execute("update wallets set n = $2 where id = $1", wallet, n - 1)
        await connection.close()

    asyncio.run(spend())


def test_undone():
    with psycopg.connect() as connection:
        connection.execute("update stock set left_over = 5")
        connection.rollback()
"""
DJANGO = {
    "settings.py": """
import os
from urllib.parse import urlsplit

url = urlsplit(os.environ["DATABASE_URL"])
place = {"NAME": url.path[1:], "HOST": url.hostname, "PORT": url.port, "USER": url.username, "PASSWORD": url.password}
DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", **place}}
SECRET_KEY, USE_TZ, INSTALLED_APPS, DEFAULT_AUTO_FIELD = "x", True, ["kiosk"], "django.db.models.BigAutoField"
""",
    "kiosk/__init__.py": "",
    "kiosk/models.py": """
from django.db import models


class Wallet(models.Model):
    balance = models.IntegerField()
    made_at = models.DateTimeField(auto_now_add=True)
""",
    "kiosk/tests.py": """
from django.db import transaction
from django.test import TestCase
from kiosk.models import Wallet


class Tests(TestCase):
    def setUp(self):
        self.wallet = Wallet.objects.create(balance=100)

    def pay(self, wallets):
        with transaction.atomic():
            wallet = wallets.get(pk=self.wallet.pk)
            wallet.balance -= 30
            wallet.save()

    def test_pay(self):
        self.pay(Wallet.objects)

    def test_pay_locked(self):
        self.pay(Wallet.objects.select_for_update())
""",
}
NOTHING = "def test_nothing(): pass\n"


@pytest.fixture
def suite(database: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Target:
    with closing(database.connect()) as connection:
        connection.execute(SCHEMA)
        connection.commit()
    monkeypatch.setenv("INTEGRITY_DATABASE_URL", database.text)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    for name in ("DATABASE_URL", "PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    Path("integrity.toml").write_text("")
    return database


@pytest.fixture
def learn(suite: Target, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def run(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["race", *words])
        captured = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, captured.out, captured.err

    return run


@pytest.mark.exhaustive
def test_pairs_of_a_suites_transactions_are_raced_on_the_rows_that_they_found(
    suite: Target, learn: Callable[..., tuple[int, str, str]]
) -> None:
    Path("test_shop.py").write_text(SUITE)
    command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_shop.py")
    code, out, err = learn("--json", "--pytest", "test_found.py", "--learn", "--", *command)
    assert out, err
    told = json.loads(out)
    outcomes = {
        tuple(each.rpartition("::")[2] for each in pair["tests"]): pair["outcome"] for pair in reversed(told["pairs"])
    }
    assert outcomes == {
        ("test_buy", "test_buy"): "violated",
        ("test_buy", "test_buy_locked"): "violated",
        ("test_buy", "test_relative"): "violated",
        ("test_within", "test_within"): "violated",
        ("test_drawn", "test_drawn"): "violated",
        ("test_buy_locked", "test_relative"): "suspected",
        ("test_relative", "test_relative"): "suspected",
        ("test_buy_locked", "test_buy_locked"): "holds",
        ("test_take", "test_take"): "holds",
    }, out + err
    assert "a change is lost: stock.left_over goes from 9 to" in told["pairs"][0]["reason"]
    assert (code, told["kinds"], told["apart"], len(told["not_made_again"])) == (1, 7, 17, 1)
    assert "no test was written: this race shows in the replies" in " ".join(err.split())
    with closing(suite.connect()) as connection:
        assert connection.execute(b"select count(*) from stock").fetchall() == [(0,)], "what is named is left alone"
        left = connection.execute(b"select datname from pg_database where datname like 'integrity_tmp%'").fetchall()
    assert left == []


@pytest.mark.exhaustive
def test_a_suite_of_djangos_is_raced_in_the_database_that_it_makes_and_undoes_its_tests_in(
    suite: Target, learn: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("kiosk").mkdir()
    for name, text in DJANGO.items():
        Path(name).write_text(text)
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "settings")
    monkeypatch.setenv("PYTHONPATH", str(Path.cwd()))
    code, out, err = learn("--json", "--learn", "--", sys.executable, "-m", "django", "test", "kiosk")
    assert out, err
    pairs = [(each["conflict"], each["outcome"]) for each in json.loads(out)["pairs"]]
    assert (code, pairs[0], pairs[-1]) == (1, ("lost_change", "violated"), ("locked_changes", "holds")), out
    assert "ended with" not in err, "it has made its database, and dropped it"
    with closing(suite.connect()) as connection:
        left = connection.execute(b"select datname from pg_database where datname like '%integrity_tmp%'").fetchall()
    assert left == []


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--learn",), 2, "--learn names no scenario, and no command that runs tests"),
        (("--learn", "--", "no-such-command"), 2, "--learn -- no-such-command: it cannot be started"),
        (("--learn", "--", "true"), 2, "no statement passed the proxy"),
        (("--mutate", "--learn", "--", "true"), 2, "goes with no application"),
    ],
)
def test_what_cannot_be_learnt_from_is_refused_with_the_next_step(
    words: tuple[str, ...], code: int, said: str, learn: Callable[..., tuple[int, str, str]]
) -> None:
    ended, _, err = learn(*words)
    assert (ended, said in " ".join(err.split()), "hint: " in err) == (code, True, True), err


def test_the_door_for_a_suite_fails_its_session_with_what_is_violated(suite: Target, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_shop=SUITE)
    asked = ("-p", "no:cacheprovider", "--integrity-race", "--integrity-race-budget", "90s")
    result = pytester.runpytest_inprocess(*asked, "-k", "test_buy")
    result.assert_outcomes(passed=2, deselected=5)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "*= integrity race =*",
            "1. test_buy (update stock) (twice)",
            "*violated: a change is lost*",
            "*replay: --pytest FILE beside --learn writes these statements as a test*",
            "*next: write @pytest.mark.race above test_buy*",
        ]
    )
    begun = next(number for number, line in enumerate(result.outlines) if "= integrity race =" in line)
    assert max(map(len, result.outlines[begun:])) <= 80
    assert "DATABASE_URL" not in os.environ

    assert pytester.runpytest_inprocess(*asked, "-k", "test_buy_locked").ret == pytest.ExitCode.OK
    pytester.makepyfile(test_shop=NOTHING)
    refused = pytester.runpytest_inprocess(*asked)
    assert refused.ret == pytest.ExitCode.USAGE_ERROR
    refused.stdout.fnmatch_lines(["*no statement passed the proxy*", "*DATABASE_URL*"])

"""A target is parsed once, never shows its password, and says why it cannot be reached."""

import asyncio
import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote, unquote_to_bytes

import pytest
from psycopg import pq, sql
from psycopg.conninfo import conninfo_to_dict

from integrity.cli.main import main
from integrity.clients.postgresql import PostgresConnection
from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.postgresql import connecting
from integrity.engines.postgresql.accepting import is_accepted
from integrity.engines.postgresql.url import connection_string
from integrity.engines.target import Target, mask
from integrity.errors import NoAnswer, Unreachable, UnsuitableServer, UsageError

SECRET = "hunter2"
AWKWARD = "blanks and 100% of @:/?&#='s\\"


@pytest.mark.parametrize(
    ("text", "dialect"),
    [
        ("postgresql://user@host:5432/name", "postgresql"),
        ("postgres://user@host/name", "postgresql"),
        ("postgresql+psycopg://user@host/name", "postgresql"),
        ("  sqlite:///venue.db\n", "sqlite"),
    ],
)
def test_a_url_names_its_kind_of_database(text: str, dialect: str) -> None:
    assert Target.parse(text).dialect == dialect


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not a database URL: ''"),
        ("venue", "not a database URL: 'venue'"),
        (f"postgresql:/user:{SECRET}@host/name", "not a database URL"),
        (f"postgresql://user:{SECRET}@host:port/name", "not a database URL"),
        (f"postgres//shop:{SECRET}", "not a database URL: 'postgres//shop:[*]{3}'"),
        (f"postgres//shop:{SECRET}/name:5432/name", "'postgres//shop:[*]{3}'"),
        (f"postgresql:/shop:12/{SECRET}", "'postgresql:/shop:[*]{3}'"),
        ("localhost:5432", "'localhost:5432'"),
        ("db.example:5432/shop", "'db.example:5432/shop'"),
        (f"postgresql://user:with@{SECRET}@host/name", "a password with @, / or : in it has to be written with %40"),
        (f"postgresql://user:1/{SECRET}@host/name", "a password with @, / or : in it has to be written with %40"),
        (f"postgresql://user:with {SECRET}@host/name", "unexpected spaces found"),
        (f"postgresql://user@host/name?PASSWORD={SECRET}", 'invalid URI query parameter: "PASSWORD"'),
        (f"postgresql://user:{SECRET}@host/name?nosuch_option=1", "nosuch_option"),
        (f"host=localhost password={SECRET}", "not a database URL: 'host=localhost password=[*]{3}'"),
        (f"host=localhost password = 'with {SECRET}'", "not a database URL"),
        (f"mysql://user:{SECRET}@host/name", "no support for databases of kind 'mysql'"),
        (f"oracle+{SECRET}://host/name", "no support for databases of kind"),
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
    ],
)
def test_what_is_no_usable_url_is_refused_without_its_password(text: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason) as raised:
        Target.parse(text)
    assert raised.value.hint is not None
    assert SECRET not in str(raised.value).replace("oracle+" + SECRET, "")


def test_a_target_shows_no_password() -> None:
    shown = Target.parse(f"postgresql://user:{SECRET}@host/name")
    assert str(shown) == "postgresql://user:***@host/name"
    assert SECRET not in repr(shown)
    assert shown.text == f"postgresql://user:{SECRET}@host/name"


@pytest.mark.parametrize("option", ["password", "sslpassword"])
def test_a_target_shows_no_password_that_is_among_its_options(option: str) -> None:
    target = Target.parse(f"postgresql://user@host/name?{option}={SECRET}&sslmode=prefer")
    assert SECRET not in str(target)
    assert SECRET not in repr(target)
    assert "sslmode=prefer" in str(target)
    assert SECRET in target.text


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("at postgresql://user:hunter2@host/name.", "at postgresql://user:***@host/name."),
        ("postgresql://user:p@ss:w/rd@host/name", "postgresql://user:***@host/name"),
        ("host=h password=hunter2 user=u", "host=h password=*** user=u"),
        ("Password = 'with spaces' user=u", "Password = *** user=u"),
        (r"password='with \' a quote' user=u", "password=*** user=u"),
        ('password="with spaces" user=u', "password=*** user=u"),
        ("sslpassword=hunter2", "sslpassword=***"),
        ("postgresql://host/name?PASSWORD=hunter2", "postgresql://host/name?PASSWORD=***"),
        ("postgresql://host/name?p%61ssword=hunter2&sslmode=off", "postgresql://host/name?p%61ssword=***&sslmode=off"),
        ("postgresql://user:hunter2@h1:1,h2:2/name", "postgresql://user:***@h1:1,h2:2/name"),
        ("postgresql://user:with blanks@host/name", "postgresql://user:***@host/name"),
        ("postgresql://host:5432/name is not mine@home", "postgresql://host:5432/name is not mine@home"),
        ("postgresql://user@host/name", "postgresql://user@host/name"),
    ],
)
def test_passwords_are_masked_in_any_text(text: str, masked: str) -> None:
    assert mask(text) == masked


def test_a_password_is_printed_by_nothing_that_prints_a_url() -> None:
    url = Target.parse(f"postgresql://user:{SECRET}@host/name?sslpassword={SECRET}").url
    printed = f"{url} {url!r} {url.password} {url.password!r} {url.password:>9} {url.query} {asdict(url)}"
    assert SECRET not in printed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgresql://u:a%20b%40@h/d%20b", {"user": "u", "password": "a b@", "host": "h", "dbname": "d b"}),
        ("postgresql://h/d?user=u&password=a%20b", {"user": "u", "password": "a b", "host": "h", "dbname": "d"}),
        ("postgresql://u@h1:1,h2:2/d", {"user": "u", "host": "h1,h2", "port": "1,2", "dbname": "d"}),
        ("postgresql://u@/d?host=/run/s&port=5", {"user": "u", "host": "/run/s", "port": "5", "dbname": "d"}),
        ("postgresql://u:p@[::1]:5/d", {"user": "u", "password": "p", "host": "::1", "port": "5", "dbname": "d"}),
        ("postgresql:///?service=venue", {"service": "venue"}),
        ("postgresql://h/d?options=-c%20jit%3Doff", {"host": "h", "dbname": "d", "options": "-c jit=off"}),
    ],
)
def test_a_url_means_what_libpq_takes_it_for(text: str, expected: dict[str, str]) -> None:
    target = Target.parse(text)
    assert conninfo_to_dict(connection_string(target.url)) == expected
    assert conninfo_to_dict(target.text) == expected
    assert Target.parse(target.text) == target


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A server that asks the role `locked` for its password; it may not connect to the database `private`."""
    server = EmbeddedServer(tmp_path_factory.mktemp("guarded"), settings={"fsync": "off"}, dies_with_parent=True)
    with server.start().connect() as connection:
        connection.execute(sql.SQL("create role locked login password {}").format(SECRET))
        connection.execute(sql.SQL("create role awkward login password {}").format(AWKWARD))
        connection.execute("create database private")
        connection.execute("revoke connect on database private from public")
    server.stop()
    rules = server.home / "data/pg_hba.conf"
    rules.write_text("local all locked,awkward scram-sha-256\n" + rules.read_text())
    server.start()
    yield Target(server.target.url.set(username="locked", password=SECRET))
    server.reset()


def test_the_right_password_connects(guarded: Target) -> None:
    with guarded.connect() as connection:
        assert connection.execute("select current_user").fetchall() == [("locked",)]


def _ways(guarded: Target) -> dict[str, str]:
    """The ways to give libpq a password that has everything in it."""
    encoded, place = quote(AWKWARD, safe=""), f"host={guarded.url.query['host']}&port={guarded.url.query['port']}"
    return {
        "before the host": f"postgresql://awkward:{encoded}@/integrity?{place}",
        "among the options": f"postgresql:///integrity?{place}&user=awkward&password={encoded}",
        "of the second host": f"postgresql://awkward:{encoded}@/integrity?{place.replace('host=', 'host=/nosuch,')}",
        "in the environment": f"postgresql://awkward@/integrity?{place}",
        "in a service file": "postgresql:///?service=venue",
    }


@pytest.mark.parametrize(
    "way", ["before the host", "among the options", "of the second host", "in the environment", "in a service file"]
)
def test_an_awkward_password_connects_however_it_is_given(
    guarded: Target, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = "".join(f"{name}={guarded.url.query[name]}\n" for name in ("host", "port"))
    (tmp_path / "services").write_text(f"[venue]\n{place}user=awkward\npassword={AWKWARD}\ndbname=integrity\n")
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
    if way == "in the environment":
        monkeypatch.setenv("PGPASSWORD", AWKWARD)
    target = Target.parse(_ways(guarded)[way])

    async def who_of_a_run() -> object:
        connection = PostgresConnection(target)
        await connection.open()
        rows = await connection.execute("select current_user::text as who", {})
        await connection.close()
        return rows[0]["who"]

    with target.connect() as connection:
        assert connection.execute("select current_user").fetchall() == [("awkward",)]
    assert asyncio.run(who_of_a_run()) == "awkward"
    assert AWKWARD not in f"{target} {target!r}"


@pytest.mark.parametrize("way", ["before the host", "among the options"])
def test_psql_connects_and_its_process_shows_no_password(guarded: Target, way: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "integrity", "db", "psql", "--no-psqlrc", "-At"]
    environment = {**os.environ, "INTEGRITY_DATABASE_URL": _ways(guarded)[way], "PGPASSWORD": "wrong-hunter3"}
    with subprocess.Popen(
        command, env=environment, cwd=tmp_path, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as entered:
        assert entered.stdin is not None
        assert entered.stdout is not None
        entered.stdin.write("select current_user;\n")
        entered.stdin.flush()
        assert entered.stdout.readline() == "awkward\n"
        of_process = Path("/proc", str(entered.pid))
        seen = [(of_process / name).read_bytes().split(b"\0") for name in ("environ", "cmdline")]
        entered.stdin.close()
    assert b"--no-psqlrc" in seen[1]
    words = [part for words in seen for word in words for part in (word, unquote_to_bytes(word))]
    assert [word for word in words if AWKWARD.encode() in word or b"hunter" in word] == []
    assert entered.returncode == 0


@pytest.mark.parametrize(
    ("who", "name", "reason"),
    [
        ("locked:wrong-hunter3", "integrity", 'password authentication failed for user "locked"'),
        ("locked", "integrity", "no password supplied"),
        (f"locked:{SECRET}", "nosuch", 'database "nosuch" does not exist'),
        (f"locked:{SECRET}", "private", 'permission denied for database "private"'),
        (f"stranger:{SECRET}", "integrity", 'role "stranger" does not exist'),
    ],
)
def test_a_refused_connection_gives_the_servers_reason(guarded: Target, who: str, name: str, reason: str) -> None:
    refused = Target.parse(f"postgresql://{who}@/{name}?host={guarded.url.query['host']}&port={guarded.url.query['port']}")
    with pytest.raises(Unreachable, match=reason) as raised:
        refused.connect()
    assert str(refused) in raised.value.message
    assert raised.value.hint is not None
    assert "hunter" not in str(raised.value)
    assert "\n" not in raised.value.message


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"postgresql://user:{SECRET}@nosuch.invalid/name", "nosuch.invalid"),
        (f"postgresql://user:{SECRET}@127.0.0.1:1/name", "Connection refused"),
        (f"postgresql://user:{SECRET}@/name?host=/nosuch/folder", "No such file or directory"),
    ],
)
def test_a_server_that_is_not_there_is_unreachable(text: str, reason: str) -> None:
    with pytest.raises(Unreachable, match=reason) as raised:
        Target.parse(text).connect()
    assert SECRET not in str(raised.value)


def test_a_server_whose_catalogue_is_locked_does_not_answer_and_its_address_is_not_blamed(
    database: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A new session reads pg_class before it is let in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("integrity.engines.postgresql.connecting.CONNECT_TIMEOUT_S", 2)
    with database.connect() as connection, connection.transaction():
        connection.execute("lock table pg_catalog.pg_class in access exclusive mode")
        with pytest.raises(SystemExit) as ended:
            main(["validate", "--database", database.text])
    said = capfd.readouterr().err
    assert (ended.value.code, "lets none in within 2 s" in said, "lock its catalogue" in said) == (3, True, True), said
    assert "Check host" not in said


def test_a_port_that_takes_a_connection_and_says_nothing_is_told_from_a_wrong_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("integrity.engines.postgresql.connecting.CONNECT_TIMEOUT_S", 2)
    with socket.create_server(("127.0.0.1", 0)) as listening, pytest.raises(NoAnswer):
        Target.parse(f"postgresql://u@127.0.0.1:{listening.getsockname()[1]}/d").connect()


def test_a_host_that_nothing_comes_back_from_takes_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    class Connecting:
        status = pq.ConnStatus.STARTED

        def __init__(self) -> None:
            self.socket, self._other = (end.detach() for end in socket.socketpair())

        def connect_poll(self) -> pq.PollingStatus:
            return pq.PollingStatus.READING

        def finish(self) -> None:
            os.close(self.socket)
            os.close(self._other)

    driver = SimpleNamespace(**{**vars(pq), "PGconn": SimpleNamespace(connect_start=lambda _: Connecting())})
    monkeypatch.setattr("integrity.engines.postgresql.accepting.pq", driver)
    assert not is_accepted("host=192.0.2.1", patience_s=0.01)


def test_a_server_that_is_too_old_is_refused(database: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connecting, "SERVER_VERSION_LEAST", 99)
    with pytest.raises(UnsuitableServer, match=r"is PostgreSQL \d+; PostgreSQL 99 or newer is needed"):
        database.connect()


def test_a_connection_commits_each_statement_by_itself(database: Target) -> None:
    with database.connect(application_name="first") as first, database.connect() as second:
        first.execute("create table seen as select 1 as id")
        assert second.execute("select id from seen").fetchall() == [(1,)]
        assert first.execute("show application_name").fetchall() == [("first",)]


def test_an_engine_works_on_the_same_database(database: Target) -> None:
    import sqlalchemy

    engine = database.sqlalchemy_engine()
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("create table seen (id int)"))
    assert sqlalchemy.inspect(engine).get_table_names() == ["seen"]


def test_the_files_beside_an_sqlite_database_are_its_schemas_if_they_can_be(tmp_path: Path) -> None:
    target = Target.parse(f"sqlite:///{tmp_path}/venue.db")
    target.connect_sqlite(["ledger", "app", "public"]).close()
    (tmp_path / "venue.notes.db").write_text("remember the milk: this is no database")
    for name in ("venue.Old One.db", "venue.app.copy.db", "other.app.db", "venue.app.txt", "venue.temp.db"):
        (tmp_path / name).touch()
    assert target.find_schemas() == ("app", "ledger")
    assert target.file_of("public") == target.file


def test_more_files_than_sqlite_attaches_are_told_with_what_they_are(tmp_path: Path) -> None:
    target = Target.parse(f"sqlite:///{tmp_path}/venue.db")
    for number in range(30):
        (tmp_path / f"venue.part_{number}.db").touch()
    with pytest.raises(Unreachable, match="too many attached") as refused:
        target.connect_sqlite(target.find_schemas())
    assert refused.value.hint == "Each file venue.NAME.db beside it is a schema: move away what is none."


def test_each_namespace_is_a_file_of_its_own_in_sqlite(tmp_path: Path) -> None:
    target = Target.parse(f"sqlite:///{tmp_path}/venue.db")
    with target.connect_sqlite(["ghostpass", "integrity"]) as connection:
        connection.execute("create table ghostpass.wallets (id integer)")
        connection.execute("insert into ghostpass.wallets values (41)")
    connection.close()
    assert target.file_of("ghostpass") == tmp_path / "venue.ghostpass.db"
    reader = target.connect_sqlite(["ghostpass"], is_read_only=True)
    assert [tuple(row) for row in reader.execute("select id from ghostpass.wallets")] == [(41,)]
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.execute("delete from ghostpass.wallets")
    reader.close()


def test_an_sqlite_file_in_a_folder_that_is_not_there_is_unreachable(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="unable to open database file") as raised:
        Target.parse(f"sqlite:///{tmp_path}/nosuch/venue.db").connect_sqlite()
    assert f"{tmp_path}/nosuch" in str(raised.value.hint)


def test_a_file_that_is_no_sqlite_database_is_unreachable(tmp_path: Path) -> None:
    (tmp_path / "notes.db").write_text("these are notes, not a database " * 100)
    with pytest.raises(Unreachable, match="file is not a database"):
        Target.parse(f"sqlite:///{tmp_path}/notes.db").connect_sqlite()


def test_a_database_can_be_copied(make_database: Callable[[str | None], Target]) -> None:
    template = make_database(None)
    with template.connect() as connection:
        connection.execute("create table copied as select 41 as id")
    with make_database(template.url.database).connect() as connection:
        assert connection.execute("select id from copied").fetchall() == [(41,)]

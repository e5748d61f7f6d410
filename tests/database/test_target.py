"""A target is parsed once, never shows its password, and says why it cannot be reached."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from psycopg import sql

from integrity.database import target as target_module
from integrity.database.embedded import EmbeddedServer
from integrity.database.target import Target, mask
from integrity.errors import Unreachable, UnsuitableServer, UsageError

SECRET = "hunter2"


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
        (f"postgresql://user:with@{SECRET}@host/name", "password holds an @"),
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
    assert f":{SECRET}" not in str(raised.value)
    assert f"@{SECRET}" not in str(raised.value)


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
        ("postgresql://user@host/name", "postgresql://user@host/name"),
    ],
)
def test_passwords_are_masked_in_any_text(text: str, masked: str) -> None:
    assert mask(text) == masked


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A server that asks the role `locked` for its password; it may not connect to the database `private`."""
    server = EmbeddedServer(tmp_path_factory.mktemp("guarded"), settings={"fsync": "off"}, dies_with_parent=True)
    with server.start().connect() as connection:
        connection.execute(sql.SQL("create role locked login password {}").format(SECRET))
        connection.execute("create database private")
        connection.execute("revoke connect on database private from public")
    server.stop()
    rules = server.home / "data/pg_hba.conf"
    rules.write_text("local all locked scram-sha-256\n" + rules.read_text())
    server.start()
    yield Target(server.target.url.set(username="locked", password=SECRET))
    server.reset()


def test_the_right_password_connects(guarded: Target) -> None:
    with guarded.connect() as connection:
        assert connection.execute("select current_user").fetchall() == [("locked",)]


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
        (f"postgresql://user:{SECRET}@host/name?nosuch_option=1", "nosuch_option"),
    ],
)
def test_a_server_that_is_not_there_is_unreachable(text: str, reason: str) -> None:
    with pytest.raises(Unreachable, match=reason) as raised:
        Target.parse(text).connect()
    assert SECRET not in str(raised.value)


def test_a_server_that_is_too_old_is_refused(database: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target_module, "SERVER_VERSION_LEAST", 99)
    with pytest.raises(UnsuitableServer, match=r"is PostgreSQL \d+; PostgreSQL 99 or newer is needed"):
        database.connect()


def test_a_connection_commits_each_statement_by_itself(database: Target) -> None:
    with database.connect(application_name="first") as first, database.connect() as second:
        first.execute("create table seen as select 1 as id")
        assert second.execute("select id from seen").fetchall() == [(1,)]
        assert first.execute("show application_name").fetchall() == [("first",)]


def test_an_engine_works_on_the_same_database(database: Target) -> None:
    import sqlalchemy

    engine = database.engine()
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("create table seen (id int)"))
    assert sqlalchemy.inspect(engine).get_table_names() == ["seen"]


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

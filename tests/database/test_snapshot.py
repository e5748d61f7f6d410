"""A test database is kept under a name and put back: all of it or nothing, and never anybody else's."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from integrity.database.copies import drop_copy, find_copy, find_lost, list_copies, restore_copy, take_copy
from integrity.database.namespace import create_schemas
from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.postgresql import copies as postgresql_copies
from integrity.engines.sqlite import copies as sqlite_copies
from integrity.engines.target import Target
from integrity.errors import DatabaseError, SeedError, UnsafeDatabase, UsageError
from integrity.reference.ghostpass.system import GHOSTPASS
from integrity.reference.inbox.system import INBOX


@pytest.fixture
def venue(database: Target) -> Iterator[Target]:
    """A database of ours with one wallet; its snapshots are dropped after the test."""
    create_schemas(database, [GHOSTPASS])
    execute(database, "insert into ghostpass.wallets (code, balance_minor) values ('W1', 100)")
    yield database
    with closing(Target(database.url.set(database="postgres")).connect()) as server:
        for (name,) in server.execute(
            "select datname from pg_database where datname like %s", (f"{database.url.database}_%",)
        ):
            server.execute(f'drop database "{name}" with (force)'.encode())


@pytest.fixture
def file_venue(tmp_path: Path) -> Target:
    target = Target.parse(f"sqlite:///{tmp_path}/venue.db")
    create_schemas(target, [GHOSTPASS])
    execute(target, "insert into ghostpass.wallets (code, balance_minor) values ('W1', 100)")
    return target


def execute(target: Target, statement: str) -> None:
    if target.dialect == "sqlite":
        with closing(target.connect_sqlite(("ghostpass",))) as connection:
            connection.execute(statement)
    else:
        with closing(target.connect()) as server:
            server.execute(statement.encode())


def codes(target: Target) -> list[str]:
    query = "select code from ghostpass.wallets order by code"
    if target.dialect == "sqlite":
        with closing(target.connect_sqlite(("ghostpass",))) as connection:
            return [row[0] for row in connection.execute(query)]
    with closing(target.connect()) as server:
        return [row[0] for row in server.execute(query).fetchall()]


def take(target: Target, name: str = "seeded", *, may_end_sessions: bool = False) -> tuple[str, ...]:
    return take_copy(target, name, test_database=None, may_end_sessions=may_end_sessions).ended


def restore(target: Target, name: str = "seeded", *, may_end_sessions: bool = False) -> tuple[str, ...]:
    return restore_copy(target, name, test_database=None, may_end_sessions=may_end_sessions).ended


def databases(target: Target) -> set[str]:
    """The other databases whose names begin with this one's."""
    with closing(Target(target.url.set(database="postgres")).connect()) as server:
        query = "select datname from pg_database where datname like %s"
        return {row[0] for row in server.execute(query, (f"{target.url.database}\\_%",)).fetchall()}


@pytest.fixture(params=["postgresql", "sqlite"])
def either(request: pytest.FixtureRequest) -> Target:
    target: Target = request.getfixturevalue("venue" if request.param == "postgresql" else "file_venue")
    return target


def test_what_was_kept_is_put_back_as_often_as_one_likes(either: Target) -> None:
    take(either)
    for wallet in ("W2", "W3"):
        execute(either, f"insert into ghostpass.wallets (code) values ('{wallet}')")
        execute(either, "update ghostpass.wallets set code = 'W9' where code = 'W1'")
        assert codes(either) == [wallet, "W9"]
        restore(either)
        assert codes(either) == ["W1"]
    execute(either, "insert into ghostpass.wallets (code) values ('W4')")
    assert codes(either) == ["W1", "W4"], "it can be written to"


def test_snapshots_are_listed_and_dropped_by_name(either: Target) -> None:
    assert list_copies(either) == []
    take(either, "first")
    take(either, "second")
    assert [copy.name for copy in list_copies(either)] == ["first", "second"]
    assert all(copy.size_bytes > 10_000 for copy in list_copies(either))
    drop_copy(either, "first")
    assert [copy.name for copy in list_copies(either)] == ["second"]
    with pytest.raises(UsageError, match="has no snapshot 'first'") as refused:
        restore(either, "first")
    assert refused.value.hint == "Its snapshots are: second."


def test_a_name_is_taken_once_and_must_be_fit(either: Target) -> None:
    take(either, "seeded")
    with pytest.raises(UsageError, match="there is a snapshot 'seeded' already"):
        take(either, "seeded")
    for name in ("", "-x", "../up", "A", "a" * 31, "a.b", 'a"b'):
        with pytest.raises(UsageError, match="cannot be a snapshot's name"):
            take(either, name)


def test_a_database_with_tables_of_others_is_left_alone(either: Target) -> None:
    take(either)
    table = (
        "create table precious (id integer)" if either.dialect == "sqlite" else "create table public.precious (id integer)"
    )
    execute(either, table)
    with pytest.raises(UnsafeDatabase, match="precious"):
        restore(either)
    with pytest.raises(UnsafeDatabase, match="precious"):
        take(either, "another")
    named = str(either.file.name if either.dialect == "sqlite" else either.url.database)
    take_copy(either, "another", test_database=named, may_end_sessions=False)


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("create view public.rich as select id from ghostpass.wallets", "view public.rich"),
        ("create function public.mine() returns int language sql as 'select 1'", r"function public\.mine\(\)"),
        ("create sequence public.tickets", "sequence public.tickets"),
        ("select lo_create(4711)", "large object 4711"),
        ("create publication feed", "publication feed"),
    ],
)
def test_what_came_since_and_would_be_lost_is_named(venue: Target, statement: str, named: str) -> None:
    take(venue)
    execute(venue, statement)
    with pytest.raises(UnsafeDatabase, match=named):
        restore(venue)


NEWER = {
    "create extension btree_gist": "extension btree_gist",
    "create function public.look() returns event_trigger language plpgsql as 'begin end'": "function public.look()",
    "create event trigger watch on ddl_command_end execute function public.look()": "event trigger watch",
    "create type public.mood as enum ('good', 'bad')": "type public.mood",
    "create cast (public.mood as xml) with inout": "cast (public.mood AS pg_catalog.xml)",
    "create operator public.=== (function = int4eq, leftarg = int, rightarg = int)": (
        "operator public.===(integer,integer)"
    ),
    "create operator family public.odd using btree": "operator family public.odd USING btree",
    "create operator class public.own for type int using btree family public.odd as operator 3 =": (
        "operator class public.own USING btree"
    ),
    "create foreign data wrapper afar": "foreign-data wrapper afar",
    "create server elsewhere foreign data wrapper afar": "server elsewhere",
    "create user mapping for public server elsewhere": "user mapping public on server elsewhere",
    "create publication feed": "publication feed",
    'create collation public.plain from "C"': "collation public.plain",
    "create text search configuration public.words (copy = simple)": "text search configuration public.words",
    "create policy mine on ghostpass.wallets": "policy mine on ghostpass.wallets",
    "create view public.rich as select id from ghostpass.wallets": "view public.rich",
    'create schema "Theirs" create table gone (id serial primary key)': 'schema "Theirs"',
    "select lo_create(4711000)": "large object 4711000",
}


def test_all_that_came_since_is_told_of_whatever_its_kind_and_once(venue: Target) -> None:
    """Not the functions of an extension, not what stands in a schema that is new, and nothing that we made."""
    execute(venue, "create extension citext")
    take(venue)
    for statement in NEWER:
        execute(venue, statement)
    create_schemas(venue, [INBOX])
    lost = find_lost(venue, find_copy(venue, "seeded"))
    assert sorted(set(lost) ^ set(NEWER.values())) == []
    assert len(lost) == len(NEWER)
    restored = restore_copy(venue, "seeded", test_database=venue.url.database, may_end_sessions=False)
    assert restored.lost == lost
    assert find_lost(venue, find_copy(venue, "seeded")) == (), "and what the snapshot holds is not lost"


def test_what_a_file_got_since_is_told_of(file_venue: Target) -> None:
    take(file_venue)
    create_schemas(file_venue, [INBOX])
    with closing(sqlite3.connect(file_venue.file)) as connection:
        connection.executescript("create table own (id integer); create view odd as select id from own")
    execute(file_venue, "create trigger ghostpass.seen after insert on wallets begin select 1; end")
    lost = ("table main.own", "view main.odd", "trigger ghostpass.seen")
    assert find_lost(file_venue, find_copy(file_venue, "seeded")) == lost


def test_an_empty_database_is_not_worth_keeping(database: Target, tmp_path: Path) -> None:
    (tmp_path / "none.db").touch()
    for target in (database, Target.parse(f"sqlite:///{tmp_path}/none.db")):
        with pytest.raises(SeedError, match="there is nothing to keep"):
            take(target)


def test_a_restore_takes_away_what_was_made_since(either: Target) -> None:
    """A schema that a later version of the tests made must not survive."""
    take(either)
    if either.dialect == "sqlite":
        with closing(either.connect_sqlite(("inbox",))) as connection:
            connection.execute("create table inbox.messages (id integer)")
        named = either.file.name
    else:
        execute(either, "create schema inbox create table messages (id integer)")
        named = str(either.url.database)
    restore_copy(either, "seeded", test_database=named, may_end_sessions=False)
    if either.dialect == "sqlite":
        assert not either.file_of("inbox").exists()
    else:
        with pytest.raises(psycopg.errors.InvalidSchemaName):
            execute(either, "create table inbox.messages (id integer)")


def test_it_is_refused_while_others_are_connected_and_says_who(venue: Target) -> None:
    take(venue)
    with closing(venue.connect(application_name="somebody")) as other:
        with pytest.raises(DatabaseError, match=r"1 session is connected: somebody \(pid \d+, idle\)"):
            restore(venue)
        with pytest.raises(DatabaseError, match="1 session is connected"):
            take(venue, "another")
        assert other.execute("select 1").fetchone() == (1,), "it was not ended"
    assert databases(venue) == {f"{venue.url.database}_snapshot_seeded"}, "nothing was left behind"


def test_on_a_server_of_ours_sessions_are_ended_but_never_a_runs(venue: Target) -> None:
    take(venue)
    with closing(venue.connect(application_name="integrity-run")) as run:
        with pytest.raises(DatabaseError) as refused:
            restore(venue, may_end_sessions=True)
        assert refused.value.hint == "A run works there: integrity stop"
        assert run.execute("select 1").fetchone() == (1,)
    with closing(venue.connect(application_name="psql")) as session:
        (ended,) = restore(venue, may_end_sessions=True)
        assert ended.startswith("psql (pid ")
        with pytest.raises(psycopg.OperationalError):
            session.execute("select 1")


def test_a_session_that_comes_at_the_last_moment_leaves_the_old_database(
    venue: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The names are swapped in one transaction: the server refuses the whole of it."""
    take(venue)
    execute(venue, "insert into ghostpass.wallets (code) values ('W2')")
    real = postgresql_copies.give_properties
    late: list[psycopg.Connection[object]] = []

    def connect_and_go_on(server: "psycopg.Connection[object]", source: str, place: str) -> None:
        late.append(venue.connect(application_name="late"))
        real(server, source, place)

    monkeypatch.setattr(postgresql_copies, "give_properties", connect_and_go_on)
    with pytest.raises(DatabaseError, match="is being accessed by other users") as refused:
        restore(venue)
    assert "Nothing was changed" in (refused.value.hint or "")
    late[0].close()
    assert codes(venue) == ["W1", "W2"]
    monkeypatch.undo()
    restore(venue)
    assert codes(venue) == ["W1"]
    assert databases(venue) == {f"{venue.url.database}_snapshot_seeded"}, "what the first try left is gone"


def test_what_belongs_to_the_database_and_not_to_its_content_stays(venue: Target) -> None:
    name = venue.url.database
    with closing(venue.connect()) as server:
        server.execute("drop role if exists keeper")
        server.execute("create role keeper")
        for statement in (
            f"alter database {name} owner to keeper",
            f"alter database {name} connection limit 17",
            f"alter database {name} set work_mem to '17MB'",
            f'alter database {name} set search_path to "My Shop", public',
            f"alter role keeper in database {name} set statement_timeout to '3s'",
            f"revoke connect on database {name} from public",
            f"grant connect, temporary on database {name} to keeper with grant option",
            f"comment on database {name} is 'ours'",
        ):
            server.execute(statement.encode())
    query = """
        select pg_get_userbyid(datdba), datconnlimit, datallowconn, shobj_description(pg_database.oid, 'pg_database'),
            (select array_agg(said order by said) from aclexplode(datacl) as rights
             cross join concat(rights.grantee, rights.privilege_type, rights.is_grantable) as said),
            (select array_agg(setrole || setconfig::text order by setrole)
             from pg_db_role_setting where setdatabase = pg_database.oid)
        from pg_database where datname = current_database()
    """

    def properties() -> object:
        with closing(venue.connect()) as server:
            return server.execute(query).fetchone()

    before = properties()
    try:
        take(venue)
        restore(venue)
        assert properties() == before
    finally:
        with closing(venue.connect()) as server:
            server.execute("reassign owned by keeper to current_user")
            server.execute("drop owned by keeper")
            server.execute("drop role keeper")


def test_a_database_that_was_dropped_comes_back(venue: Target) -> None:
    take(venue)
    with closing(Target(venue.url.set(database="postgres")).connect()) as server:
        server.execute(f"drop database {venue.url.database}".encode())
    restore(venue)
    assert codes(venue) == ["W1"]


def test_a_snapshot_lets_nobody_in_and_no_other_database_passes_for_one(venue: Target) -> None:
    take(venue)
    with pytest.raises(DatabaseError, match="not currently accepting connections"):
        Target(venue.url.set(database=f"{venue.url.database}_snapshot_seeded")).connect()
    with closing(Target(venue.url.set(database="postgres")).connect()) as server:
        server.execute(f"create database {venue.url.database}_snapshot_mine".encode())
    assert [copy.name for copy in list_copies(venue)] == ["seeded"]
    with pytest.raises(DatabaseError, match="that is no snapshot of ours"):
        take(venue, "mine")


def test_a_role_that_may_not_make_databases_is_told(venue: Target) -> None:
    with closing(venue.connect()) as server:
        server.execute("drop role if exists poor")
        server.execute("create role poor login")
        server.execute("grant usage on schema integrity to poor")
        server.execute("grant select on integrity.notes to poor")
    try:
        with pytest.raises(DatabaseError, match="permission denied to create database"):
            take(Target(venue.url.set(username="poor")))
    finally:
        with closing(venue.connect()) as server:
            server.execute("drop owned by poor")
            server.execute("drop role poor")


def test_a_large_database_is_copied_as_files(venue: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgresql_copies, "FILE_COPY_BYTES_LEAST", 1)
    take(venue)
    execute(venue, "delete from ghostpass.wallets")
    restore(venue)
    assert codes(venue) == ["W1"]


def test_a_locked_sqlite_file_is_refused_and_stays_whole(file_venue: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_copies, "BUSY_S_MOST", 0.2)
    take(file_venue)
    execute(file_venue, "insert into ghostpass.wallets (code) values ('W2')")
    with closing(file_venue.connect_sqlite(("ghostpass",))) as other:
        other.execute("begin immediate")
        with pytest.raises(DatabaseError, match="locked") as refused:
            restore(file_venue)
        assert "Another session" in (refused.value.hint or "")
        other.execute("rollback")
    assert codes(file_venue) == ["W1", "W2"]


def test_a_file_that_is_refused_half_way_brings_the_others_back(
    file_venue: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three files are kept first; the second that goes back is refused: all are as they were, and nothing is left over."""
    take(file_venue)
    execute(file_venue, "insert into ghostpass.wallets (code) values ('W2')")
    real = sqlite_copies._back_up
    backed_up: list[object] = []

    def fail_on_the_fifth(source: sqlite3.Connection, copy: sqlite3.Connection, *, schema: str = "main") -> None:
        backed_up.append(copy)
        if len(backed_up) == 5:
            raise sqlite3.OperationalError("database or disk is full")
        real(source, copy, schema=schema)

    monkeypatch.setattr(sqlite_copies, "_back_up", fail_on_the_fifth)
    with pytest.raises(DatabaseError, match="disk is full"):
        restore(file_venue)
    assert codes(file_venue) == ["W1", "W2"]
    assert [path.name for path in (file_venue.file.parent / "venue.snapshots").iterdir()] == ["seeded"]


def test_a_restore_that_was_killed_is_undone_before_the_next(file_venue: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kill is an exception that nothing of ours handles; then a restore of another snapshot fails for good."""
    take(file_venue, "first")
    execute(file_venue, "insert into ghostpass.wallets (code) values ('W2')")

    class Killed(BaseException):
        pass

    def kill(target: Target, place: Path) -> None:
        for file in target.file.parent.glob("venue*.db"):
            file.write_bytes(b"")
        raise Killed

    monkeypatch.setattr(sqlite_copies, "_put_back", kill)
    with pytest.raises(Killed):
        restore(file_venue, "first")
    monkeypatch.undo()
    assert codes_or_none(file_venue) is None
    before = file_venue.file.parent / "venue.snapshots" / sqlite_copies.BEFORE
    sqlite_copies._put_back(file_venue, before)
    assert codes(file_venue) == ["W1", "W2"], "it was all there"


def codes_or_none(target: Target) -> list[str] | None:
    try:
        return codes(target)
    except sqlite3.OperationalError:
        return None


Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Run `integrity` in a folder of the test's own; its server is stopped afterwards."""
    monkeypatch.delenv("INTEGRITY_DATABASE_URL", raising=False)

    def run(*words: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "integrity", *words]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, cwd=tmp_path, check=False, timeout=60)

    yield run
    EmbeddedServer(tmp_path / ".integrity/postgres").stop()


# A function that has to stand in a schema would be refused.
NEWER_AND_IN_NOBODYS_WAY = {
    "create cast (money as xml) with inout": "cast (pg_catalog.money AS pg_catalog.xml)",
    "create extension citext": "extension citext",
}


def test_the_commands_on_the_embedded_server(run: Run, tmp_path: Path) -> None:
    assert run("seed", "--system", "ghostpass", "--wallets", "50").returncode == 0
    kept = run("snapshot", "seeded")
    assert kept.returncode == 0, kept.stderr
    assert "To put it back: integrity restore seeded" in kept.stdout
    target = EmbeddedServer(tmp_path / ".integrity/postgres").target
    execute(target, "delete from ghostpass.audit_log")
    listed = json.loads(run("snapshot", "--list", "--json").stdout)["snapshots"]
    assert [copy["name"] for copy in listed] == ["seeded"]
    for statement in NEWER_AND_IN_NOBODYS_WAY:
        execute(target, statement)
    assert run("restore", "seeded").returncode == 2, "nobody to ask"
    declined = run("restore", "seeded", stdin="n\n")
    lost = list(NEWER_AND_IN_NOBODYS_WAY.values())
    assert f"It got since then, and would lose: {', '.join(lost)}\n" in declined.stderr
    assert declined.stderr.endswith("Nothing was changed.\n")
    with closing(target.connect(application_name="psql")):
        restored = run("restore", "seeded", stdin="y\n")
    assert restored.returncode == 0, restored.stderr
    assert "ended: psql (pid " in restored.stderr
    assert f"It had got since then, and has lost: {', '.join(lost)}\n" in restored.stderr
    execute(target, next(iter(NEWER_AND_IN_NOBODYS_WAY)))
    assert json.loads(run("restore", "seeded", "--yes", "--json").stdout)["lost"] == lost[:1]
    with closing(target.connect()) as server:
        assert (server.execute("select count(*) from ghostpass.audit_log").fetchone() or (0,))[0] > 0
    assert run("snapshot", "--drop", "seeded").stdout == "Dropped snapshot seeded.\n"
    assert "has no snapshots" in run("snapshot", "--list").stdout
    dry = run("rollback", "--dry-run")
    assert f"  ghostpass: {len(GHOSTPASS.metadata.tables)} tables, " in dry.stdout
    assert "    wallets: 50 rows\n" in dry.stdout
    assert dry.stdout.endswith("Nothing was removed: this was a dry run.\n")
    counted = json.loads(run("rollback", "--dry-run", "--json").stdout)
    assert counted["would_drop"]["ghostpass"]["wallets"] == 50
    with closing(target.connect()) as server:
        assert server.execute("select count(*) from ghostpass.wallets").fetchone() == (50,), "all is still there"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["snapshot", "a", "--list"], "NAME, --list and --drop are three things to do"),
        (["snapshot", "--drop", "none"], "has no snapshot 'none'"),
        (["restore", "none"], "has no snapshot 'none'"),
        (["restore"], "missing argument"),
        (["snapshot", "x", "--database", "sqlite:///none.db"], "there is no file "),
    ],
)
def test_bad_input_is_told(run: Run, words: list[str], reason: str, venue: Target) -> None:
    refused = run(*words, *([] if "--database" in words else ["--database", venue.text]))
    assert refused.returncode == 2
    assert reason in refused.stderr
    assert "Traceback" not in refused.stderr


def test_nobody_writes_between_the_copies_of_two_files(file_venue: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a snapshot would have the wallets of one moment and the books of another."""
    real = sqlite_copies._back_up
    refused: list[str] = []

    def write_and_go_on(source: sqlite3.Connection, copy: sqlite3.Connection, *, schema: str = "main") -> None:
        with closing(file_venue.connect_sqlite(("ghostpass",))) as other:
            other.execute("pragma busy_timeout = 0")
            try:
                other.execute("insert into ghostpass.wallets (code) values ('between')")
            except sqlite3.OperationalError as error:
                refused.append(str(error))
        real(source, copy, schema=schema)

    monkeypatch.setattr(sqlite_copies, "_back_up", write_and_go_on)
    take(file_venue)
    assert refused == ["database is locked"] * 3
    assert codes(file_venue) == ["W1"]

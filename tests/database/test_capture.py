"""A capture sees every row that changes, changes nothing about the application, and puts all back as it was."""

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import sql

from integrity.engines.target import Target
from integrity.errors import DatabaseError, UsageError
from integrity.race.program.change import ChangeKind
from integrity.race.rows.keeping import StillOpen
from integrity.race.rows.postgresql import capture as capturing
from integrity.race.rows.postgresql.capture import Capture, UndoRefused, install, remove
from integrity.race.rows.tables import CapturedTable
from integrity.sql.parameters import number_parameters
from tests.database.odd_tables import STATEMENTS, contents, make_odd_tables

Connection = psycopg.Connection[Any]

SPELLING = (
    "set datestyle = German; set intervalstyle = sql_standard; set bytea_output = escape; set timezone = 'Asia/Tokyo'"
)
SWAP = "place = -place"
TRIGGERS_ON = "select tgrelid::regclass::text, tgname, tgenabled from pg_trigger where not tgisinternal order by 1, 2"
Transaction = tuple[tuple[str, ...], str, str, str]
LEVELS = ("read committed", "repeatable read", "serializable")


@pytest.fixture
def connection(database: Target) -> Iterator[Connection]:
    """The application's."""
    with closing(database.connect()) as connection:
        yield connection


@pytest.fixture
def ordinary(database: Target, connection: Connection) -> Iterator[Target]:
    """The database as an ordinary role reaches it, which owns it."""
    role = sql.Identifier(f"app_{os.getpid()}")
    connection.execute(sql.SQL("create role {} login").format(role))
    name = sql.Identifier(str(database.url.database))
    connection.execute(sql.SQL("alter database {} owner to {}").format(name, role))
    yield Target(database.url.set(username=f"app_{os.getpid()}"))
    connection.execute(sql.SQL("alter database {} owner to current_user").format(name))
    connection.execute(sql.SQL("drop owned by {} cascade").format(role))
    connection.execute(sql.SQL("drop role {}").format(role))


def _play(connection: Connection, statements: tuple[str, ...], *, level: str, ends: str) -> None:
    """Play a transaction; what is refused ends it."""
    try:
        connection.execute(f"begin isolation level {level}".encode())
        for statement in statements:
            connection.execute(statement.encode())
        connection.execute(ends.encode())
    except psycopg.Error:
        connection.execute("rollback")


def _kinds(connection: Connection, capture: Capture, table: CapturedTable) -> Counter[str]:
    query = f"select change from ({capture.net_statement(table).sql}) as net"
    return Counter(change for (change,) in connection.execute(query.encode()))


def _transactions(statements: Sequence[str]) -> st.SearchStrategy[list[Transaction]]:
    transaction = st.tuples(
        st.lists(st.sampled_from(statements), min_size=1, max_size=5).map(tuple),
        st.sampled_from(LEVELS),
        st.sampled_from(("commit", "commit", "rollback")),
        st.sampled_from(("origin", "origin", "replica")),
    )
    return st.lists(transaction, min_size=1, max_size=4)


@pytest.mark.parametrize("is_owner", [False, True], ids=["superuser", "owner"])
def test_whatever_a_schedule_does_is_seen_and_undone(
    database: Target, ordinary: Target, connection: Connection, is_owner: bool
) -> None:
    """By an ordinary role that owns the tables too, but for what was swapped among unique values."""
    target = ordinary if is_owner else database
    make_odd_tables(target)
    connection.execute("alter table app.keyed enable always trigger aa_shape")
    connection.execute(SPELLING.encode())
    before, triggers = contents(connection), connection.execute(TRIGGERS_ON).fetchall()

    @settings(max_examples=40, deadline=None, database=None)
    @given(_transactions([each for each in STATEMENTS if not is_owner or SWAP not in each]))
    def play(transactions: list[Transaction]) -> None:
        capture.mark()
        for statements, level, ends, role in transactions:
            connection.execute(f"set session_replication_role = {role}".encode())
            _play(connection, statements, level=level, ends=ends)
        after, changes = contents(connection), capture.read().changes
        asked = {table.name: _kinds(connection, capture, table) for table in capture.tables.values()}
        capture.undo()
        assert contents(connection) == before
        for table in capture.tables.values():
            name = f"{table.schema}.{table.table}"
            was, now = Counter(before[name]), Counter(after[name])
            seen = [change for change in changes if change.table == table.name]
            assert sum(change.after is not None for change in seen) == (now - was).total(), name
            assert sum(change.before is not None for change in seen) == (was - now).total(), name
            assert asked[table.name] == Counter(change.kind.value for change in seen), name

    with install(target) as capture:
        assert capture.uncovered == ()
        play()
    assert connection.execute(TRIGGERS_ON).fetchall() == triggers


def test_rows_that_do_not_come_back_one_by_one_are_refused_and_left(ordinary: Target, connection: Connection) -> None:
    make_odd_tables(ordinary)
    with install(ordinary) as capture:
        connection.execute("update app.nodes set place = -place; update app.nodes set place = 4 + place")
        after = contents(connection)
        with pytest.raises(UndoRefused, match="nodes_place_key"):
            capture.undo()
        assert contents(connection) == after


def test_a_role_that_may_silence_foreign_keys_swaps_unique_values_back(ordinary: Target, connection: Connection) -> None:
    make_odd_tables(ordinary)
    role = sql.Identifier(str(ordinary.url.username))
    connection.execute(sql.SQL("grant set on parameter session_replication_role to {}").format(role))
    before = contents(connection)
    with install(ordinary) as capture:
        connection.execute("update app.nodes set place = -place; update app.nodes set place = 4 + place")
        capture.undo()
        assert contents(connection) == before


@pytest.mark.parametrize("columns", ["n numeric primary key", "n numeric primary key, note text"])
def test_a_key_that_is_the_same_and_spelled_otherwise_comes_back(
    database: Target, connection: Connection, columns: str
) -> None:
    connection.execute(f"create table t ({columns}); insert into t (n) values (1.0), (2)".encode())
    with install(database) as capture:
        connection.execute("update t set n = 1.000 where n = 1")
        capture.undo()
    assert connection.execute("select n::text from t order by n").fetchall() == [("1.0",), ("2",)]


def test_what_no_trigger_of_ours_sees_is_named(ordinary: Target, connection: Connection) -> None:
    with closing(ordinary.connect()) as owner:
        owner.execute("create table seen (a int primary key); create table forced (a int)")
        owner.execute("create materialized view summed as select sum(a) from seen")
        owner.execute("alter table forced enable row level security; alter table forced force row level security")
    connection.execute("create table foreign_to_us (a int); create sequence not_ours")
    connection.execute("select lo_create(0)")
    with install(ordinary) as capture:
        assert [table.name for table in capture.tables.values()] == ["seen"]
        assert [each.what for each in capture.uncovered] == [
            "table forced",
            "table foreign_to_us",
            "materialized view summed",
            "sequence not_ours",
            "large objects",
        ]


def test_no_serializable_call_is_refused_for_it(database: Target, connection: Connection) -> None:
    connection.execute("create table a (id int primary key, n int); create table b (like a including all)")
    connection.execute("insert into a values (1, 0), (2, 0); insert into b select * from a")

    def refusals() -> list[str]:
        """Play disjoint rows of two tables, then write skew, each in two transactions at once."""
        refused = []
        for one, other in (("update a set n = 1 where id = 1", "update b set n = 1 where id = 1"), SKEW):
            with closing(database.connect(settings={"lock_timeout": "2s"})) as second:
                for session, sql_text in ((connection, one), (second, other)):
                    session.execute("begin isolation level serializable")
                    session.execute(sql_text.encode())
                for session in (connection, second):
                    try:
                        session.execute("commit")
                        refused.append("")
                    except psycopg.errors.SerializationFailure:
                        refused.append("refused")
        return refused

    plain = refusals()
    connection.execute("update a set n = 0; update b set n = 0")
    with install(database):
        assert refusals() == plain == ["", "", "", "refused"]


SKEW = (
    "update a set n = (select count(*) from b where n = 9) + 2 where id = 2",
    "update b set n = (select count(*) from a where n = 9) + 2 where id = 2",
)


def test_the_application_sees_nothing_of_it(database: Target, ordinary: Target, connection: Connection) -> None:
    """Neither in its last value, nor in its command tags, nor by a right that it lacks, nor in what stays behind."""
    with closing(ordinary.connect()) as owner:
        owner.execute("create table t (id bigint generated always as identity (start 7) primary key, n int)")
        with install(database):
            tag = owner.execute("insert into t (n) values (1)").statusmessage
            last = owner.execute("select lastval()").fetchall()
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                owner.execute("select * from integrity_capture.log")
        assert (tag, last) == ("INSERT 0 1", [(7,)])
    left = connection.execute(
        "select (select count(*) from pg_trigger), (select count(*) from pg_namespace where nspname = 'integrity_capture')"
    ).fetchall()
    assert left == [(0, 0)]


def test_the_application_locks_nothing_more_than_the_log(database: Target, connection: Connection) -> None:
    connection.execute("create table t (id int primary key, body text); insert into t values (1, 'x')")

    def locks() -> set[tuple[object, ...]]:
        connection.execute(
            "begin; update t set body = (select string_agg(md5(n::text), '') from generate_series(1, 9000) as n)"
        )
        held = connection.execute(
            "select locktype, coalesce(relation, classid)::int8, objid, mode from pg_locks"
            " where pid = pg_backend_pid() and locktype in ('relation', 'advisory', 'object')"
            " and relation <> 'pg_locks'::regclass"
        ).fetchall()
        connection.execute("rollback")
        return set(held)

    plain = locks()
    with install(database) as capture:
        more = locks() - plain
    assert {oid for _, oid, *_ in more} == capture.log_oids
    assert {mode for *_, mode in more} == {"RowExclusiveLock"}


def test_what_a_transaction_touched_is_told_by_its_process(database: Target, connection: Connection) -> None:
    connection.execute("create table t (a int, b text, n int, primary key (b, a))")
    connection.execute("insert into t values (1, 'x', 0), (2, 'x', 0)")
    with install(database) as capture, closing(database.connect()) as second:
        connection.execute("update t set n = n where a = 1")
        second.execute("update t set a = 3 where a = 2")
        record = capture.read()
        first, other = connection.info.backend_pid, second.info.backend_pid
    assert [(each.pid, each.table, each.identity) for each in record.touched] == [
        (first, "t", ("x", "1")),
        (other, "t", ("x", "2")),
        (other, "t", ("x", "3")),
    ]
    assert [(change.kind, change.identity) for change in record.changes] == [
        (ChangeKind.GONE, ("x", "2")),
        (ChangeKind.MADE, ("x", "3")),
    ]


def test_the_query_of_what_changed_is_a_statement_without_parameters(database: Target) -> None:
    make_odd_tables(database)
    with install(database) as capture:
        for table in capture.tables.values():
            asked = capture.net_statement(table).sql
            assert number_parameters(asked) == (asked, ())


def test_what_a_schedule_left_is_told_as_the_judge_compares_it(database: Target, connection: Connection) -> None:
    connection.execute("create table t (id bigint generated always as identity primary key, at timestamptz, n int)")
    connection.execute("insert into t (at, n) values ('2026-01-01Z', 1), ('infinity', 2)")
    with install(database) as capture:
        connection.execute("insert into t (n) values (3); update t set n = 9 where id = 1; delete from t where id = 2")
        record = capture.read()
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    assert record.remains == [
        ("t", {"id": 1, "at": moment, "n": 9}),
        ("t gone", {"id": 2, "at": "infinity", "n": 2}),
        ("t", {"id": 3, "at": None, "n": 3}),
    ]
    assert record.generated == {3}


def test_a_truncate_that_did_not_see_all_that_it_took_is_refused(database: Target, connection: Connection) -> None:
    connection.execute("create table t (a int primary key); insert into t values (1)")
    with install(database) as capture, closing(database.connect()) as second:
        connection.execute("begin isolation level repeatable read")
        connection.execute("select from pg_class")
        second.execute("insert into t values (2)")
        connection.execute("truncate t; commit")
        with pytest.raises(UndoRefused, match="truncate"):
            capture.undo()


def test_a_transaction_that_is_still_open_is_said_at_once(database: Target, connection: Connection) -> None:
    connection.execute("create table t (a int primary key)")
    with install(database) as capture:
        connection.execute("begin; insert into t values (1)")
        for act in (capture.mark, capture.undo):
            with pytest.raises(StillOpen, match=r"a transaction that wrote there is still open, .*insert into t") as told:
                act()
            assert told.value.exit_code == 3
        connection.execute("commit")
        capture.undo()
    assert connection.execute("select * from t").fetchall() == []


def test_a_schedule_that_makes_tables_is_refused(database: Target, connection: Connection) -> None:
    connection.execute("create table t (a int primary key)")
    with install(database) as capture:
        connection.execute("alter table t add column b int")
        with pytest.raises(UndoRefused, match="altered"):
            capture.undo()


def test_what_a_killed_race_left_is_removed_by_the_next(database: Target, connection: Connection) -> None:
    connection.execute("create table t (a int primary key)")
    abandoned = install(database)
    abandoned.__enter__()
    connection.execute(
        "select pg_terminate_backend(pid, 5000) from pg_stat_activity where application_name = %s",
        (f"integrity race rows of {os.getpid()}",),
    )
    with install(database) as capture:
        connection.execute("insert into t values (1)")
        assert len(capture.read().changes) == 1
    assert not remove(database)


def test_what_has_a_table_locked_at_the_end_is_waited_for_and_then_told(
    database: Target, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection.execute("create table t (a int primary key); create table u (a int primary key)")
    with closing(database.connect(application_name="nightly")) as holder:
        with install(database):
            holder.execute("set idle_in_transaction_session_timeout = '700ms'")  # by then it is gone, without a word
            holder.execute("begin; select from u")
        assert connection.execute(TRIGGERS_ON).fetchall() == []
    monkeypatch.setattr(capturing, "REMOVAL_S", 0.0)
    with closing(database.connect(application_name="nightly")) as holder:
        with pytest.raises(DatabaseError) as told, install(database):
            holder.execute("begin; select from u")
        said = rf"could not be taken from its tables within 0 s: process {holder.info.backend_pid} \(nightly\), "
        assert re.search(said + r"'begin; select from u' has one locked", told.value.message)
        assert "drop schema integrity_capture cascade" in (told.value.hint or "")
        connection.execute("insert into t values (1)")
        holder.rollback()
        assert remove(database)
        assert connection.execute(TRIGGERS_ON).fetchall() == []


def test_two_captures_do_not_stand_on_one_database(database: Target) -> None:
    who = f"another race is played there, by the process {os.getpid()}"
    with install(database), pytest.raises(UsageError, match=who), install(database):
        pass


def test_a_schema_of_its_name_that_is_not_ours_is_left_alone(database: Target, connection: Connection) -> None:
    connection.execute("create schema integrity_capture")
    with pytest.raises(UsageError, match="is not ours"), install(database):
        pass


def test_a_role_that_may_make_no_schema_is_told_the_right(
    database: Target, ordinary: Target, connection: Connection
) -> None:
    connection.execute(
        sql.SQL("alter database {} owner to current_user").format(sql.Identifier(str(database.url.database)))
    )
    with pytest.raises(DatabaseError, match="grant create on database"), install(ordinary):
        pass


def test_no_vacuum_that_begins_by_itself_is_taken_for_an_open_transaction(database: Target, connection: Connection) -> None:
    """It locks what it works on, about once a minute, against the lock that tells whether somebody still writes."""
    connection.execute("create table items (id int)")
    connection.commit()
    with install(database):
        locked = connection.execute(
            """
            select relation.relname, relation.reloptions
            from pg_proc as function
            join pg_namespace as place on place.oid = function.pronamespace and place.nspname = 'integrity_capture'
            join pg_class as relation on relation.relnamespace = place.oid
                and function.prosrc ~ format('lock table %I.%I ', place.nspname, relation.relname)
            group by relation.oid
            """
        ).fetchall()
    assert locked == [("log", ["autovacuum_enabled=false"])]

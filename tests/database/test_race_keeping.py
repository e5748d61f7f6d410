"""Which way the rows of a schedule are kept, and the last resort: a database made anew."""

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, closing

import psycopg
import pytest
from psycopg import sql

from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.target import Target
from integrity.errors import DatabaseError, UsageError
from integrity.events import listen
from integrity.operation import Ok
from integrity.race.gated.calls import Callers
from integrity.race.gated.postgresql.stand import open_stand
from integrity.race.program.program import Program
from integrity.race.rows.keeping import KeepingWay, choose_keeping
from integrity.race.rows.postgresql.capture import install
from integrity.race.rows.postgresql.copy import make_copy, reserve_copy
from integrity.race.rows.postgresql.template import make_template
from integrity.systems.stage import Stage
from tests.database.odd_tables import contents, make_odd_tables


@pytest.fixture
def ordinary(database: Target, server: EmbeddedServer) -> Iterator[Target]:
    """The database as an ordinary role reaches it, which owns it and may create databases."""
    role = sql.Identifier(f"keeper_{os.getpid()}")
    name = sql.Identifier(str(database.url.database))
    with closing(server.target.connect()) as admin:
        admin.execute(sql.SQL("create role {} login createdb").format(role))
        admin.execute(sql.SQL("alter database {} owner to {}").format(name, role))
        yield Target(database.url.set(username=f"keeper_{os.getpid()}"))
        admin.execute(sql.SQL("alter database {} owner to current_user").format(name))
        with closing(database.connect()) as inside:
            inside.execute(sql.SQL("drop owned by {} cascade").format(role))
        admin.execute(sql.SQL("drop role {}").format(role))


def test_rows_that_are_all_seen_and_come_back_are_undone(database: Target) -> None:
    make_odd_tables(database)
    with install(database) as capture:
        keeping = choose_keeping(capture, has_template=False)
    assert keeping.way is KeepingWay.UNDO
    assert str(keeping).startswith("rows: undone by change capture, ")
    assert str(keeping).endswith(" ms a schedule")


def test_what_changes_unseen_though_undone_is_said(database: Target) -> None:
    with closing(database.connect()) as connection:
        connection.execute("create materialized view few as select 1; create table t (a int)")
    with install(database) as capture:
        said = str(choose_keeping(capture, has_template=False))
    assert said.endswith(" ms a schedule; not seen: materialized view few: what refreshes it is seen by no trigger")


def test_where_rows_are_kept_in_neither_way_it_is_said(database: Target, ordinary: Target) -> None:
    with closing(database.connect()) as admin:
        admin.execute(f"create table others (a int); grant insert on others to {ordinary.url.username}".encode())
    reason = r"changes of table others are not seen \(only its owner .* connect as its owner\)"
    with install(ordinary) as capture:
        said = str(choose_keeping(capture, has_template=True))
        assert re.fullmatch(f"rows: a database made anew from a template, as {reason}", said)
        with pytest.raises(UsageError, match=f"cannot be put back: {reason}") as told:
            choose_keeping(capture, has_template=False)
    assert "started here" in (told.value.hint or ""), "there a copy is made anew"


def test_a_copy_is_raced_on_though_what_is_done_there_is_neither_seen_nor_undone(
    database: Target, ordinary: Target
) -> None:
    """A call makes a table, and writes one of another owner's: each schedule finds both as they were."""
    with closing(database.connect()) as admin:
        admin.execute(f"create table others (a int); grant select, insert on others to {ordinary.url.username}".encode())
    with closing(ordinary.connect()) as connection:
        connection.execute("create table boxes (id int primary key, n int); insert into boxes values (1, 0)")
        connection.commit()

    def make() -> list[tuple[int, int]]:
        with psycopg.connect(stand.target.text, autocommit=True) as connection:
            connection.execute("create table made (a int); insert into others values (1)")
            connection.execute("update boxes set n = n + 1")
            return connection.execute("select n, (select count(*) from others) from boxes").fetchall()

    def reshape() -> None:
        with psycopg.connect(stand.target.text, autocommit=True) as connection:
            connection.execute("alter table boxes add m int default 1; update boxes set n = n + 1")

    with ExitStack() as stack:
        place = stack.enter_context(reserve_copy(ordinary))
        listen(make_copy(place))
        with pytest.raises(UsageError, match="changes of table others are not seen"), open_stand(place.target):
            pass
        stand = stack.enter_context(open_stand(place.target, copy=place))
        callers = Callers()
        stack.callback(callers.close)
        program, reshaping = (
            Program((callers.actor(each),), lambda: Stage((), {}), is_captured=True) for each in (make, reshape)
        )
        assert "rows of boxes have other columns than before" in stand.scheduler.play(reshaping).cut
        for _ in range(2):
            run = stand.scheduler.play(program)
            assert (run.cut, run.trace.returns) == ("", {"A": Ok({"returned": [(1, 1)]})})
            assert [(change.table, change.after) for change in run.changes or ()] == [("boxes", {"id": 1, "n": 1})]
            assert re.fullmatch("what a call did is not compared: .*create table.*; changes of table others .*", run.unseen)
        said = (
            r"rows: a database made anew from a template, \d+\.\d ms a schedule, as changes of table others are not seen .*"
        )
        assert re.fullmatch(said, stand.rows)
        with stand.altered("alter table boxes add constraint few check (n < 1)", "not needed: the copy is made anew"):
            assert "few" in str(stand.scheduler.play(program).trace.returns)
        assert stand.scheduler.play(program).trace.returns == run.trace.returns


@pytest.mark.parametrize(
    ("right", "way"),
    [
        ("select", KeepingWay.UNDO),
        ("insert", KeepingWay.TEMPLATE),
        ("update (b)", KeepingWay.TEMPLATE),
        ("delete", KeepingWay.TEMPLATE),
    ],
)
def test_a_table_that_the_role_may_write_and_not_watch_is_made_anew(
    database: Target, ordinary: Target, right: str, way: KeepingWay
) -> None:
    with closing(database.connect()) as admin:
        admin.execute(f"create table others (a int, b int); grant {right} on others to {ordinary.url.username}".encode())
    with install(ordinary) as capture:
        assert choose_keeping(capture, has_template=True).way is way


@pytest.mark.parametrize("is_ordinary", [False, True])
def test_a_database_made_anew_is_the_same_under_the_same_name(
    database: Target, ordinary: Target, is_ordinary: bool
) -> None:
    target = ordinary if is_ordinary else database
    make_odd_tables(target)
    with reserve_copy(target) as place:
        copied = listen(make_copy(place)).target
        with closing(copied.connect()) as connection:
            before = contents(connection)
            connection.execute(f"alter role current_user in database {place.name} set work_mem = '7MB'".encode())
        with make_template(place) as template:
            session = copied.connect()
            session.execute("delete from app.bag; drop table app.keyed; select nextval('app.tickets')")
            assert template.renew() > 0
            session.close()
            with closing(copied.connect(settings={})) as connection:
                assert contents(connection) == before
                assert connection.execute("show work_mem").fetchall() == [("7MB",)]
            databases = _databases(target)
            assert len([name for name in databases if name.startswith("integrity_tmp_template_")]) == 1
    assert not [name for name in _databases(target) if name.startswith("integrity_tmp_")]


def test_a_template_is_made_of_a_copy_that_nobody_is_in(database: Target) -> None:
    with reserve_copy(database) as place:
        copied = listen(make_copy(place)).target
        with (
            closing(copied.connect(application_name="app")),
            pytest.raises(DatabaseError, match="sessions are connected"),
            make_template(place),
        ):
            pass


def _databases(target: Target) -> list[str]:
    with closing(target.connect()) as connection:
        return [name for (name,) in connection.execute("select datname from pg_database")]

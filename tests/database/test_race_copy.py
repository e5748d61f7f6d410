"""A copy to race on has the rows, the definitions and the rights of its database, and is gone afterwards."""

import os
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest
from psycopg import sql

from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.target import Target
from integrity.errors import MayNotCreate, UsageError
from integrity.events import Advanced, Event, listen
from integrity.race.rows.postgresql.copy import Copied, CopyWay, make_copy, reserve_copy
from tests.database.odd_tables import contents, make_odd_tables

Connection = psycopg.Connection[Any]


def _all(target: Target) -> dict[str, Any]:
    """Return the contents of the odd tables and all definitions."""
    with closing(target.connect()) as connection:
        return {**contents(connection), "definitions": set(target.engine.read_definitions(target))}


def _exists(target: Target, name: str) -> bool:
    with closing(target.connect()) as connection:
        return bool(connection.execute("select from pg_database where datname = %s", (name,)).fetchall())


@pytest.fixture
def ordinary(database: Target, server: EmbeddedServer) -> Iterator[Target]:
    """The database as an ordinary role reaches it, which owns it and may create databases."""
    role = sql.Identifier(f"copier_{os.getpid()}")
    name = sql.Identifier(str(database.url.database))
    with closing(server.target.connect()) as admin:
        admin.execute(sql.SQL("create role {} login createdb").format(role))
        admin.execute(sql.SQL("alter database {} owner to {}").format(name, role))
        yield Target(database.url.set(username=f"copier_{os.getpid()}"))
        admin.execute(sql.SQL("alter database {} owner to current_user").format(name))
        with closing(database.connect()) as inside:
            inside.execute(sql.SQL("drop owned by {} cascade").format(role))
        admin.execute(sql.SQL("drop role {}").format(role))


def test_a_database_that_nobody_is_in_is_copied_by_the_server(database: Target) -> None:
    make_odd_tables(database)
    before = _all(database)
    with reserve_copy(database) as place:
        copied = listen(make_copy(place))
        assert (copied.way, copied.missing) == (CopyWay.FILES, ())
        assert copied.target.url.username == database.url.username
        assert _all(copied.target) == before
    assert not _exists(database, place.name)


def test_a_database_that_somebody_is_in_is_copied_row_by_row(database: Target) -> None:
    make_odd_tables(database)
    before = _all(database)
    told: list[Event] = []
    with closing(database.connect(application_name="app")), reserve_copy(database) as place:
        copied = listen(make_copy(place), told.append)
        assert (copied.way, copied.missing) == (CopyWay.ROWS, ())
        assert _all(copied.target) == before
    tables = [event.item for event in told if isinstance(event, Advanced)]
    assert tables[1:3] == ["app.Odd %s {x} :y", "app.bag"]
    assert not _exists(database, place.name)


@pytest.mark.parametrize("is_busy", [False, True])
def test_an_ordinary_role_copies_its_own(ordinary: Target, is_busy: bool) -> None:
    make_odd_tables(ordinary)
    before = _all(ordinary)
    connections = [ordinary.connect(application_name="app")] if is_busy else []
    with reserve_copy(ordinary) as place:
        copied = listen(make_copy(place))
        assert copied.way is (CopyWay.ROWS if is_busy else CopyWay.FILES)
        assert copied.missing == ()
        assert _all(copied.target) == before
    for connection in connections:
        connection.close()


def test_rights_owners_and_settings_come_along(database: Target, ordinary: Target) -> None:
    """Also where a trigger, a policy and a materialized view stand on the rows."""
    role = str(ordinary.url.username)
    with closing(database.connect(application_name="app")) as admin:
        admin.execute(
            f"""
            create schema shop; create table shop.t (a int, b numeric); insert into shop.t values (1, 2), (2, 3);
            create table shop.own (a int); alter table shop.own owner to {role};
            grant usage on schema shop to {role}; grant select, update (b) on shop.t to {role};
            create materialized view shop.summed as select sum(a) from shop.t;
            create function shop.f() returns int language sql as 'select 1';
            revoke execute on function shop.f() from public;
            alter table shop.t enable row level security; create policy p on shop.t to {role} using (a = 1);
            alter database {database.url.database} set default_transaction_isolation = 'repeatable read';
            """.encode()
        )
        with reserve_copy(database) as place:
            copied = listen(make_copy(place))
            assert (copied.way, copied.missing) == (CopyWay.ROWS, ())
            with closing(Target(copied.target.url.set(username=role)).connect(settings={})) as other:
                assert other.execute("select * from shop.t").fetchall() == [(1, 2)]
                assert other.execute("show default_transaction_isolation").fetchall() == [("repeatable read",)]
                other.execute("insert into shop.own values (1)")
                other.execute("update shop.t set b = 9")
                for refused in ("select shop.f()", "update shop.t set a = 9"):
                    with pytest.raises(psycopg.errors.InsufficientPrivilege):
                        other.execute(refused.encode())
            with closing(copied.target.connect()) as again:
                assert again.execute("select * from shop.summed").fetchall() == [(3,)]


def test_what_an_ordinary_role_cannot_copy_is_named(database: Target, ordinary: Target) -> None:
    role = str(ordinary.url.username)
    with closing(database.connect(application_name="app")) as admin:
        admin.execute(
            f"""
            create table hidden (a int); insert into hidden values (1); create table policed (a int);
            alter table policed enable row level security; grant select on policed to {role};
            select lo_create(0); create collation odd from "C"; create publication told for all tables;
            create foreign data wrapper afar; create server far foreign data wrapper afar;
            create foreign table prices (a int) server far;
            """.encode()
        )
        with reserve_copy(ordinary) as place:
            copied = listen(make_copy(place))
            assert copied.missing == (
                "the rows of public.hidden: its user may not read them",
                "the rows of public.policed: its user may not read them",
                "1 large object: only a copy by the server has them",
                "table public.prices: no statement is known for it",
                "collation public.odd: no statement is known for it",
                "foreign server far: it is not copied",
                "publication told: it is not copied",
                "the owner of 2 objects: here its user owns them, whom policies then let see all",
            )


@pytest.mark.parametrize(
    "options",
    [
        "encoding 'LATIN1' locale_provider libc lc_collate 'C' lc_ctype 'C'",
        "encoding 'UTF8' locale_provider libc lc_collate 'C.utf8' lc_ctype 'C'",
    ],
)
def test_text_is_stored_and_ordered_alike(server: EmbeddedServer, options: str) -> None:
    name = f"ordered_{os.getpid()}"
    with closing(server.target.connect()) as admin:
        admin.execute(f"create database {name} template template0 {options}".encode())
        target = Target(server.target.url.set(database=name))
        with closing(target.connect(application_name="app")) as connection:
            connection.execute("create table t (a text primary key); insert into t values ('z'), ('ö'), ('Z'), ('a')")
            with reserve_copy(target) as place:
                copied = listen(make_copy(place))
                assert (copied.way, copied.missing) == (CopyWay.ROWS, ())
                with closing(copied.target.connect()) as copy:
                    assert copy.execute(TEXT).fetchall() == connection.execute(TEXT).fetchall()
        admin.execute(f"drop database {name} with (force)".encode())


TEXT = """
    select
        array_agg(a order by a),
        (
            select (to_jsonb(d) - '{oid,datname,datfrozenxid,datminmxid,dattablespace}'::text[])::text
            from pg_database as d where datname = current_database()
        )
    from t
"""


def test_a_copy_can_be_of_the_schema_alone(database: Target) -> None:
    make_odd_tables(database)
    with reserve_copy(database) as place:
        copied = listen(make_copy(place, has_rows=False))
        empty = _all(copied.target)
        assert empty.pop("definitions") == _all(database)["definitions"]
        assert {name for name, rows in empty.items() if rows and "_seq" not in name} == {"app.tickets"}


def test_a_database_that_is_too_large_is_refused_with_what_to_do(database: Target) -> None:
    with reserve_copy(database) as place:
        with pytest.raises(UsageError, match=r"more than the 1 MB .*\n  hint: .*\[database\] test"):
            listen(make_copy(place, bytes_most=1_000_000))
        assert not _exists(database, place.name)


def test_a_role_that_may_create_no_database_is_told_so(database: Target, ordinary: Target) -> None:
    with closing(database.connect()) as admin:
        admin.execute(sql.SQL("alter role {} nocreatedb").format(sql.Identifier(str(ordinary.url.username))))
    with pytest.raises(MayNotCreate, match="createdb"), reserve_copy(ordinary):
        pass


def test_what_a_killed_race_left_is_dropped_by_the_next(database: Target) -> None:
    abandoned = reserve_copy(database)
    place = abandoned.__enter__()
    copied: Copied = listen(make_copy(place))
    place.server.close()
    with closing(database.connect()) as admin:
        admin.execute("select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = 'postgres'")
    assert _exists(database, str(copied.target.url.database))
    with reserve_copy(database):
        assert not _exists(database, place.name)

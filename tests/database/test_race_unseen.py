"""What a call does that is neither undone nor compared leaves the verdict unknown, with what it was."""

from contextlib import ExitStack, closing
from functools import partial

import psycopg
import pytest

from integrity.engines.target import Target
from integrity.jobs.calls_raced import NotHeld
from integrity.jobs.race_calls import CallRace

SCHEMA = """
create table boxes (id int primary key, n int not null);
insert into boxes values (1, 0);
create materialized view totals as select sum(n) as n from boxes;
create unique index on totals (n);
create function tidy() returns void language plpgsql as $$ begin refresh materialized view totals; end $$;
create function sweep() returns void language sql as $$ update boxes set n = 0 where id = 1 $$;
"""
UNSEEN = {
    "refresh materialized view totals": "refresh materialized view public.totals",
    "refresh materialized view concurrently totals": "refresh materialized view public.totals",
    "select tidy()": "refresh materialized view public.totals",
    "grant select on boxes to public": "grant",
    "create view seen as select 1 as n": "create view public.seen",
    "set session_replication_role = replica; create or replace view hushed as select 1 as n": "create view public.hushed",
    "select lo_from_bytea(0, 'x')": "large objects were written",
    "alter role current_user set work_mem = '4MB'": "alter role",
    "select pg_advisory_lock(7)": "(a lock that A kept|kept an advisory lock)",
}
SEEN = (
    "create temp table work on commit drop as select n from boxes; drop table if exists nothing; select sweep()",
    "select pg_advisory_lock(7); update boxes set n = n + 1 where id = 1; select pg_advisory_unlock(7)",
    "truncate boxes",
)


def test_what_is_not_undone_is_said_and_never_held(database: Target) -> None:
    with closing(database.connect()) as connection:
        connection.execute(SCHEMA.encode())
        connection.commit()
    with CallRace(database, test_database=database.url.database, schedules=40) as race, ExitStack() as stack:
        pool = [psycopg.connect(race.url, autocommit=True) for _ in range(2)]

        def close_all() -> None:  # also those that came in the place of one that was cut
            for connection in pool:
                connection.close()

        stack.callback(close_all)

        def call(sql: str) -> None:
            connection = pool.pop()
            try:
                connection.execute(sql.encode())
            finally:
                pool.append(connection if not connection.closed else psycopg.connect(race.url, autocommit=True))

        for sql in SEEN:
            race(partial(call, sql)).holds()
        for sql, said in UNSEEN.items():
            with pytest.raises(NotHeld, match=f"nobody knows whether it holds.*{said}"):
                race(partial(call, sql)).holds()


def test_a_lock_that_is_kept_between_two_transactions_is_its_holders(database: Target) -> None:
    """A lock on one connection guards what is done on another: whoever waits for it waits for the other call."""
    with closing(database.connect()) as connection:
        connection.execute(SCHEMA.encode())
        connection.commit()

    def add(*, is_locked: bool) -> None:
        with (
            psycopg.connect(race.url, autocommit=True) as guard,
            psycopg.connect(race.url, autocommit=True) as connection,
        ):
            if is_locked:
                guard.execute("select pg_advisory_lock(7)")
            ((n,),) = connection.execute("select n from boxes where id = 1").fetchall()
            connection.execute("update boxes set n = %s where id = 1", (n + 1,))
            if is_locked:
                guard.execute("select pg_advisory_unlock(7)")

    with CallRace(database, test_database=database.url.database) as race:
        raced = race(lambda: add(is_locked=True)).holds()
        assert raced.found.coverage.is_exhaustive
        with pytest.raises(NotHeld, match="stale check"):
            race(lambda: add(is_locked=False)).holds()

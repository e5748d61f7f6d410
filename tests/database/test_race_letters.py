"""What a client sends in one go is as many letters as it has statements and ends of transactions."""

from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import Any

import asyncpg
import psycopg
import pytest

from integrity.engines.target import Target
from integrity.jobs.calls_raced import NotHeld
from integrity.jobs.race_calls import CallRace
from integrity.operation import Ok
from integrity.verdict import Verdict

SCHEMA = """
create table boxes (id int primary key, n int not null);
insert into boxes values (1, 0), (2, 0);
create table notes (box int not null, n int not null);
create procedure count_twice() language plpgsql as $$
begin
    update boxes set n = n + 1 where id = 1; commit; update boxes set n = n + 1 where id = 2;
end
$$;
"""
Connection = psycopg.Connection[Any]
NOTED = "insert into notes select id, n from boxes where id = {}"
ADDED = "update boxes set n = n + 1 where id = {}"


@pytest.fixture
def race(database: Target) -> Iterator[CallRace]:
    with closing(database.connect()) as connection:
        connection.execute(SCHEMA.encode())
        connection.commit()
    with CallRace(database, test_database=database.url.database, seconds_max=5) as race:
        yield race


def simple(*statements: str) -> Callable[[Connection], object]:
    """Return what sends them as one simple query."""
    return lambda connection: connection.execute("; ".join(statements).encode())


def piped(*statements: str) -> Callable[[Connection], object]:
    """Return what sends them in a pipeline; behind a `sync` the server ends what is no transaction."""

    def run(connection: Connection) -> None:
        with connection.pipeline() as pipeline:
            for sql in statements:
                pipeline.sync() if sql == "sync" else connection.execute(sql.encode(), prepare=True)

    return run


def fetched(connection: Connection) -> None:
    """Ask for rows within a pipeline, which is ended by a Flush, and by a Sync only later."""
    with connection.pipeline():
        connection.execute("update boxes set n = n + 1 where id = 1")
        ((count,),) = connection.execute("select n from boxes where id = 2").fetchall()
        connection.execute("update boxes set n = %s where id = 2", (count + 1,))


def many(connection: Connection) -> None:
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany("update boxes set n = n + %s where id = %s", [(1, 1), (1, 2)])


def copied(connection: Connection) -> None:
    with connection.transaction(), connection.cursor() as cursor, cursor.copy("copy notes from stdin") as copy:
        copy.write_row((1, 1))


def copied_alone(connection: Connection) -> None:
    ((count,),) = connection.execute("select count(*) from notes").fetchall()
    with connection.cursor() as cursor, cursor.copy("copy notes from stdin") as copy:
        copy.write_row((1, count))


def refused(connection: Connection) -> None:
    with suppress(psycopg.errors.DivisionByZero):
        connection.execute(f"{ADDED.format(1)}; select 1 / 0; {ADDED.format(2)}".encode())
    with suppress(psycopg.errors.DivisionByZero), connection.pipeline():
        connection.execute(ADDED.format(1).encode())
        connection.execute("select 1 / 0")
        connection.execute(ADDED.format(2).encode())
    with suppress(psycopg.errors.DivisionByZero):
        connection.execute(f"begin; {ADDED.format(1)}; commit; {ADDED.format(2)}; select 1 / 0".encode())


def copied_by_asyncpg(race: CallRace) -> Callable[[], object]:
    async def copy() -> None:
        connection = await asyncpg.connect(race.url)
        try:
            count = await connection.fetchval("select count(*) from notes")
            await connection.copy_records_to_table("notes", records=[(1, count)])
        finally:
            await connection.close()

    return copy


ONE_BY_ONE = (ADDED.format(1), ADDED.format(2), NOTED.format(2))
IN_PARTS = ("begin", ADDED.format(1), "commit", NOTED.format(1))
WAYS: dict[str, tuple[Callable[[Connection], object], str]] = {
    "several in one transaction": (simple(*ONE_BY_ONE), ""),
    "a read before its write": (simple(NOTED.format(1), ADDED.format(1)), "notes has n 0 in the end, not 1"),
    "a commit in the middle": (simple(*IN_PARTS), "half done"),
    "two behind a commit": (simple(*IN_PARTS, ADDED.format(2)), "half done"),
    "a pipeline": (piped(*ONE_BY_ONE), ""),
    "a pipeline with a read before its write": (piped(NOTED.format(1), ADDED.format(1)), "notes has n 0 in the end, not 1"),
    "a pipeline of two transactions": (piped(ADDED.format(1), "sync", NOTED.format(1)), "half done"),
    "a pipeline with a commit": (piped(*IN_PARTS), "half done"),
    "rows that a pipeline reads": (fetched, ""),
    "executemany": (many, ""),
    "a copy in a transaction": (copied, ""),
    "a copy alone": (copied_alone, "stale check"),
    "what is refused": (refused, ""),
}


def test_what_is_sent_in_one_go_is_a_letter_a_statement(race: CallRace) -> None:
    for name, (way, expected) in WAYS.items():

        def call(way: Callable[[Connection], object] = way) -> None:
            with psycopg.connect(race.url, autocommit=True) as connection:
                way(connection)

        raced = race(call)
        assert raced.found.coverage.is_exhaustive or expected or name == "what is refused", (name, raced.text)
        assert (raced.verdict is Verdict.VIOLATED) == bool(expected), (name, raced.text)
        assert expected in raced.text, (name, raced.text)


def test_rows_that_asyncpg_copies_are_raced(race: CallRace) -> None:
    assert "stale check" in race(copied_by_asyncpg(race)).text


def test_a_client_is_told_of_several_statements_what_the_server_tells(database: Target, race: CallRace) -> None:
    texts = (
        "select 1; insert into notes values (7, 7); select 2",
        "select 1; begin; update boxes set n = 1 where id = 2; commit; insert into notes values (1, 1); select 3",
        "select 1; begin",
        "begin; select 1 / 0; select 2",
        "select 2; rollback; select 3",
        "insert into notes values (1, 1); select 1 / 0; select 2",
        "set local work_mem = '1MB'; show work_mem",
        "set local work_mem = '1MB'; select current_setting('work_mem') from boxes where id = 1; reset work_mem",
        "/* alive? */ select 1; -- yes",
    )

    def told(url: str) -> str:
        said: list[object] = []
        with psycopg.connect(url, autocommit=True) as connection:
            for text in texts:
                cursor = connection.cursor()
                try:
                    cursor.execute(text.encode())
                    while True:
                        said += [cursor.statusmessage, *(cursor.fetchall() if cursor.description else [])]
                        if not cursor.nextset():
                            break
                except psycopg.Error as error:
                    said.append(error.sqlstate)
                said.append(connection.info.transaction_status.name)
        return " ".join(map(str, said))

    raced = race(lambda: told(race.url), lambda: None)
    directly = told(database.text)
    answers = {returned.value["returned"] for each in raced.returns.values() if isinstance(returned := each["A"], Ok)}
    assert answers == {directly}


def test_a_procedure_that_commits_by_itself_leaves_the_verdict_unknown(race: CallRace) -> None:
    for is_prepared in (False, True):

        def call(is_prepared: bool = is_prepared) -> None:
            with psycopg.connect(race.url, autocommit=True) as connection:
                connection.execute("call count_twice()", prepare=is_prepared)

        with pytest.raises(NotHeld, match=r"nobody can come between .*transactions within one statement: call"):
            race(call).holds()

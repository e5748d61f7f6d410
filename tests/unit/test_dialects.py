"""PostgreSQL's statements in another engine's words: the meaning stays, or it is an error."""

import sqlite3
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from uuid import UUID

import pytest

from integrity.engines.sqlite.dialect import adapt, sqlstate_of, to_sqlite
from integrity.engines.values import from_text
from integrity.errors import UsageError


def test_postgresql_is_returned_as_it_stands() -> None:
    assert adapt("SELECT  1 -- odd", "postgresql") == "SELECT  1 -- odd"


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select n from s.t where id = :id for update", "SELECT n FROM s.t WHERE id = :id"),
        ("select n from t where n in (select n from u for update)", "SELECT n FROM t WHERE n IN (SELECT n FROM u)"),
        ("update t set at = current_timestamp, f = true", "UPDATE t SET at = CURRENT_TIMESTAMP, f = TRUE"),
        ("insert into t (a) values (:a::bigint)", "INSERT INTO t (a) VALUES (CAST(:a AS INTEGER))"),
        ("select a from t where a is distinct from :a", "SELECT a FROM t WHERE a IS NOT :a"),
    ],
)
def test_locks_casts_and_constants_are_said_in_sqlites_words(sql: str, expected: str) -> None:
    assert adapt(sql, "sqlite") == expected


@pytest.mark.parametrize(("unique", "target"), [("a", "(a)"), ("a, b", "(a, b)"), ("a", "")])
def test_on_conflict_runs_on_sqlite(unique: str, target: str) -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute(f"create table t (a int, b int, unique ({unique}))")
    insert = adapt(f"insert into t (a, b) values (:a, 1) on conflict {target} do nothing returning a", "sqlite")

    rows = [connection.execute(insert, {"a": 5}).fetchall() for _ in range(2)]
    connection.close()

    assert rows == [[(5,)], []]


@pytest.mark.parametrize("sql", ["select from where", "select 1; select 2", ""])
def test_what_is_not_one_statement_is_an_error(sql: str) -> None:
    with pytest.raises(UsageError):
        adapt(sql, "sqlite")


def test_values_are_stored_as_text_that_compares_in_time_order() -> None:
    at = datetime(2026, 1, 17, 20, 30, tzinfo=timezone(timedelta(hours=2)))

    assert to_sqlite(at) == "2026-01-17 18:30:00"
    assert to_sqlite(at + timedelta(microseconds=5)) == "2026-01-17 18:30:00.000005"
    assert to_sqlite(at) < to_sqlite(at + timedelta(microseconds=5)) < to_sqlite(at + timedelta(seconds=1))
    assert to_sqlite(datetime(2026, 1, 17, tzinfo=UTC)) == "2026-01-17 00:00:00"
    assert to_sqlite(UUID(int=1)) == "00000000-0000-0000-0000-000000000001"
    assert [to_sqlite(value) for value in (1, True, None, "text")] == [1, True, None, "text"]


def test_errors_have_the_sqlstate_that_postgresql_gives() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("create table t (a int unique not null check (a > 0))")
    connection.execute("insert into t values (1)")

    def state(sql: str) -> str:
        with pytest.raises(sqlite3.Error) as caught:
            connection.execute(sql)
        return sqlstate_of(caught.value)

    states = [state(f"insert into t values ({value})") for value in ("1", "null", "0")]
    unknown = state("select nonsense")
    connection.close()

    assert states == ["23505", "23502", "23514"]
    assert unknown == "XX000"


def test_a_busy_database_is_a_reason_to_start_again(tmp_path: Path) -> None:
    first, second = (sqlite3.connect(f"{tmp_path}/t.db", isolation_level=None, timeout=0) for _ in range(2))
    first.execute("begin immediate")
    with pytest.raises(sqlite3.OperationalError) as caught:
        second.execute("begin immediate")
    first.close()
    second.close()

    assert sqlstate_of(caught.value) == "40001"


@pytest.mark.parametrize(
    "value",
    [
        UUID(int=7),
        datetime(2026, 1, 17, 18, 30, tzinfo=UTC),
        datetime(2026, 1, 17, 18, 30, 0, 125_000, tzinfo=UTC),
        "race-00000000-0000-0000-0000-000000000007",
        "2026-01-17",
        5,
        None,
    ],
)
def test_what_was_stored_is_known_again(value: object) -> None:
    assert from_text(to_sqlite(value)) == value

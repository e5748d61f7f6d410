"""A transaction that is interrupted leaves nothing, wherever it was; one that is refused says so in the server's words."""

import psycopg
import pytest

from integrity.engines.target import Target
from integrity.engines.transaction import refusal, transaction
from integrity.errors import DatabaseError
from tests.database.bank import execute


def _interrupt_in_the_middle(target: Target) -> None:
    with transaction(target) as connection:
        connection.exec_driver_sql("create table public.made (id int)")
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.pgconn.send_query(b"select pg_sleep(0)")  # as a COPY that Ctrl-C met before its first answer
        raise KeyboardInterrupt


def test_an_interruption_in_the_middle_of_a_statement_stays_one_and_leaves_nothing(database: Target) -> None:
    with pytest.raises(KeyboardInterrupt):
        _interrupt_in_the_middle(database)
    with database.connect() as reader:
        assert reader.execute("select to_regclass('public.made')").fetchone() == (None,)


@pytest.mark.parametrize(
    ("setup", "statement", "said"),
    [
        ("create role walker", "set role walker; create schema nope", "permission denied for database"),
        ("", "select 1,\n  nope from pg_class", 'column "nope" does not exist'),
        ("create table a (id int primary key)", "insert into a values (1), (1)", "DETAIL: Key (id)=(1) already exists."),
    ],
    ids=["rights", "name", "detail"],
)
def test_a_refusal_is_the_servers_message_without_the_statement_that_it_was_about(
    database: Target, setup: str, statement: str, said: str
) -> None:
    execute(database, setup)
    try:
        with database.connect() as connection, pytest.raises(psycopg.Error) as raised:
            connection.execute(statement.encode())
        message = refusal(database, raised.value).message
    finally:
        execute(database, "drop role if exists walker")
    assert (said in message, "LINE" in message, "^" in message) == (True, False, False), message


def test_what_sqlalchemy_wraps_is_refused_in_the_servers_words_too(database: Target) -> None:
    with pytest.raises(DatabaseError, match="does not exist") as raised, transaction(database) as to:
        to.exec_driver_sql("select 1 from\n  public.nope")
    assert "LINE" not in raised.value.message

"""A function over a connection is an operation: what it does comes out step by step, and what it is told goes in."""

import threading
from functools import partial
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from integrity.errors import UsageError
from integrity.operation import Answered, Begin, Commit, Declined, Ok, Rollback, Statement, StatementFailed, Step, Steps
from integrity.systems.functions import statement_of, steps_of


class NotEnough(Exception):
    pass


def withdraw(connection: Any, account: int, amount: int) -> dict[str, int]:
    with connection.transaction():
        (balance,) = connection.execute("select balance from accounts where id = %s", (account,)).fetchone()
        if balance < amount:
            raise NotEnough
        connection.execute("update accounts set balance = %(left)s", {"left": balance - amount})
    return {"left": balance - amount}


def drive(steps: Steps, *answers: Any) -> tuple[list[Step], Any]:
    """Return the steps, and what comes back or is raised; each step is answered, or refused, in turn."""
    asked: list[Step] = [next(steps)]
    try:
        for answer in answers:
            asked += [steps.throw(answer) if isinstance(answer, Exception) else steps.send(answer)]
    except StopIteration as end:
        return asked, end.value
    except Exception as error:
        return asked, error
    steps.close()
    return asked, None


def start(function: Any, *, declined: tuple[type[Exception], ...] = (), **arguments: Any) -> Steps:
    return steps_of(function, declined=declined)(operation_id=uuid4(), **arguments)


def test_its_statements_come_out_in_order_and_its_rows_go_in() -> None:
    asked, reply = drive(start(withdraw, account=7, amount=30), None, [{"balance": 100}], [], None)
    assert asked == [
        Begin(),
        Statement("select balance from accounts where id = :p1", {"p1": 7}),
        Statement("update accounts set balance = :left", {"left": 70}),
        Commit(),
    ]
    assert reply == Ok({"left": 70})


def test_a_business_no_rolls_back_and_is_declined() -> None:
    asked, reply = drive(start(withdraw, declined=(NotEnough,), account=7, amount=300), None, [{"balance": 100}], None)
    assert (asked[-1], reply) == (Rollback(), Declined("NotEnough"))


def test_another_error_of_its_own_is_raised_as_it_is() -> None:
    _, raised = drive(start(withdraw, account=7, amount=300), None, [{"balance": 100}], None)
    assert isinstance(raised, NotEnough)


def test_a_refusal_is_raised_in_it_as_psycopg_does_and_comes_out_as_the_refusal_that_it_was() -> None:
    caught = []

    def insert(connection: Any) -> None:
        try:
            connection.execute("insert into accounts values (1)")
        except psycopg.errors.UniqueViolation as error:
            caught.append(error)
            connection.rollback()
            connection.execute("select 1")

    refusals = (StatementFailed("taken", sqlstate="23505"), None, None, StatementFailed("again", sqlstate="40001"))
    asked, raised = drive(start(insert), None, *refusals)
    assert [type(step) for step in asked] == [Begin, Statement, Rollback, Begin, Statement]
    assert (str(caught[0]), raised) == ("taken", refusals[-1])


def test_what_nobody_drives_any_more_ends() -> None:
    before = threading.active_count()
    steps = start(withdraw, account=7, amount=30)
    next(steps)
    assert threading.active_count() == before + 1
    steps.close()
    assert threading.active_count() == before


@pytest.mark.parametrize(
    ("sql", "parameters", "said"),
    [
        ("select %s, '%%s', %s -- %%s", (1, 2), "select :p1, '%s', :p2 -- %s"),
        ("select ? where name = '?'", (1,), "select :p1 where name = '?'"),
        ("select %(a)s, %(a)s, 5 %% 2", {"a": 1}, "select :a, :a, 5 % 2"),
        ("select :a", {"a": 1}, "select :a"),
        ("select '100%'", (), "select '100%'"),
    ],
)
def test_marks_become_names(sql: str, parameters: Any, said: str) -> None:
    statement = statement_of(sql, parameters)
    assert statement.sql == said
    given = parameters.values() if isinstance(parameters, dict) else parameters
    assert list(statement.parameters.values()) == list(given)


@pytest.mark.parametrize(
    ("mark", "given", "begins_at"),
    [("?", (1,), 1), (":id", {"id": 1}, 1), ("%s", (1,), 0), ("%(id)s", {"id": 1}, 0)],
)
def test_a_transaction_begins_where_the_driver_of_the_marks_begins_it(mark: str, given: Any, begins_at: int) -> None:
    """sqlite3 begins before the first statement that writes, psycopg before the first: a look is in it, or is not."""

    def pay(connection: Any) -> None:
        connection.execute(f"select 1 from accounts where id = {mark}", given)
        connection.execute("update accounts set id = 2")
        connection.commit()

    asked, _ = drive(start(pay), *[[]] * 4)
    assert [type(step) for step in asked].index(Begin) == begins_at
    assert [type(step) for step in asked if not isinstance(step, Begin)] == [Statement, Statement, Commit]


def test_a_cursor_says_how_many_rows_a_statement_changed() -> None:
    def mark(connection: Any) -> list[int]:
        alone = connection.execute("update marks set n = 1").rowcount
        many = connection.executemany("insert into marks values (%s)", [(1,), (2,)]).rowcount
        found = connection.execute("select n from marks")
        return [alone, many, found.rowcount, *(n for (n,) in found.fetchmany(2)), len(found.fetchall())]

    changed = [Answered.by_tag((), tag) for tag in ("UPDATE 3", "INSERT 0 1", "INSERT 0 1")]
    found = Answered.by_tag([{"n": 4}, {"n": 5}, {"n": 6}], "SELECT 3")
    _, reply = drive(start(mark), None, *changed, found, None)
    assert reply == Ok({"value": [3, 2, 3, 4, 5, 1]})


@pytest.mark.parametrize(
    ("asks", "said"),
    [
        (lambda connection: setattr(connection, "autocommit", True), "is_autocommit=True"),
        (lambda connection: setattr(connection, "isolation_level", 4), "--isolation"),
        (lambda connection: connection.cursor(row_factory=dict), "rows=dict"),
        (lambda connection: connection.cursor().lastrowid, "returning"),
        (lambda connection: connection.notifies(), "has no notifies. It has execute"),
    ],
)
def test_what_the_connection_has_not_is_refused_with_what_to_say_instead(asks: Any, said: str) -> None:
    steps = steps_of(asks)(operation_id=uuid4())
    with pytest.raises((NotImplementedError, AttributeError), match=said):
        next(steps)


async def wait(connection: Any) -> None: ...


async def waits(connection: Any) -> Any:
    yield connection


class Waiting:
    async def __call__(self, connection: Any) -> None: ...


@pytest.mark.parametrize("function", [wait, waits, Waiting(), partial(wait)])
def test_a_function_that_would_never_be_awaited_is_refused(function: Any) -> None:
    with pytest.raises(UsageError, match="is async"):
        steps_of(function)


def test_a_generator_of_steps_is_refused_as_a_function() -> None:
    def steps(connection: Any) -> Any:
        yield connection

    with pytest.raises(UsageError, match="is a generator"):
        steps_of(steps)

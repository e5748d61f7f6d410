"""What seed filled is taken out again, and nothing that others added."""

import pytest
from sqlalchemy import MetaData

from integrity.database.namespace import drop_schemas, keep_books
from integrity.errors import AuditError
from integrity.operation import Mark, Operation, Steps
from integrity.systems.system import System
from tests.database.shop import SHOP, Fill, ask


def test_rollback_takes_out_what_was_added_and_leaves_the_tables_and_what_others_added(fill: Fill) -> None:
    target, _ = fill(SHOP, orders=50)
    ask(target, "insert into customers (email) values ('a@b') returning id")
    ask(target, "update orders set total = 7 returning id")

    drop_schemas(target)

    assert ask(target, "select email, (select count(*) from orders) from customers") == [("a@b", 0)]


def test_rollback_refuses_when_rows_of_others_rest_on_ours_and_then_removes_nothing(fill: Fill) -> None:
    target, _ = fill(SHOP, orders=50)
    ask(target, "insert into orders (customer_id, status, total) values (1, 'open', 1) returning id")

    with pytest.raises(
        AuditError, match=r"public\.orders: 1 row that others added .*: 1 row of public\.customers"
    ) as refused:
        drop_schemas(target)

    assert ask(target, "select count(*) from orders") == [(51,)]
    hint = refused.value.hint or ""
    (_, statement) = hint.split("To see some: ")
    assert statement == f"select * from public.orders where id in ({ask(target, 'select max(id) from orders')[0][0]})"
    assert "delete from" not in hint, "which rows may go only their owner knows"
    ask(target, statement.replace("select *", "delete", 1) + " returning id")
    drop_schemas(target)
    assert ask(target, "select count(*) from orders") == [(0,)]


def test_a_row_in_which_a_calls_id_stands_stays_unless_its_operation_marks_it(fill: Fill) -> None:
    """The call may have written its id into a row of the user's."""
    target, _ = fill("create table payments (id bigserial primary key, key text not null, note text not null)", payments=5)

    def pay(**_: object) -> Steps:
        raise AssertionError("it is not called")

    operations = {
        "pay": Operation("pay", pay, {}),
        "mark": Operation("mark", pay, {}, marks=(Mark("payments", "key"),)),
    }
    with target.connect() as connection:
        keep_books(target, System("shop", "", MetaData(), operations), operations.values())
        connection.execute(
            b"insert into integrity.runs (run_id, system, profile, seed, started_at, state)"
            b"values ('r', 'shop', 'smoke', 1, now(), 'finished');"
            b"insert into integrity.calls"
            b"(run_id, operation_id, operation, arguments, client, intended_at, invoked_at, outcome)"
            b"select 'r', gen_random_uuid(), unnest(array['pay', 'mark']), '{}', 1, now(), now(), 'ok';"
            b"insert into payments (key, note) select operation_id, operation from integrity.calls;"
            b"insert into payments (key, note) select 'mine', operation_id from integrity.calls"
        )

    drop_schemas(target)

    assert ask(target, "select note = 'pay', count(*) from payments group by 1 order by 1") == [(False, 2), (True, 1)]


def test_rollback_sets_no_reference_of_others_to_null(fill: Fill) -> None:
    target, _ = fill(
        "create table users (id bigserial primary key);"
        "create table notes (id bigserial primary key, user_id bigint references users on delete set null)",
        users=5,
        notes=0,
    )
    ask(target, "insert into notes (user_id) values (1) returning id")

    with pytest.raises(AuditError, match=r"public\.notes: 1 row that others added .*: 1 row of public\.users"):
        drop_schemas(target)

    assert ask(target, "select (select count(*) from users), user_id from notes") == [(5, 1)]


def test_rollback_takes_no_row_of_others_along_by_a_cascade(fill: Fill) -> None:
    target, _ = fill(
        "create table users (id bigserial primary key);"
        "create table notes (id bigserial primary key, user_id bigint not null references users on delete cascade)",
        users=5,
        notes=5,
    )
    ask(target, "insert into notes (user_id) values (1) returning id")

    with pytest.raises(
        AuditError, match=r"public\.notes: 1 row that others added would go with those that seed or runs made"
    ):
        drop_schemas(target)

    assert ask(target, "select (select count(*) from users), count(*) from notes") == [(5, 6)]

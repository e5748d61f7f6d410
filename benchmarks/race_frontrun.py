"""The frontrun side of benchmarks/race.py, run by the Python of an environment that has frontrun, sqlglot and psycopg2:

    frontrun python benchmarks/race_frontrun.py "host=... dbname=..." SECONDS

It races the same operations as ours on the same tables, on threads, on a fresh row per schedule. Each call opens a
connection, as frontrun's users do: with connections that are kept it reports them as the shared state. Prints one JSON
object a line: what was raced, the verdict, schedules, seconds.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import frontrun  # type: ignore[import-not-found]  # of an environment of its own
import psycopg2  # type: ignore[import-not-found,import-untyped,unused-ignore]

Steps = Callable[[Any, int], None]

DSN, SECONDS = sys.argv[1], float(sys.argv[2])


def execute(connection: Any, sql: str, values: tuple[Any, ...] = ()) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchall() if cursor.description else []


def withdraw(locking: str) -> Steps:
    def steps(connection: Any, account: int) -> None:
        ((balance,),) = execute(connection, f"SELECT balance FROM accounts WHERE id = %s {locking}", (account,))
        execute(connection, "UPDATE accounts SET balance = %s, n = n + 1 WHERE id = %s", (balance - 100, account))
        connection.commit()

    return steps


def look_around(connection: Any, account: int, count: int) -> None:
    for _ in range(count):
        execute(connection, "SELECT id, owner FROM accounts WHERE id = %s", (account,))


def long_reader(connection: Any, account: int) -> None:
    look_around(connection, account, 12)
    withdraw("")(connection, account)


def short_writer(connection: Any, account: int) -> None:
    execute(connection, "UPDATE accounts SET balance = balance - 100, n = n + 1 WHERE id = %s", (account,))
    connection.commit()


def check_out(connection: Any, account: int) -> None:
    look_around(connection, account, 12)
    ((total,),) = execute(connection, "SELECT sum(price) FROM items WHERE cart_id = %s", (account,))
    ((order,),) = execute(connection, "INSERT INTO orders (cart_id, total) VALUES (%s, %s) RETURNING id", (account, total))
    execute(
        connection,
        "INSERT INTO order_items (order_id, price) SELECT %s, price FROM items WHERE cart_id = %s",
        (order, account),
    )
    connection.commit()


def add_item(connection: Any, account: int) -> None:
    if execute(connection, "SELECT id FROM orders WHERE cart_id = %s", (account,)):
        connection.rollback()
        return
    execute(connection, "INSERT INTO items (cart_id, price) VALUES (%s, 40)", (account,))
    connection.commit()


def receipt(connection: Any, account: int) -> None:
    ((batch,),) = execute(connection, "SELECT n FROM accounts WHERE id = %s", (account,))
    execute(connection, "INSERT INTO receipts (book_id, batch, amount) VALUES (%s, %s, 30)", (account, batch))
    connection.commit()


def close_batch(connection: Any, account: int) -> None:
    look_around(connection, account, 4)
    execute(connection, "UPDATE accounts SET n = n + 1 WHERE id = %s", (account,))
    connection.commit()


def report(connection: Any, account: int) -> None:
    ((batch,),) = execute(connection, "SELECT n - 1 FROM accounts WHERE id = %s", (account,))
    ((total,),) = execute(
        connection, "SELECT coalesce(sum(amount), 0) FROM receipts WHERE book_id = %s AND batch = %s", (account, batch)
    )
    connection.commit()
    execute(connection, "INSERT INTO reports (book_id, batch, total) VALUES (%s, %s, %s)", (account, batch, total))
    connection.commit()


LOST = "SELECT count(*) FROM accounts WHERE id = %s AND balance <> 1000 - 100 * n"
COPIED = """
SELECT count(*) FROM (
    SELECT orders.id FROM orders JOIN order_items ON order_items.order_id = orders.id WHERE orders.cart_id = %s
    GROUP BY orders.id, orders.total HAVING sum(order_items.price) <> orders.total
) AS wrong
"""
INCOMPLETE = """
SELECT count(*) FROM reports WHERE book_id = %s AND total <> (
    SELECT coalesce(sum(amount), 0) FROM receipts
    WHERE receipts.book_id = reports.book_id AND receipts.batch = reports.batch
)
"""


def race(name: str, calls: list[Steps], check: str, *, level: str = "READ COMMITTED", stops_at_first: bool = True) -> None:
    control = psycopg2.connect(DSN)
    control.autocommit = True

    def setup() -> int:
        ((account,),) = execute(control, "INSERT INTO accounts (balance) VALUES (1000) RETURNING id")
        execute(control, "INSERT INTO items (cart_id, price) VALUES (%s, 10), (%s, 20)", (account, account))
        return int(account)

    def worker(steps: Steps) -> Callable[[int], None]:
        def run(account: int) -> None:
            connection = psycopg2.connect(DSN)
            connection.set_session(isolation_level=level)
            try:
                steps(connection, account)
            except psycopg2.Error:  # a deadlock or a serialization failure: an outcome
                connection.rollback()
            finally:
                connection.close()

        return run

    began = time.perf_counter()
    result = frontrun.explore(
        setup=setup,
        workers=[worker(steps) for steps in calls],
        invariant=lambda account: execute(control, check, (account,)) == [(0,)],
        stop_on_first=stops_at_first,
        reproduce_on_failure=0,
        max_executions=3000,
        total_timeout=SECONDS,
    )
    seconds = time.perf_counter() - began
    verdict = {True: "holds", False: "found", None: "inconclusive"}[result.property_holds]
    line = {"name": name, "verdict": verdict, "schedules": result.num_explored, "seconds": seconds}
    print(json.dumps(line), flush=True)


race("lost update, all", [withdraw("")] * 2, LOST, stops_at_first=False)
race("lost update, for update, all", [withdraw("FOR UPDATE")] * 2, LOST, stops_at_first=False)
race("long reader", [long_reader, short_writer], LOST)
race("cart", [check_out, add_item], COPIED)
race("report", [receipt, close_batch, report], INCOMPLETE, level="REPEATABLE READ")

"""An application that gives a race trouble, each path in a way of its own."""

import os
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg

LEFT = b"select left_over from stock where id = 1"


def poll(seconds: float) -> int:
    """Ask for ever, on a new connection where the one it had is cut."""
    while True:
        try:
            with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
                while connection.execute(LEFT).fetchall() != [(7,)]:
                    time.sleep(seconds)
        except psycopg.Error:
            continue


def wait_for_change() -> int:
    """Ask until nobody has changed the row between: alone that is at once, behind another's half a change never."""
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        while connection.execute(b"update stock set left_over = 2 where id = 1 and left_over <> 2").rowcount == 0:
            pass
        connection.execute(b"select 1 from orders")
        connection.execute(b"update stock set left_over = 1 where id = 1")
        return 200


def sell(**how: str) -> int:
    """Sell the last one, to whoever looks in time."""
    with psycopg.connect(os.environ["DATABASE_URL"], **how) as connection:  # type: ignore[arg-type]  # of a connection string
        ((left,),) = connection.execute(LEFT).fetchall()
        if left:
            connection.execute(b"update stock set left_over = 0 where id = 1")
        return 200 if left else 402


def die_of_a_race() -> int:
    """End the process where another has sold the last one meanwhile."""
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        ((before,),) = connection.execute(LEFT).fetchall()
        ((after,),) = connection.execute(b"update stock set left_over = left_over - 1 returning left_over").fetchall()
        if after != before - 1:
            print("the last one was sold twice, to reader hunter2")
            sys.stdout.flush()
            os._exit(7)
        return 200


def connect(**how: str) -> int:
    """Connect as the server or the proxy does not let it."""
    try:
        psycopg.connect(os.environ["DATABASE_URL"], **how).close()  # type: ignore[arg-type]  # of a connection string
    except psycopg.OperationalError:
        return 500
    return 200


def sell_over_many(held: int) -> int:
    """Sell the last one while so many connections more are open; 500 where the server has no more of them."""
    with ExitStack() as stack:
        try:
            for _ in range(held):
                stack.enter_context(closing(psycopg.connect(os.environ["DATABASE_URL"])))
        except psycopg.OperationalError:
            return 500
        return sell()


class Unruly(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        paths: dict[str, Callable[[], int]] = {
            "/poll": lambda: poll(0),
            "/poll-slowly": lambda: poll(0.1),
            "/wait": wait_for_change,
            "/sell": sell,
            "/die": die_of_a_race,
            "/greedy-together": lambda: sell_over_many(9),
            "/greedy": lambda: sell_over_many(40),
            "/no-method": lambda: 501,
            "/insisting": lambda: sell(sslmode="require"),
            "/verified": lambda: connect(sslmode="verify-full", sslrootcert="system"),
            "/stranger": lambda: connect(user="nobody_there"),
            "/no-statement": lambda: 200,
        }
        self.send_response(paths[self.path]())
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Unruly).serve_forever()

"""A shop of two requests over one shared pool: what anybody's application looks like from outside."""

import json
import os
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from select import select

import psycopg

POOL: "Queue[psycopg.Connection[tuple[int, ...]]]" = Queue()


def connect() -> "psycopg.Connection[tuple[int, ...]]":
    return psycopg.connect(os.environ["DATABASE_URL"])


def take() -> "psycopg.Connection[tuple[int, ...]]":
    """Return a connection of the pool's, a new one in the place of one that was closed from the other side."""
    connection = POOL.get()
    if select([connection], [], [], 0)[0]:
        connection.close()
        return connect()
    return connection


def buy(lock: str, *, refreshed: str = "") -> tuple[int, dict[str, object]]:
    connection = take()
    try:
        with connection.transaction():
            ((left,),) = connection.execute(f"select left_over from stock where id = 1 {lock}".encode()).fetchall()
            if left < 1:
                return 409, {"error": "sold out"}
            connection.execute("insert into orders (item_id) values (%s)", (1,))
            connection.execute("update stock set left_over = %s where id = 1", (left - 1,))
            if refreshed:
                connection.execute(f"refresh materialized view {refreshed}".encode())
            return 200, {"left": left - 1}
    finally:
        POOL.put(connection)


def reserve() -> tuple[int, dict[str, object]]:
    connection = POOL.get()
    try:
        with connection.transaction():
            ((count,),) = connection.execute("select count(*) from orders where item_id = 1").fetchall()
            if count:
                return 409, {"error": "taken"}
            connection.execute("insert into orders (item_id) values (1)")
            return 200, {}
    except psycopg.errors.UniqueViolation:
        return 409, {"error": "taken"}
    finally:
        POOL.put(connection)


def only_look(status: int) -> tuple[int, dict[str, object]]:
    connection = POOL.get()
    try:
        with connection.transaction():
            connection.execute("select left_over from stock where id = 1")
            return status, {"error": "no such page"}
    finally:
        POOL.put(connection)


class Shop(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        paths: dict[str, Callable[[], tuple[int, dict[str, object]]]] = {
            "/buy": lambda: buy(""),
            "/buy-locked": lambda: buy("for update"),
            "/buy-counted": lambda: buy("", refreshed="sold"),
            "/buy-locked-counted": lambda: buy("for update", refreshed="sold"),
            "/reserve": reserve,
            "/broken": lambda: only_look(500),
            "/forbidden": lambda: only_look(403),
            "/sent-on": lambda: only_look(302),
            "/ping": lambda: (200, {}),
        }
        status, body = paths[self.path]()
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


if __name__ == "__main__":
    if "NO_DATABASE" not in os.environ:
        for _ in range(3):
            POOL.put(connect())
    ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Shop).serve_forever()

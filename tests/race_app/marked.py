"""A call of several statements over one shared pool, each with its caller's letter in a comment; and a server of them."""

import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psycopg

SCHEMA = (
    b"create table marks (id bigint generated always as identity primary key, who text); insert into marks default values"
)
Pool = Queue[psycopg.Connection[Any]]


def fill_pool(url: str, size: int) -> Pool:
    pool: Pool = Queue()
    for _ in range(size):
        pool.put(psycopg.connect(url, autocommit=True))
    return pool


def call(pool: Pool, letter: str) -> None:
    """Make two statements outside a transaction and three within, on whatever connection is free."""
    _ask(pool, letter, "insert into marks (who) values (%s)", letter)
    connection = pool.get()
    try:
        with connection.transaction():
            connection.execute(f"/* {letter} */ select count(*) from marks".encode())
            connection.execute(f"/* {letter} */ update marks set who = %s where id = 1".encode(), (letter,))
            connection.execute(f"/* {letter} */ insert into marks (who) values (%s)".encode(), (letter,))
    finally:
        pool.put(connection)
    _ask(pool, letter, "select who from marks where who = %s", letter)


def _ask(pool: Pool, letter: str, statement: str, value: str) -> None:
    connection = pool.get()
    try:
        connection.execute(f"/* {letter} */ {statement}".encode(), (value,))
    finally:
        pool.put(connection)


class Server(BaseHTTPRequestHandler):
    pool: Pool

    def do_POST(self) -> None:
        call(self.pool, parse_qs(urlsplit(self.path).query)["who"][0])
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


if __name__ == "__main__":
    Server.pool = fill_pool(os.environ["DATABASE_URL"], 4)
    ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Server).serve_forever()

"""An application that makes its table and its row as it starts; with "anew", each time."""

import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg


def connect() -> "psycopg.Connection[tuple[int, ...]]":
    return psycopg.connect(os.environ["DATABASE_URL"])


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        with connect() as connection:
            ((left,),) = connection.execute("select left_over from shelf where id = 1").fetchall()
            connection.execute("update shelf set left_over = %s where id = 1", (left - 1,))
            if self.path == "/note":
                connection.execute("create table if not exists notes (id int)")
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


with connect() as starting:
    if "anew" in sys.argv:
        starting.execute("drop table if exists shelf")
    starting.execute("create table if not exists shelf (id int primary key, left_over int not null)")
    starting.execute("insert into shelf values (1, 10) on conflict do nothing")
ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()

"""Buys one of an item and ends: a command of any language, as its database sees it. Its word is the lock that it takes.

With psycopg2, which is there in a quarter of the time: each schedule starts it anew.
"""

import os
import sys
from contextlib import closing
from importlib import import_module

psycopg2 = import_module("psycopg2")  # which has no types

with closing(psycopg2.connect(os.environ["DATABASE_URL"])) as connection, connection, connection.cursor() as cursor:
    cursor.execute(f"select left_over from stock where id = 1 {sys.argv[1]}")
    (left,) = cursor.fetchone()
    if left < 1:
        raise SystemExit("sold out")
    cursor.execute("insert into orders (item_id) values (1)")
    cursor.execute("update stock set left_over = %s where id = 1", (left - 1,))

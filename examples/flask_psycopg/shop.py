"""The last item, sold by two endpoints of a Flask application over one pool of psycopg's: one that sells it twice."""

import os

from flask import Flask
from psycopg_pool import ConnectionPool

POOL = ConnectionPool(os.environ["DATABASE_URL"], min_size=3, max_size=3, open=False)
SHOP = Flask(__name__)


@SHOP.post("/items/<int:item_id>/buy")
def buy(item_id):
    return sell("select left_over from items where id = %s", item_id)


@SHOP.post("/items/<int:item_id>/buy-locked")
def buy_locked(item_id):
    return sell("select left_over from items where id = %s for update", item_id)


def sell(look, item_id):
    with POOL.connection() as connection:
        (left_over,) = connection.execute(look, (item_id,)).fetchone()
        if left_over == 0:
            return {"error": "sold out"}, 409
        connection.execute("insert into orders (item_id) values (%s)", (item_id,))
        connection.execute("update items set left_over = %s where id = %s", (left_over - 1, item_id))
        return {"left_over": left_over - 1}


if __name__ == "__main__":
    POOL.open(wait=True)
    SHOP.run(port=int(os.environ["PORT"]), threaded=True)

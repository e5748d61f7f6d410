"""Wallets behind HTTP, a Flask application over a pool of psycopg's: /pay loses updates, /pay-locked does not."""

import os
import time

from flask import Flask, request
from psycopg_pool import ConnectionPool

POOL = ConnectionPool(os.environ["DATABASE_URL"], min_size=2, max_size=8, open=False)
WALLETS = Flask(__name__)
TOKEN = os.urandom(8).hex()


@WALLETS.post("/login")
def log_in():
    return {"token": TOKEN}


@WALLETS.post("/wallets/<int:wallet_id>/pay")
def pay(wallet_id):
    return take(wallet_id, "select balance_minor from wallets where id = %s")


@WALLETS.post("/wallets/<int:wallet_id>/pay-locked")
def pay_locked(wallet_id):
    return take(wallet_id, "select balance_minor from wallets where id = %s for update")


def take(wallet_id, look):
    amount_minor = request.get_json()["amount_minor"]
    with POOL.connection() as connection:
        (balance_minor,) = connection.execute(look, (wallet_id,)).fetchone()
        if balance_minor < amount_minor:
            return {"error": "insufficient balance"}, 402
        time.sleep(0.002)  # whatever else a payment takes
        left_minor = balance_minor - amount_minor
        connection.execute("update wallets set balance_minor = %s where id = %s", (left_minor, wallet_id))
        connection.execute("insert into entries (wallet_id, amount_minor) values (%s, %s)", (wallet_id, -amount_minor))
        return {"wallet": wallet_id, "balance_minor": left_minor}


@WALLETS.get("/wallets/<int:wallet_id>")
def show(wallet_id):
    if request.headers.get("Authorization") != f"Bearer {TOKEN}":
        return {"error": "log in first"}, 401
    with POOL.connection() as connection:
        (balance_minor,) = connection.execute("select balance_minor from wallets where id = %s", (wallet_id,)).fetchone()
    return {"wallet": wallet_id, "balance_minor": balance_minor}


if __name__ == "__main__":
    POOL.open(wait=True)
    WALLETS.run(port=int(os.environ["PORT"]), threaded=True)

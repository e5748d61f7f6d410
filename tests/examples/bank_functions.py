"""Somebody's own functions over a connection, and the state machine by which he tests them one after the other."""

from typing import Any

import hypothesis.strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, rule


class NotEnough(Exception):
    """The account does not have so much."""


def open_account(connection: Any, balance: int) -> int:
    with connection.transaction():
        row = connection.execute(
            "insert into accounts (balance_minor, withdrawn_minor) values (%s, 1000 - %s) returning id", (balance, balance)
        ).fetchone()
    return int(row[0])


def withdraw(connection: Any, account: int, amount: int) -> None:
    with connection.transaction():
        row = connection.execute("select balance_minor from accounts where id = %s", (account,)).fetchone()
        if row[0] < amount:
            raise NotEnough
        connection.execute(
            "update accounts set balance_minor = %s, withdrawn_minor = withdrawn_minor + %s where id = %s",
            (row[0] - amount, amount, account),
        )


class BankMachine(RuleBasedStateMachine):
    """His test: rules that call his functions. `connection` is opened by whoever runs it."""

    connection: Any = None
    accounts = Bundle("accounts")

    @rule(target=accounts, balance=st.integers(1, 10).map(lambda number: number * 100))
    def open_account(self, balance: int) -> int:
        return open_account(self.connection, balance)

    @rule(account=accounts, amount=st.sampled_from([100, 300, 500]))
    def withdraw(self, account: int, amount: int) -> None:
        try:
            withdraw(self.connection, account, amount)
        except NotEnough:
            return

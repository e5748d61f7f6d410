"""The bench set: racy programs and their sound twins, small, each of a kind of its own.

Symmetric ones collide however they are started. Asymmetric ones need calls of unlike length to meet in the right place,
where calls that start together hardly ever are. Single statements race with themselves between execution and commit. And
some do their reading or writing through a view, a trigger or a function, where the text of the statement does not show it.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from integrity.operation import Begin, Commit, Declined, Isolation, Ok, Rollback, Rows, Statement, Steps
from integrity.race.program.program import Actor, Check, Keys, Program, on_keys
from tests.detection.race_tables import DIGESTS, stage


@dataclass(frozen=True, slots=True)
class Case:
    """A program of the bench.

    Args:
        is_racy: some schedule of it is wrong.
    """

    name: str
    program: Program
    is_racy: bool


def _program(*calls: Callable[[Keys, UUID], Steps], check: str, isolation: Isolation = Isolation.READ_COMMITTED) -> Program:
    actors = tuple(Actor(call.__name__.strip("_"), call) for call in calls)
    return Program(actors, stage, isolation, (Check("check", on_keys(check)),), DIGESTS, is_strict=True)


# Symmetric.


def _withdraw(reading: str) -> Callable[[Keys, UUID], Steps]:
    def withdraw(keys: Keys, _operation_id: UUID) -> Steps:
        yield Begin()
        rows: Rows = yield Statement(reading, {"account": keys["account"]})
        balance = rows[0]["balance"] - 100
        yield Statement(
            "update accounts set balance = :balance, n = n + 1 where id = :account", {**keys, "balance": balance}
        )
        yield Commit()
        return Ok({"balance": balance})

    return withdraw


LOST_UPDATE = "select id, balance, n from accounts where id = :account and balance <> 1000 - 100 * n"


def _credit_checked(keys: Keys, _operation_id: UUID) -> Steps:
    yield Begin()
    rows: Rows = yield Statement("select id from credits where account_id = :account and event = 'e'", keys)
    if rows:
        yield Rollback()
        return Declined("already_credited")
    yield Statement("insert into credits (account_id, event) values (:account, 'e')", keys)
    yield Statement("update accounts set balance = balance + 50 where id = :account", keys)
    yield Commit()
    return Ok()


def _credit_once(keys: Keys, _operation_id: UUID) -> Steps:
    yield Begin()
    rows: Rows = yield Statement(
        "insert into credits_once (account_id, event) values (:account, 'e') on conflict do nothing returning id", keys
    )
    if not rows:
        yield Rollback()
        return Declined("already_credited")
    yield Statement("update accounts set balance = balance + 50 where id = :account", keys)
    yield Commit()
    return Ok()


CREDITED_TWICE = "select id, balance from accounts where id = :account and balance > 1050"


def _debit_from(name: str) -> Callable[[Keys, UUID], Steps]:
    def debit(keys: Keys, _operation_id: UUID) -> Steps:
        yield Begin()
        rows: Rows = yield Statement(
            "select sum(balance)::bigint as total from accounts where id = :account or id = :second", keys
        )
        if rows[0]["total"] < 600:
            yield Rollback()
            return Declined("insufficient")
        yield Statement("update accounts set balance = balance - 600 where id = :one", {"one": keys[name]})
        yield Commit()
        return Ok()

    return debit


WRITE_SKEW = """
select sum(balance) as total from accounts where id = :account or id = :second having sum(balance) < 0
"""


def _scan_checked(keys: Keys, _operation_id: UUID) -> Steps:
    yield Begin()
    rows: Rows = yield Statement("select n from accounts where id = :account", keys)
    if rows[0]["n"]:
        yield Rollback()
        return Declined("already_used")
    yield Statement("update accounts set n = 1 where id = :account", keys)
    yield Statement("insert into credits (account_id, event) values (:account, 'scan')", keys)
    yield Commit()
    return Ok()


def _scan_claimed(keys: Keys, _operation_id: UUID) -> Steps:
    yield Begin()
    rows: Rows = yield Statement("update accounts set n = 1 where id = :account and n = 0 returning n", keys)
    if not rows:
        yield Rollback()
        return Declined("already_used")
    yield Statement("insert into credits (account_id, event) values (:account, 'scan')", keys)
    yield Commit()
    return Ok()


SCANNED_TWICE = "select account_id from credits where account_id = :account group by account_id having count(*) > 1"


# Asymmetric.


def _look_around(keys: Keys, count: int) -> Steps:
    """Read so many things that do not matter to what follows: what makes a call long."""
    for _ in range(count):
        yield Statement("select id, owner from accounts where id = :account", keys)
    return Ok()


def _long_reader(last: str) -> Callable[[Keys, UUID], Steps]:
    def long_reader(keys: Keys, _operation_id: UUID) -> Steps:
        yield Begin()
        yield from _look_around(keys, 12)
        rows: Rows = yield Statement(last, keys)
        yield Statement(
            "update accounts set balance = :balance, n = n + 1 where id = :account",
            {**keys, "balance": rows[0]["balance"] - 100},
        )
        yield Commit()
        return Ok()

    return long_reader


def _short_writer(keys: Keys, _operation_id: UUID) -> Steps:
    yield Statement("update accounts set balance = balance - 100, n = n + 1 where id = :account", keys)
    return Ok()


def _lock_cart(keys: Keys) -> Statement:
    return Statement("select id from accounts where id = :account for update", keys)


def _add_item(*, is_locking: bool) -> Callable[[Keys, UUID], Steps]:
    def add_item(keys: Keys, _operation_id: UUID) -> Steps:
        yield Begin()
        if is_locking:
            yield _lock_cart(keys)
        rows: Rows = yield Statement("select id from orders where cart_id = :account", keys)
        if rows:
            yield Rollback()
            return Declined("checked_out")
        yield Statement("insert into items (cart_id, price) values (:account, 40)", keys)
        yield Commit()
        return Ok()

    return add_item


def _check_out(*, is_locking: bool) -> Callable[[Keys, UUID], Steps]:
    """Add the cart up late, behind address, taxes and postage, and copy it right after: nothing but a short call that is
    begun late comes in between."""

    def check_out(keys: Keys, _operation_id: UUID) -> Steps:
        yield Begin()
        if is_locking:
            yield _lock_cart(keys)
        yield from _look_around(keys, 12)
        total: Rows = yield Statement("select sum(price)::bigint as total from items where cart_id = :account", keys)
        order: Rows = yield Statement(
            "insert into orders (cart_id, total) values (:account, :total) returning id",
            {**keys, "total": total[0]["total"]},
        )
        yield Statement(
            "insert into order_items (order_id, price) select :order_id, price from items where cart_id = :account",
            {**keys, "order_id": order[0]["id"]},
        )
        yield Commit()
        return Ok({"total": total[0]["total"]})

    return check_out


COPIED_MORE = """
select orders.id, orders.total, sum(order_items.price) as copied
from orders join order_items on order_items.order_id = orders.id
where orders.cart_id = :account
group by orders.id having sum(order_items.price) <> orders.total
"""


# The read-only anomaly of snapshot isolation (Fekete, O'Neil and O'Neil, SIGMOD Record 2004): receipt and close_batch alone
# are serializable, and what the report reads without writing anything is in no order with both.


def _receipt(keys: Keys, _operation_id: UUID) -> Steps:
    """Book an amount into the batch that is open: accounts.n."""
    yield Begin()
    rows: Rows = yield Statement("select n from accounts where id = :account", keys)
    yield Statement("insert into receipts (book_id, batch, amount) values (:account, :n, 30)", {**keys, "n": rows[0]["n"]})
    yield Commit()
    return Ok({"batch": rows[0]["n"]})


def _close_batch(keys: Keys, _operation_id: UUID) -> Steps:
    """Look through the drawers, then close the batch: a receipt that began before must still be on its way by then."""
    yield Begin()
    yield from _look_around(keys, 4)
    yield Statement("update accounts set n = n + 1 where id = :account", keys)
    yield Commit()
    return Ok()


def _report(keys: Keys, _operation_id: UUID) -> Steps:
    """Report the batch before the open one, which is closed and so must be complete; file what was read afterwards."""
    yield Begin()
    rows: Rows = yield Statement("select n - 1 as batch from accounts where id = :account", keys)
    batch = rows[0]["batch"]
    total: Rows = yield Statement(
        "select coalesce(sum(amount), 0)::bigint as total from receipts where book_id = :account and batch = :batch",
        {**keys, "batch": batch},
    )
    yield Commit()
    yield Statement(
        "insert into reports (book_id, batch, total) values (:account, :batch, :total)",
        {**keys, "batch": batch, "total": total[0]["total"]},
    )
    return Ok({"total": total[0]["total"]})


INCOMPLETE_REPORT = """
select reports.batch, reports.total
from reports where book_id = :account and total <> (
    select coalesce(sum(amount), 0) from receipts
    where receipts.book_id = reports.book_id and receipts.batch = reports.batch
)
"""


# Single statements.


def _alone(sql: str) -> Callable[[Keys, UUID], Steps]:
    def alone(keys: Keys, operation_id: UUID) -> Steps:
        rows: Rows = yield Statement(sql, {**keys, "note": operation_id})
        return Ok({"count": len(rows)})

    return alone


INSERT_UNLESS_THERE = """
insert into credits (account_id, event)
select :account, 'e' where not exists (select from credits where account_id = :account and event = 'e')
returning id
"""
INSERT_ONCE = "insert into credits_once (account_id, event) values (:account, 'e') on conflict do nothing returning id"
SPEND_IF_SUM = """
insert into numbers (account_id, n, note)
select :account, -600, :note
where (select coalesce(sum(n), 0) from numbers where account_id = :account) >= -500
returning n
"""
READ_THEN_ADD = """
with read as (select n from accounts where id = :account)
update accounts set n = read.n + 1 from read where id = :account returning accounts.n
"""
NEXT_NUMBER = """
insert into numbers (account_id, n, note)
select :account, coalesce(max(n), 0) + 1, :note from numbers where account_id = :account returning n
"""
ADD_ONE = "update accounts set n = n + 1 where id = :account returning n"

CREDITED_AGAIN = "select account_id from credits where account_id = :account group by account_id having count(*) > 1"
OVERSPENT = "select sum(n) from numbers where account_id = :account having sum(n) < -600"
NOT_TWO = "select id, n from accounts where id = :account and n <> 2"
NUMBERED_ALIKE = "select n from numbers where account_id = :account group by n having count(*) > 1"


# Through a view, a trigger, a function.


def _through(reading: str, limit: int, writing: str, *, is_locking: bool) -> Callable[[Keys, UUID], Steps]:
    def through(keys: Keys, operation_id: UUID) -> Steps:
        yield Begin()
        if is_locking:
            yield _lock_cart(keys)
        rows: Rows = yield Statement(reading, keys)
        if rows[0]["value"] >= limit:
            yield Rollback()
            return Declined("full")
        yield Statement(writing, {**keys, "note": operation_id})
        yield Commit()
        return Ok()

    return through


READ_VIEW = "select total as value from totals where account_id = :account"
WRITE_NUMBER = "insert into numbers (account_id, n, note) values (:account, 1, :note)"
VIEW_FULL = "select account_id, total from totals where account_id = :account and total > 1"
READ_COUNTER = "select n as value from accounts where id = :account"
WRITE_GUARDED = "insert into guarded (account_id, note) values (:account, :note)"
COUNTER_FULL = "select id, n from accounts where id = :account and n > 1"


def _function(name: str) -> Callable[[Keys, UUID], Generator[Any, Any, Any]]:
    def function(keys: Keys, _operation_id: UUID) -> Steps:
        yield Begin()
        rows: Rows = yield Statement(f"select {name}(:account) as balance", keys)
        yield Statement("select write_balance(:account, :amount)", {**keys, "amount": rows[0]["balance"] - 100})
        yield Statement("update accounts set n = n + 1 where id = :second", keys)
        yield Commit()
        return Ok({"balance": rows[0]["balance"] - 100})

    return function


FUNCTION_LOST = """
select a.balance, b.n from accounts as a, accounts as b where a.id = :account and b.id = :second
and a.balance <> 1000 - 100 * b.n
"""

_READ = "select balance from accounts where id = :account"
_READ_LOCKED = f"{_READ} for update"

SYMMETRIC = (
    Case("lost update", _program(*[_withdraw(_READ)] * 2, check=LOST_UPDATE), is_racy=True),
    Case("lost update, for update", _program(*[_withdraw(_READ_LOCKED)] * 2, check=LOST_UPDATE), is_racy=False),
    Case("double credit", _program(*[_credit_checked] * 2, check=CREDITED_TWICE), is_racy=True),
    Case("double credit, on conflict", _program(*[_credit_once] * 2, check=CREDITED_TWICE), is_racy=False),
    Case(
        "write skew, repeatable read",
        _program(_debit_from("account"), _debit_from("second"), check=WRITE_SKEW, isolation=Isolation.REPEATABLE_READ),
        is_racy=True,
    ),
    Case(
        "write skew, serializable",
        _program(_debit_from("account"), _debit_from("second"), check=WRITE_SKEW, isolation=Isolation.SERIALIZABLE),
        is_racy=False,
    ),
    Case("duplicate scan", _program(*[_scan_checked] * 2, check=SCANNED_TWICE), is_racy=True),
    Case("duplicate scan, claimed", _program(*[_scan_claimed] * 2, check=SCANNED_TWICE), is_racy=False),
)

ASYMMETRIC = (
    Case("long reader", _program(_long_reader(_READ), _short_writer, check=LOST_UPDATE), is_racy=True),
    Case("long reader, for update", _program(_long_reader(_READ_LOCKED), _short_writer, check=LOST_UPDATE), is_racy=False),
    Case("cart", _program(_check_out(is_locking=False), _add_item(is_locking=False), check=COPIED_MORE), is_racy=True),
    Case(
        "cart, locked", _program(_check_out(is_locking=True), _add_item(is_locking=True), check=COPIED_MORE), is_racy=False
    ),
    Case(
        "report, repeatable read",
        _program(_receipt, _close_batch, _report, check=INCOMPLETE_REPORT, isolation=Isolation.REPEATABLE_READ),
        is_racy=True,
    ),
    Case(
        "report, serializable",
        _program(_receipt, _close_batch, _report, check=INCOMPLETE_REPORT, isolation=Isolation.SERIALIZABLE),
        is_racy=False,
    ),
)

SINGLE_STATEMENT = (
    Case("insert where not exists", _program(*[_alone(INSERT_UNLESS_THERE)] * 2, check=CREDITED_AGAIN), is_racy=True),
    Case("insert, on conflict", _program(*[_alone(INSERT_ONCE)] * 2, check=CREDITED_AGAIN), is_racy=False),
    Case("spend if sum", _program(*[_alone(SPEND_IF_SUM)] * 2, check=OVERSPENT), is_racy=True),
    Case("read then add", _program(*[_alone(READ_THEN_ADD)] * 2, check=NOT_TWO), is_racy=True),
    Case("add one", _program(*[_alone(ADD_ONE)] * 2, check=NOT_TWO), is_racy=False),
    Case("next number", _program(*[_alone(NEXT_NUMBER)] * 2, check=NUMBERED_ALIKE), is_racy=True),
)

HIDDEN = (
    Case("view", _program(*[_through(READ_VIEW, 1, WRITE_NUMBER, is_locking=False)] * 2, check=VIEW_FULL), is_racy=True),
    Case(
        "view, locked",
        _program(*[_through(READ_VIEW, 1, WRITE_NUMBER, is_locking=True)] * 2, check=VIEW_FULL),
        is_racy=False,
    ),
    Case(
        "trigger",
        _program(*[_through(READ_COUNTER, 1, WRITE_GUARDED, is_locking=False)] * 2, check=COUNTER_FULL),
        is_racy=True,
    ),
    Case(
        "trigger, locked",
        _program(*[_through(READ_COUNTER, 1, WRITE_GUARDED, is_locking=True)] * 2, check=COUNTER_FULL),
        is_racy=False,
    ),
    Case("function", _program(*[_function("read_balance")] * 2, check=FUNCTION_LOST), is_racy=True),
    Case("function, locked", _program(*[_function("lock_balance")] * 2, check=FUNCTION_LOST), is_racy=False),
)

CASES = SYMMETRIC + ASYMMETRIC + SINGLE_STATEMENT + HIDDEN


def without_checks(program: Program) -> Program:
    """Return the program for the second oracle alone."""
    return replace(program, checks=())

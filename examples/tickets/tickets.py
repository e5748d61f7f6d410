"""A shop that sells tickets: shows with so many seats, orders, and what was paid for each, in a schema of its own.

Try it in a copy of this folder:

    integrity seed --system tickets
    integrity run box-office --duration 5s
    integrity validate
    integrity race buy buy --bug oversold
    pytest test_tickets.py
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from uuid import UUID, uuid4

import numpy as np
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
)

from integrity import Bug, Operation, System
from integrity.domain import Domain, IntegerIn, KeyOf
from integrity.engines.columns import bigints, texts, uuids
from integrity.operation import RESTARTED, Allowed, Begin, Commit, Declined, Ok, Rollback, Statement, Steps, Value
from integrity.systems.seeder import Batch, SeededRows, Seeder, Size, Start
from integrity.systems.stage import Ref, Stage, StagedRow
from integrity.systems.system import instead

PRICE_MINOR = 2_500
SEATS = 40

METADATA = MetaData(schema="tickets")
ID = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers the rows of an `integer primary key` only

shows = Table(
    "shows",
    METADATA,
    Column("id", ID, Identity(), primary_key=True),
    Column("seat_count", BigInteger, nullable=False),
    Column("sold_count", BigInteger, nullable=False),
    CheckConstraint("sold_count <= seat_count", name="shows_not_oversold"),
)
orders = Table(
    "orders",
    METADATA,
    Column("id", ID, Identity(), primary_key=True),
    Column("show_id", BigInteger, ForeignKey(shows.c.id, name="orders_show_id_fkey"), nullable=False),
    Column("ticket_count", BigInteger, nullable=False),
    Column("status", Text, nullable=False),
    Column("operation_id", Uuid, nullable=False),
    CheckConstraint("status in ('paid', 'returned')", name="orders_status_known"),
    CheckConstraint("ticket_count > 0", name="orders_not_empty"),
    UniqueConstraint("operation_id", name="orders_operation_id_key"),
    Index("orders_show_id_idx", "show_id"),
)
payments = Table(
    "payments",
    METADATA,
    Column("id", ID, Identity(), primary_key=True),
    Column("order_id", BigInteger, ForeignKey(orders.c.id, name="payments_order_id_fkey"), nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("operation_id", Uuid, nullable=False),
    UniqueConstraint("operation_id", name="payments_operation_id_key"),
    Index("payments_order_id_idx", "order_id"),
)


def buy(*, operation_id: UUID, show_id: int, ticket_count: int) -> Steps:
    """Sell tickets as long as there are seats: one update looks and takes."""
    yield Begin()
    sold = yield Statement(
        """
        update tickets.shows set sold_count = sold_count + :count
        where id = :show_id and sold_count + :count <= seat_count
        returning id
        """,
        {"show_id": show_id, "count": ticket_count},
    )
    if not sold:
        yield Rollback()
        return Declined("sold_out")
    return (yield from _order(operation_id, show_id, ticket_count))


def buy_as_read(*, operation_id: UUID, show_id: int, ticket_count: int) -> Steps:
    """Look how many are sold, and write back that and these: who buys in between is forgotten, and sits there, too."""
    yield Begin()
    rows = yield Statement("select seat_count, sold_count from tickets.shows where id = :show_id", {"show_id": show_id})
    sold_count = rows[0]["sold_count"] + ticket_count
    if sold_count > rows[0]["seat_count"]:
        yield Rollback()
        return Declined("sold_out")
    yield Statement(
        "update tickets.shows set sold_count = :sold where id = :show_id", {"show_id": show_id, "sold": sold_count}
    )
    return (yield from _order(operation_id, show_id, ticket_count))


def give_back(*, operation_id: UUID, order_id: int) -> Steps:
    """Return an order's tickets, once, and the money."""
    yield Begin()
    returned = yield Statement(
        """
        update tickets.orders set status = 'returned' where id = :order_id and status = 'paid'
        returning show_id, ticket_count
        """,
        {"order_id": order_id},
    )
    if not returned:
        yield Rollback()
        return Declined("not_paid")
    return (yield from _free(operation_id, order_id, returned[0]["show_id"], returned[0]["ticket_count"]))


def give_back_when_seen(*, operation_id: UUID, order_id: int) -> Steps:
    """Look whether the order is paid, and return it then: two that look at once both return it."""
    yield Begin()
    rows = yield Statement(
        "select show_id, ticket_count, status from tickets.orders where id = :order_id", {"order_id": order_id}
    )
    if rows[0]["status"] != "paid":
        yield Rollback()
        return Declined("not_paid")
    yield Statement("update tickets.orders set status = 'returned' where id = :order_id", {"order_id": order_id})
    return (yield from _free(operation_id, order_id, rows[0]["show_id"], rows[0]["ticket_count"]))


def give_back_for_nothing(*, operation_id: UUID, order_id: int) -> Steps:
    """Return the tickets, and forget the money."""
    yield Begin()
    returned = yield Statement(
        """
        update tickets.orders set status = 'returned' where id = :order_id and status = 'paid'
        returning show_id, ticket_count
        """,
        {"order_id": order_id},
    )
    if not returned:
        yield Rollback()
        return Declined("not_paid")
    yield _take_off(returned[0]["show_id"], returned[0]["ticket_count"])
    yield Commit()
    return Ok()


def _order(operation_id: UUID, show_id: int, ticket_count: int) -> Steps:
    """Write the order and its payment, and commit."""
    rows = yield Statement(
        """
        insert into tickets.orders (show_id, ticket_count, status, operation_id)
        values (:show_id, :count, 'paid', :operation_id)
        returning id
        """,
        {"show_id": show_id, "count": ticket_count, "operation_id": operation_id},
    )
    yield _pay(rows[0]["id"], ticket_count * PRICE_MINOR, operation_id)
    yield Commit()
    return Ok({"order_id": rows[0]["id"]})


def _free(operation_id: UUID, order_id: int, show_id: int, ticket_count: int) -> Steps:
    """Take the tickets off the show's, pay the money back, and commit."""
    yield _take_off(show_id, ticket_count)
    yield _pay(order_id, -ticket_count * PRICE_MINOR, operation_id)
    yield Commit()
    return Ok()


def _take_off(show_id: int, ticket_count: int) -> Statement:
    return Statement(
        "update tickets.shows set sold_count = sold_count - :count where id = :show_id",
        {"show_id": show_id, "count": ticket_count},
    )


def _pay(order_id: int, amount_minor: int, operation_id: UUID) -> Statement:
    return Statement(
        "insert into tickets.payments (order_id, amount_minor, operation_id) values (:order_id, :amount, :operation_id)",
        {"order_id": order_id, "amount": amount_minor, "operation_id": operation_id},
    )


def stage() -> Stage:
    """A show with two seats left and one order, and a show that nobody has bought tickets of."""
    order: dict[str, Value | Ref] = {
        "show_id": Ref("show"), "ticket_count": 3, "status": "paid", "operation_id": uuid4()
    }  # fmt: skip
    payment: dict[str, Value | Ref] = {
        "order_id": Ref("order"), "amount_minor": 3 * PRICE_MINOR, "operation_id": uuid4()
    }  # fmt: skip
    rows = [
        StagedRow("show", "tickets.shows", {"seat_count": 5, "sold_count": 3}),
        StagedRow("other", "tickets.shows", {"seat_count": 5, "sold_count": 0}),
        StagedRow("order", "tickets.orders", order),
        StagedRow("payment", "tickets.payments", payment),
    ]
    return Stage(rows, {"shows_1": Ref("show"), "shows_2": Ref("other"), "orders_1": Ref("order")})


def generate(sizes: Mapping[str, int], seed: int, start: Start) -> Iterator[Batch]:
    """Yield shows, each half sold in orders of two tickets."""
    random = np.random.default_rng(seed)
    show_ids = start.next_ids["shows"] + np.arange(sizes["shows"])
    each = random.integers(1, SEATS // 4, len(show_ids))  # orders of each
    order_ids = start.next_ids["orders"] + np.arange(each.sum())
    yield Batch(
        done=len(show_ids),
        tables=[
            SeededRows(
                "shows",
                [
                    bigints("id", show_ids),
                    bigints("seat_count", np.full(len(show_ids), SEATS)),
                    bigints("sold_count", 2 * each),
                ],
            ),
            SeededRows(
                "orders",
                [
                    bigints("id", order_ids),
                    bigints("show_id", np.repeat(show_ids, each)),
                    bigints("ticket_count", np.full(len(order_ids), 2)),
                    texts("status", ["paid"] * len(order_ids)),
                    uuids("operation_id", np.frombuffer(random.bytes(16 * len(order_ids)), "V16")),
                ],
            ),
            SeededRows(
                "payments",
                [
                    bigints("id", start.next_ids["payments"] + np.arange(len(order_ids))),
                    bigints("order_id", order_ids),
                    bigints("amount_minor", np.full(len(order_ids), 2 * PRICE_MINOR)),
                    uuids("operation_id", np.frombuffer(random.bytes(16 * len(order_ids)), "V16")),
                ],
            ),
        ],
    )


SHOW: dict[str, Domain] = {"show_id": KeyOf("shows"), "ticket_count": IntegerIn(1, 2)}
ORDER: dict[str, Domain] = {"order_id": KeyOf("orders")}
OPERATIONS = {"buy": Operation("buy", buy, SHOW), "give_back": Operation("give_back", give_back, ORDER)}

TICKETS = System(
    name="tickets",
    title="a ticket shop: orders, returns, payments",
    metadata=METADATA,
    operations=OPERATIONS,
    pools={
        "shows": "select id from tickets.shows order by id",
        "orders": "select id from tickets.orders order by id",
    },
    makes={"buy": ("orders", "order_id")},
    bugs={
        "oversold": Bug(
            name="oversold",
            forgotten="how many are sold is read, and written back with these",
            operations=instead(OPERATIONS, buy_as_read, "buy"),
            violates=("tickets/sold-equals-orders",),
            race=("buy", "buy"),
        ),
        "returned_twice": Bug(
            name="returned_twice",
            forgotten="that an order is paid is looked at, and not asked for where it is returned",
            operations=instead(OPERATIONS, give_back_when_seen, "give_back"),
            violates=("tickets/sold-equals-orders", "shop/money-is-for-tickets"),
            race=("give_back", "give_back"),
        ),
        "forgotten_refund": Bug(
            name="forgotten_refund",
            forgotten="the money of an order that is returned",
            operations=instead(OPERATIONS, give_back_for_nothing, "give_back"),
            violates=("shop/money-is-for-tickets", "tickets/acknowledged-call-is-stored"),
        ),
    },
    stage=stage,
    seeder=Seeder("tickets", [Size("shows", default=50, most=100_000)], {}, generate),
    profiles=Path(__file__).with_name("profiles.toml"),
    allowed=Allowed(retries=RESTARTED),
)

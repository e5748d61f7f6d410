"""Seats and tickets of events: two operations in Python, on tables that are read of the database."""

from uuid import UUID

from integrity import Bug, Operation, System
from integrity.domain import Domain, KeyOf, OneOf
from integrity.operation import RESTARTED, Allowed, Begin, Commit, Declined, Ok, Rollback, Rows, Statement, Steps
from integrity.systems.system import instead
from integrity.systems.wanted_row import WantedRow


def buy(*, operation_id: UUID, event: UUID, buyer: str) -> Steps:
    """Sell a ticket as long as there are places, with the event locked."""
    yield Begin()
    return (yield from _sell(event, buyer, " for update"))


def buy_unlocked(*, operation_id: UUID, event: UUID, buyer: str) -> Steps:
    """Sell a ticket after a look at how many were sold by then."""
    yield Begin()
    return (yield from _sell(event, buyer, ""))


def _sell(event: UUID, buyer: str, lock: str) -> Steps:
    events: Rows = yield Statement(f'select "capacity" from "Event" where "id" = :event{lock}', {"event": event})
    sold: Rows = yield Statement('select count(*) as n from "Ticket" where "eventId" = :event', {"event": event})
    if sold[0]["n"] >= events[0]["capacity"]:
        yield Rollback()
        return Declined("sold_out")
    values = {"event": event, "buyer": buyer}
    rows: Rows = yield Statement('insert into "Ticket" ("eventId", "buyer") values (:event, :buyer) returning "id"', values)
    yield Commit()
    return Ok({"ticket": rows[0]["id"]})


def hold(*, operation_id: UUID, seat: tuple[UUID, int], buyer: str) -> Steps:
    """Hold a seat that is free; its key is of two columns, and so is the argument."""
    return (yield from _hold(seat, buyer, """ and "state" = 'free'"""))


def hold_anyway(*, operation_id: UUID, seat: tuple[UUID, int], buyer: str) -> Steps:
    """Hold a seat that was free a moment ago."""
    return (yield from _hold(seat, buyer, ""))


def _hold(seat: tuple[UUID, int], buyer: str, still_free: str) -> Steps:
    key = {"event": seat[0], "number": seat[1]}
    yield Begin()
    seats: Rows = yield Statement('select "state" from "Seat" where "eventId" = :event and "number" = :number', key)
    taken = seats[0]["state"] != "free"
    if not taken:
        changed: Rows = yield Statement(
            'update "Seat" set "state" = \'held\' where "eventId" = :event and "number" = :number'
            f'{still_free} returning "number"',
            key,
        )
        taken = not changed
    if taken:
        yield Rollback()
        return Declined("seat_taken")
    yield Statement(
        'insert into "Hold" ("eventId", "number", "buyer") values (:event, :number, :buyer)', {**key, "buyer": buyer}
    )
    yield Commit()
    return Ok()


BUYER: Domain = OneOf(["ada@example.com", "bob@example.com"])
OPERATIONS = {
    "buy": Operation("buy", buy, {"event": KeyOf("Event"), "buyer": BUYER}),
    "hold": Operation("hold", hold, {"seat": KeyOf("Seat"), "buyer": BUYER}),
}

SEATS = System(
    name="seats",
    title="seats and tickets of events",
    operations=OPERATIONS,
    # What a race is played on: an event with one place left. What these rows need beside is made.
    rows=[
        WantedRow("event", '"Event"', {"capacity": "2"}),
        WantedRow("sold", '"Ticket"', {'"eventId"': ":event"}),
        WantedRow("seat", '"Seat"', {'"eventId"': ":event", "number": "7"}),
    ],
    bugs={
        "oversell": Bug(
            name="oversell",
            forgotten="the lock on the event whose tickets are counted",
            operations=instead(OPERATIONS, buy_unlocked, "buy"),
            violates=("no-event-oversold",),
            race=("buy", "buy"),
            schedule="AB",
        ),
        "double_hold": Bug(
            name="double_hold",
            forgotten="that the seat is still free when its state is written",
            operations=instead(OPERATIONS, hold_anyway, "hold"),
            violates=("seat-held-once",),
            race=("hold", "hold"),
            schedule="AB",
        ),
    },
    allowed=Allowed(retries=RESTARTED),
)

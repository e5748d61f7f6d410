"""A small system of its own for whole messages of `race`: each operation goes wrong, or not, in one way."""

from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Identity, Integer, MetaData, Table, Text

from integrity.domain import KeyOf
from integrity.operation import Begin, Commit, Declined, Ok, Operation, Rollback, Rows, Statement, Steps
from integrity.systems.stage import Ref, Stage, StagedRow
from integrity.systems.system import System

METADATA = MetaData(schema="kiosk")
Table(
    "shelves",
    METADATA,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("stock", Integer, nullable=False),
    Column("sold", Integer, nullable=False),
    CheckConstraint("stock >= 0", name="shelves_stock_not_negative"),
)
Table(
    "labels",
    METADATA,
    Column("shelf_id", ForeignKey("kiosk.shelves.id"), primary_key=True),
    Column("text", Text, primary_key=True),
    Column("state", Text, nullable=False),
)

STOCK_PLUS_SOLD = """-- title: what is on a shelf and what was sold make ten
-- severity: error
-- source: each shelf begins with ten
select shelves.id as shelf_id, shelves.stock, shelves.sold
from kiosk.shelves
where shelves.stock + shelves.sold <> 10
order by shelves.id
"""


def stage() -> Stage:
    """Two shelves with ten pieces each."""
    rows = [StagedRow(name, "kiosk.shelves", {"stock": 10, "sold": 0}) for name in ("one", "other")]
    return Stage(rows, {"shelves_1": Ref("one"), "boxes_1": Ref("other")})


def sell(*, operation_id: UUID, shelf_id: int) -> Steps:
    """Read the stock, and write it back less one."""
    yield Begin()
    rows: Rows = yield Statement("select stock from kiosk.shelves where id = :shelf", {"shelf": shelf_id})
    stock = rows[0]["stock"] - 1
    yield Statement(
        "update kiosk.shelves set stock = :stock, sold = sold + 1 where id = :shelf", {"stock": stock, "shelf": shelf_id}
    )
    yield Commit()
    return Ok({"stock": stock})


def take(*, operation_id: UUID, shelf_id: int) -> Steps:
    """Take one piece, in one statement."""
    yield Statement("update kiosk.shelves set stock = stock - 1, sold = sold + 1 where id = :shelf", {"shelf": shelf_id})
    return Ok()


def _touch(*shelves: int) -> Steps:
    yield Begin()
    for shelf in shelves:
        yield Statement("update kiosk.shelves set sold = sold where id = :shelf", {"shelf": shelf})
    yield Commit()
    return Ok()


def move(*, operation_id: UUID, shelf_id: int, box_id: int) -> Steps:
    """Touch a shelf, then a box."""
    return (yield from _touch(shelf_id, box_id))


def move_back(*, operation_id: UUID, shelf_id: int, box_id: int) -> Steps:
    """Touch a box, then a shelf."""
    return (yield from _touch(box_id, shelf_id))


def label(*, operation_id: UUID, shelf_id: int) -> Steps:
    """Look for a label, and make it."""
    yield Begin()
    found: Rows = yield Statement(
        "select text from kiosk.labels where shelf_id = :shelf and text = 'new'", {"shelf": shelf_id}
    )
    if not found:
        yield Statement("insert into kiosk.labels values (:shelf, 'new', 'done')", {"shelf": shelf_id})
    yield Commit()
    return Ok()


def print_label(*, operation_id: UUID, shelf_id: int) -> Steps:
    """Take a label in one transaction, print it in the next: who comes in between is told so."""
    taken: Rows = yield Statement(
        "insert into kiosk.labels values (:shelf, 'print', 'busy') on conflict do nothing returning text",
        {"shelf": shelf_id},
    )
    if not taken:
        found: Rows = yield Statement(
            "select state from kiosk.labels where shelf_id = :shelf and text = 'print'", {"shelf": shelf_id}
        )
        return Declined("in_progress" if found[0]["state"] == "busy" else "printed")
    yield Begin()
    done: Rows = yield Statement(
        "update kiosk.labels set state = 'done' where shelf_id = :shelf and text = 'print' returning text",
        {"shelf": shelf_id},
    )
    if not done:
        yield Rollback()
        return Declined("gone")
    yield Commit()
    return Ok()


SHELF = {"shelf_id": KeyOf("shelves")}
OPERATIONS = {
    each.name: each
    for each in (
        Operation("sell", sell, SHELF),
        Operation("take", take, SHELF),
        Operation("move", move, {**SHELF, "box_id": KeyOf("boxes")}),
        Operation("move_back", move_back, {**SHELF, "box_id": KeyOf("boxes")}),
        Operation("label", label, SHELF),
        Operation("print_label", print_label, SHELF),
    )
}
KIOSK = System("kiosk", "a kiosk", METADATA, OPERATIONS, {}, {}, stage=stage)

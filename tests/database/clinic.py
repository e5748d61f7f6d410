"""A system as an ORM makes them: quoted, mixed-case names, keys of several columns and of text, unnamed constraints, and
columns of every kind of value. Its one operation reads a rate, and writes it back changed."""

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    Interval,
    LargeBinary,
    MetaData,
    Numeric,
    Table,
    Text,
    Time,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import JSONB

from integrity.domain import KeyOf
from integrity.operation import Begin, Commit, Declined, Ok, Operation, Rollback, Rows, Statement, Steps
from integrity.systems.stage import Ref, Stage, StagedRow
from integrity.systems.system import System

METADATA = MetaData(schema="Clinic")

Table(
    "Vet",
    METADATA,
    Column("vetId", BigInteger, Identity(), primary_key=True),
    Column("displayName", Text, nullable=False),
    Column("hourlyRate", Numeric(10, 2), nullable=False),
    Column("ratio", Double, nullable=False),
    Column("hiredOn", Date, nullable=False),
    Column("opensAt", Time, nullable=False),
    Column("takes", Interval, nullable=False),
    Column("tags", ARRAY(Text), nullable=False),
    Column("extra", JSONB, nullable=False),
    Column("photo", LargeBinary, nullable=False),
    CheckConstraint('"hourlyRate" >= 0'),
    UniqueConstraint("displayName"),
)
Table("order", METADATA, Column("code", Text, primary_key=True), Column("vetId", ForeignKey("Clinic.Vet.vetId")))
Table(
    "Booking",
    METADATA,
    Column("vetId", ForeignKey("Clinic.Vet.vetId"), primary_key=True),
    Column("startTime", DateTime, primary_key=True),
    Column("orderCode", ForeignKey("Clinic.order.code"), nullable=False),
)
Table(
    "Line",
    METADATA,
    Column("vetId", BigInteger, nullable=False),
    Column("startTime", DateTime, nullable=False),
    Column("count", Integer, nullable=False),
    ForeignKeyConstraint(["vetId", "startTime"], ["Clinic.Booking.vetId", "Clinic.Booking.startTime"]),
    Index(None, "vetId", "startTime"),
)

VALUES: Mapping[str, Any] = {
    "hourlyRate": Decimal("99.50"),
    "ratio": float("nan"),
    "hiredOn": date(2024, 2, 29),
    "opensAt": time(8, 30),
    "takes": timedelta(days=1, minutes=30, microseconds=5),
    "tags": ["cats", "it's", None],
    "extra": ["first", {"wei": 10**30, "note": 'a "b"'}],
    "photo": b"\x00\\'\xff",
}


def stage() -> Stage:
    """A vet with an order, a booking of it, and a line of that."""
    start = datetime.fromisoformat("2026-09-14 10:00")
    code = f"race-{uuid4()}"
    return Stage(
        [
            StagedRow("vet", '"Clinic"."Vet"', {"displayName": f"race-{uuid4()}", **VALUES}),
            StagedRow("order", "Clinic.order", {"code": code, "vetId": Ref("vet")}),
            StagedRow("booking", "Clinic.Booking", {'"vetId"': Ref("vet"), "startTime": start, "orderCode": Ref("order")}),
            StagedRow("line", "Clinic.Line", {"vetId": Ref("vet"), "startTime": start, "count": 1}),
        ],
        {"Vet_1": Ref("vet"), "order_1": Ref("order")},
    )


def _raise_rate(lock: str) -> Any:
    def raise_rate(*, operation_id: UUID, vet_id: int, order_code: str) -> Steps:
        yield Begin()
        rows: Rows = yield Statement(f'select * from "Clinic"."Vet" where "vetId" = :vet{lock}', {"vet": vet_id})
        row = dict(rows[0])
        if row["hourlyRate"] > 1000:
            yield Rollback()
            return Declined("too_dear")
        yield Statement(
            'update "Clinic"."Vet" set "hourlyRate" = :rate, "ratio" = :ratio, "hiredOn" = :day, "opensAt" = :at,'
            ' "takes" = :takes, "tags" = :tags, "extra" = :extra, "photo" = :photo where "vetId" = :vet',
            {
                "rate": row["hourlyRate"] + Decimal("0.50"),
                "ratio": row["ratio"],
                "day": row["hiredOn"] + timedelta(days=1),
                "at": row["opensAt"],
                "takes": row["takes"] * 2,
                "tags": [*row["tags"], "raised"],
                "extra": {"was": row["extra"]},
                "photo": row["photo"],
                "vet": vet_id,
            },
        )
        yield Statement('update "Clinic"."Line" set "count" = "count" + 1 where "vetId" = :vet', {"vet": vet_id})
        yield Commit()
        return Ok({"rate": row["hourlyRate"], "code": order_code})

    return raise_rate


ARGUMENTS = {"vet_id": KeyOf("Vet"), "order_code": KeyOf("order")}
RACY = Operation("raise_rate", _raise_rate(""), ARGUMENTS)
SOUND = Operation("raise_rate", _raise_rate(" for update"), ARGUMENTS)


def make_system(operation: Operation) -> System:
    """Return the clinic with this operation."""
    return System("clinic", "a clinic", METADATA, {operation.name: operation}, {}, {}, stage=stage)


INVARIANT = """-- title: a rate has risen by half for each line
-- severity: error
-- source: each raise counts once
select "Vet"."vetId", "Vet"."hourlyRate", "Line"."count"
from "Clinic"."Vet"
join "Clinic"."Line" on "Line"."vetId" = "Vet"."vetId"
where "Vet"."hourlyRate" <> 99 + 0.5 * "Line"."count"
order by "Vet"."vetId"
"""

"""Stages: the small world of rows that one race is played on, as data.

Each schedule is played on a stage of its own, so every row is new and no database is ever reset. A race makes thousands of
them: the rows are inserted in one round trip, on every engine.

    def stage():
        return Stage(
            rows=[
                StagedRow("guest", "venue.wallets", {"code": f"race-{uuid4()}", "balance_minor": 3000}),
                StagedRow("funding", "venue.fundings", {"wallet_id": Ref("guest"), "operation_id": uuid4()}),
            ],
            keys={"wallets_1": Ref("guest"), "events_1": f"race-{uuid4()}"},
        )
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from integrity.operation import Value
from integrity.sql.place import WrittenAt


@dataclass(frozen=True, slots=True)
class Ref:
    """The id that a row got.

    Args:
        row: the name of that row, which stands before whatever refers to it.
        column: what is meant of it; empty: its id, of a key of several columns all of them.
    """

    row: str
    column: str = ""


@dataclass(frozen=True, slots=True)
class Expression:
    """What the database is to make of an SQL expression, e.g. "now() - interval '1 day'"."""

    sql: str


@dataclass(frozen=True, slots=True)
class StagedRow:
    """One row.

    Args:
        name: for references to it; of one row only.
        table: as SQL names it, with its schema: "ghostpass.wallets".
        values: by column. A column that is left out takes its default; so does `id`, which is what references mean.
        written_at: the line of a file that asks for it; by default none.
    """

    name: str
    table: str
    values: Mapping[str, Value | Ref | Expression] = field(default_factory=dict)
    written_at: WrittenAt = field(default=WrittenAt(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Stage:
    """Rows, and the keys by which calls know them.

    Args:
        rows: in an order in which they can be inserted.
        keys: by pool and number, {"wallets_1": Ref("guest")}; a key that no row has yet (of an event, an idempotency key)
            is a value. Every pool that an operation's arguments are drawn from needs at least one.
        is_alone: the tables are emptied before the rows are made, one after the other: all that is there is of this stage.
        queries: of one that is alone: pool -> a query that is asked when the rows are there, whose rows are its keys.
        place: where it is written, for messages; put in by whoever calls for it.
    """

    rows: Sequence[StagedRow]
    keys: Mapping[str, Ref | Value]
    is_alone: bool = False
    queries: Mapping[str, str] = field(default_factory=dict)
    place: str = field(default="", compare=False)

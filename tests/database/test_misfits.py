"""Of what is missing, that which the rows do not allow any more is told from what they do, on both engines."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import sqlalchemy as sa

from integrity.database.misfits import find_misfits
from integrity.engines.target import Target

METADATA = sa.MetaData()
SHOPS = sa.Table("shops", METADATA, sa.Column("id", sa.Integer, nullable=False))
SALES = sa.Table(
    "sales",
    METADATA,
    sa.Column("id", sa.Integer, nullable=False),
    sa.Column("shop_id", sa.Integer),
    sa.Column("number", sa.Integer),
    sa.Column("state", sa.Text, nullable=False),
    sa.UniqueConstraint("shop_id", "number", name="one_number"),
    sa.CheckConstraint("number > 0", name="number_positive"),
    sa.ForeignKeyConstraint(["shop_id"], ["shops.id"], name="known_shop"),
    sa.Index("one_open", "shop_id", unique=True, postgresql_where=sa.text("state = 'open'"),
             sqlite_where=sa.text("state = 'open'")),
    sa.Index("by_state", "state"),
)  # fmt: skip
NAMES = [f"sales.{name}" for name in ("one_number", "number_positive", "known_shop", "one_open", "by_state")]


@pytest.fixture(params=["postgresql", "sqlite"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Target:
    """An empty database with both tables, and nothing declared of them."""
    if request.param == "sqlite":
        made = Target.parse(f"sqlite:///{tmp_path}/shop.db")
    else:
        made = request.getfixturevalue("database")
    execute(made, "create table shops (id int)", "create table sales (id int, shop_id int, number int, state text)")
    execute(made, "insert into shops values (1), (2)")
    return made


def execute(target: Target, *statements: str) -> None:
    engine = target.sqlalchemy_engine(("public",))
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()


@pytest.mark.parametrize(
    ("rows", "misfits"),
    [
        (["1, 1, 1, 'open'", "2, 1, 2, 'done'", "3, 2, 1, 'open'"], []),
        (["1, null, 1, 'open'", "2, null, 1, 'open'", "3, 1, null, 'done'", "4, 1, null, 'done'"], []),
        (["1, 1, 7, 'done'", "2, 1, 7, 'done'"], ["sales.one_number"]),
        (["1, 1, 0, 'done'"], ["sales.number_positive"]),
        (["1, 3, 1, 'done'"], ["sales.known_shop"]),
        (["1, 1, 1, 'open'", "2, 1, 2, 'open'"], ["sales.one_open"]),
    ],
)
def test_what_the_rows_break_is_named_and_nothing_else(target: Target, rows: Sequence[str], misfits: list[str]) -> None:
    execute(target, *(f"insert into sales values ({row})" for row in rows))

    assert find_misfits(target, METADATA, NAMES) == misfits
    assert find_misfits(target, METADATA, []) == []

"""A stage becomes one statement on PostgreSQL, and one that cannot be resolved is refused before anything is sent."""

import pytest

from integrity.errors import UsageError
from integrity.race.play.staging import Inserter, TableFacts, resolve, staged
from integrity.systems.stage import Ref, Stage, StagedRow

TABLES = {
    "shop.carts": TableFacts({"id": "bigint", "owner": "text"}, "id", "shop.carts_id_seq"),
    "shop.items": TableFacts({"cart_id": "bigint", "price": "bigint"}),
}
CART = StagedRow("cart", "shop.carts", {"owner": "Ann"})


def stage(*rows: StagedRow, **keys: Ref | str) -> Stage:
    return Stage(rows, keys)


def test_rows_of_one_shape_share_an_insert_and_refer_to_ids_that_are_taken_first() -> None:
    items = [
        StagedRow(name, "shop.items", {"cart_id": Ref("cart"), "price": price}) for name, price in (("a", 1), ("b", 2))
    ]
    statement = Inserter(TABLES).statement(stage(CART, *items))
    assert statement.sql == (
        "with ids as materialized (select nextval('shop.carts_id_seq') as i0), "
        "made_0 as (insert into shop.carts (id, owner) overriding system value select i0, cast(:v0 as text) from ids), "
        "made_1 as (insert into shop.items (cart_id, price) overriding system value "
        "select i0, cast(:v1 as bigint) from ids union all select i0, cast(:v2 as bigint) from ids) "
        "select * from ids"
    )
    assert statement.parameters == {"v0": "Ann", "v1": 1, "v2": 2}


def test_stages_of_one_shape_share_their_text() -> None:
    inserter = Inserter(TABLES)
    one, other = (inserter.statement(stage(StagedRow("cart", "shop.carts", {"owner": name}))) for name in ("Ann", "Bo"))
    assert one.sql is other.sql
    assert (one.parameters, other.parameters) == ({"v0": "Ann"}, {"v0": "Bo"})


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([StagedRow("item", "shop.items", {"cart_id": Ref("cart")}), CART], "no row before it has that name"),
        ([StagedRow("item", "shop.items", {"price": 1}), StagedRow("x", "shop.carts", {"owner": Ref("item")})],
         "shop.items makes no ids"),
        ([CART, CART], "two rows named 'cart'"),
        ([StagedRow("item", "shop.items")], "has no values"),
    ],
)  # fmt: skip
def test_a_reference_that_leads_nowhere_is_refused_with_its_row(rows: list[StagedRow], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        Inserter(TABLES).statement(stage(*rows))


def test_keys_are_ids_or_values_and_ids_count_as_generated() -> None:
    made = staged(stage(CART, carts_1=Ref("cart"), events_1="race-1"), {"cart": 41, "other": 42})
    assert made.keys == {"carts_1": 41, "events_1": "race-1"}
    assert made.generated == {41, 42, "race-1"}
    assert resolve(StagedRow("item", "shop.items", {"cart_id": Ref("cart"), "price": 3}), {"cart": 41}) == {
        "cart_id": 41,
        "price": 3,
    }


def test_a_key_of_a_row_that_is_not_there_is_refused() -> None:
    with pytest.raises(UsageError, match="key carts_1 refers to row 'card'"):
        staged(stage(CART, carts_1=Ref("card")), {"cart": 41})

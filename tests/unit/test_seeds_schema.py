"""What rows for somebody's own tables are made of: sizes by ratios, texts by patterns, choices by checks, as documented."""

import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrity.engines.columns import ColumnValues, CopyKind
from integrity.errors import UsageError
from integrity.seeds.schema.conditions import holds
from integrity.seeds.schema.deal import rank_within
from integrity.seeds.schema.dice import Dice
from integrity.seeds.schema.guide import Guide, Row
from integrity.seeds.schema.patterns import match_expression, match_like
from integrity.seeds.schema.sizes import check_memory, derive_sizes
from integrity.seeds.schema.tables import Column, Reference, SchemaTable, Type
from integrity.seeds.schema.wishes import ColumnWishes, Days, TableWishes, Wishes, with_rows
from integrity.sql.query import find_tree

DOCUMENT = (Path(__file__).parents[2] / "docs" / "your-own-tables.md").read_text(encoding="utf-8")
INTEGER = Type("integer", "int4", "N", "int4send")
TEXT = Type("text", "text", "S", "textsend")


def table(name: str, *parents: str) -> SchemaTable:
    references = [Reference(parent, (parent,), f"public.{parent}", ("id",)) for parent in parents]
    return SchemaTable("public", name, 1, {"id": Column("id", INTEGER)}, references=references)


def test_the_file_in_the_document_can_be_read_and_every_setting_stands_in_the_document() -> None:
    found = re.search(r"```toml\n(.*?)```", DOCUMENT, re.DOTALL)
    assert found is not None

    wishes = Wishes.model_validate(tomllib.loads(found[1]))

    assert wishes.tables["order_items"].per == {"orders": 3.5}
    settings = [name for model in (Wishes, Days, TableWishes, ColumnWishes) for name in model.model_fields]
    assert [name for name in settings if not re.search(rf"\b{name}\b", found[1])] == []


@pytest.mark.parametrize(
    "pattern",
    [
        "^[A-Z]{2}-[0-9]{3}$",
        r"^\d{4}-\d{2}$",
        "^(draft|sent|paid)$",
        "^[a-z0-9._%+-]+@[a-z0-9.-]+[.][a-z]{2,}$",
        "^#[0-9a-fA-F]{6}$",
        "^(?:ab)+c?$",
        "^[^@]+@[^@]+$",
        "^[[:alpha:]][[:alnum:]_]*$".replace("[:alpha:]", "a-z").replace("[:alnum:]", "a-z0-9"),
    ],
)
def test_a_text_made_for_a_pattern_matches_it(pattern: str) -> None:
    dice = Dice(1)
    made = [match_expression(pattern, dice) for _ in range(50)]
    assert [text for text in made if not re.search(pattern, text)] == []


def test_a_text_made_for_like_is_like_it() -> None:
    dice = Dice(1)
    assert all(re.fullmatch(r"a.+b.%", match_like("a%b_\\%", dice)) for _ in range(50))


@pytest.mark.parametrize(
    "check",
    [
        "((price >= 0) AND (price <= 50))",
        "(quantity = ANY (ARRAY[1, 2, 3]))",
        "((kind)::text = ANY ((ARRAY['a'::character varying, 'b'::character varying])::text[]))",
        "(((kind = 'a'::text) AND (price IS NOT NULL)) OR ((kind = 'b'::text) AND (price IS NULL)))",
        "((price IS NULL) <> (quantity IS NULL))",
        "(NOT (price < quantity))",
        "((price + quantity) = total)",
    ],
)
def test_a_row_led_by_a_check_passes_it(check: str) -> None:
    """Judged by the reading of checks over whole columns, which is another one."""
    columns = {name: Column(name, INTEGER) for name in ("price", "quantity", "total")} | {"kind": Column("kind", TEXT)}
    dice = Dice(1)
    tree = find_tree(check)
    assert tree is not None
    rows: list[Row] = []
    for _ in range(100):
        row: Row = {name: str(dice.below(1000)) for name in columns}
        Guide(columns, lambda _: str(dice.below(1000)), dice).lead(tree, row)
        rows.append(row)

    judged = holds(check, {name: _column(name, [row[name] for row in rows]) for name in columns}, len(rows))

    assert judged is not None
    assert judged.all()


def _column(name: str, texts: list[str | None]) -> ColumnValues:
    nulls = np.array([text is None for text in texts])
    if name == "kind":
        return ColumnValues(name, CopyKind.TEXT, np.array([(text or "").encode() for text in texts]), nulls)
    return ColumnValues(name, CopyKind.INTEGER, np.array([int(text or 0) for text in texts]), nulls)


def test_null_passes_a_check_and_not_a_predicate() -> None:
    columns = {"price": ColumnValues("price", CopyKind.INTEGER, np.array([5, -5, 0]), np.array([False, False, True]))}

    passed, meant = (holds("(price > 0)", columns, 3, nulls_pass=nulls_pass) for nulls_pass in (True, False))

    assert passed is not None
    assert meant is not None
    assert (passed.tolist(), meant.tolist()) == ([True, False, True], [True, False, False])


def test_a_check_that_says_more_than_is_known_is_left_to_the_server() -> None:
    assert holds("(length(price) > 3)", {}, 1) is None


@given(st.lists(st.integers(0, 5), max_size=60))
def test_a_rank_counts_the_rows_of_the_group_before(groups: list[int]) -> None:
    expected = [groups[:place].count(group) for place, group in enumerate(groups)]
    assert rank_within(np.array(groups, np.int64)).tolist() == expected


def test_sizes_follow_from_what_is_named_upwards_and_downwards() -> None:
    tables = [table("customers"), table("orders", "customers"), table("items", "orders"), table("notes")]
    by_name = {each.full_name: each for each in tables}

    sizes = derive_sizes(by_name, with_rows(Wishes(), {"orders": 900}))

    assert sizes == {"public.customers": 300, "public.orders": 900, "public.items": 1800, "public.notes": 100}


def test_no_table_that_was_not_named_gets_more_than_twice_the_largest_that_was() -> None:
    tables = [table("t0"), *(table(f"t{number}", f"t{number - 1}") for number in range(1, 6))]

    sizes = derive_sizes({each.full_name: each for each in tables}, with_rows(Wishes(), {"t0": 1000}))

    assert list(sizes.values()) == [1000, 2000, 2000, 2000, 2000, 2000]


def test_rows_that_no_memory_is_for_are_refused_before_they_are_made() -> None:
    check_memory(table("readings"), 1_000_000)
    with pytest.raises(UsageError, match=r"public\.readings: 1,000,000,000,000 rows are made in memory, about 14,901 GiB"):
        check_memory(table("readings"), 10**12)

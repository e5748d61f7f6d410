"""Each anomaly is named by what was read otherwise and by what the other call does to it.

Whether it looked for rows or counted them is nothing to its name.
"""

from pathlib import Path

import pytest

from integrity.race.judge.anomaly import Anomaly, Difference, name_anomaly
from integrity.race.judge.overwriting import adds_only
from integrity.race.judge.row_changes import NamedRow, RowChanges, named_in

ACCOUNTS, ENTRIES = "public.accounts", "public.entries"
ADA, BOB = (ACCOUNTS, ("ada", 100)), (ACCOUNTS, ("bob", 100))
STAGED = frozenset({ADA, BOB})


def read(actor: str, *tables: str, keys: str = "", is_fetch: bool = False) -> list[Difference]:
    """What one serial order shows: this call, first, read these tables otherwise."""
    return [Difference(actor, 0, "", frozenset(tables), frozenset(keys.split()), is_fetch)]


def writes(*rows: NamedRow, inserts: str = "", deletes: str = "") -> RowChanges:
    return RowChanges(STAGED, frozenset(rows), frozenset(deletes.split()), frozenset(inserts.split()))


@pytest.mark.parametrize(
    ("orders", "one", "other", "name"),
    [
        ([read("B", ACCOUNTS), read("A", ACCOUNTS)], writes(ADA), writes(ADA), Anomaly.LOST_UPDATE),
        ([read("B"), read("A")], writes(ADA), writes(ADA), Anomaly.LOST_UPDATE),
        ([read("B", is_fetch=True), read("A", is_fetch=True)], writes(ADA), writes(ADA), Anomaly.CURSOR_LOST_UPDATE),
        ([read("B", ACCOUNTS), read("A", ACCOUNTS)], writes(ADA, deletes=ACCOUNTS), writes(ADA), Anomaly.LOST_PRECONDITION),
        ([read("B", ACCOUNTS), read("A", ACCOUNTS)], writes(ADA), writes(BOB), Anomaly.WRITE_SKEW),
        ([read("B", ACCOUNTS, keys="ada"), read("A", ACCOUNTS, keys="ada")], writes(ADA, BOB), writes(BOB),
            Anomaly.WRITE_SKEW),
        ([read("B", ACCOUNTS, keys="entry"), read("A", ACCOUNTS)], writes(BOB), writes(BOB), Anomaly.LOST_UPDATE),
        ([read("B", ENTRIES), read("A", ENTRIES)], writes(inserts=ENTRIES), writes(inserts=ENTRIES), Anomaly.PHANTOM),
        ([read("B", ENTRIES), read("A", ENTRIES)], writes(ADA, inserts=ENTRIES), writes(ADA, inserts=ENTRIES),
            Anomaly.PHANTOM),
        ([read("B", ACCOUNTS), read("A", ACCOUNTS)], writes(ADA, inserts=ENTRIES), writes(ADA, inserts=ENTRIES),
            Anomaly.LOST_UPDATE),
        ([read("B", ENTRIES), read("A", ACCOUNTS)], writes(inserts=ENTRIES), writes(ADA), Anomaly.PHANTOM),
        ([read("B", ENTRIES), read("B", ACCOUNTS)], writes(ADA, inserts=ENTRIES), writes(), Anomaly.READ_SKEW),
        ([read("B", ACCOUNTS), []], writes(ADA), writes(inserts=ENTRIES), Anomaly.READ_SKEW),
        ([read("B", ACCOUNTS), []], writes(ADA, BOB), writes(BOB, inserts=ENTRIES), Anomaly.LOST_UPDATE),
        ([read("B", ACCOUNTS, keys="ada"), []], writes(ADA, BOB), writes(BOB), Anomaly.LOST_PRECONDITION),
        ([[], []], writes(ADA), writes(ADA), Anomaly.CYCLE),
    ],
)  # fmt: skip
def test_two_calls_go_wrong_by_name(
    orders: list[list[Difference]], one: RowChanges, other: RowChanges, name: Anomaly
) -> None:
    assert name_anomaly(orders, changes={"A": one, "B": other}) is name


@pytest.mark.parametrize(
    ("table", "names", "is_named"),
    [
        ("uses", {"public.uses"}, True),
        ("Uses", {"shop.uses"}, True),  # one name of its kind is called without its schema
        ("shop.uses", {"shop.uses", "public.uses"}, True),
        ("shop.uses", {"public.uses"}, False),
        ("uses", {"public.reuses"}, False),
    ],
)
def test_a_table_is_found_among_those_of_a_statement_whatever_its_schema(
    table: str, names: set[str], *, is_named: bool
) -> None:
    assert named_in(table, names) is is_named


def test_three_calls_go_wrong_in_a_cycle() -> None:
    assert name_anomaly([read("B", ACCOUNTS)], changes={}) is Anomaly.CYCLE


def test_every_name_stands_in_the_documents_with_its_code() -> None:
    table = (Path(__file__).parents[2] / "docs" / "races.md").read_text(encoding="utf-8")
    rows = {tuple(cell.strip() for cell in line.split("|")[1:3]) for line in table.splitlines() if line.startswith("|")}
    named = {(anomaly.words.partition(":")[0], anomaly.code) for anomaly in Anomaly}
    assert named <= rows


@pytest.mark.parametrize(
    ("one", "other", "is_added"),
    [
        ("update t set n = n - :n", "update T set n = t.n - 1, at = now()", True),
        ("update t set n = n - 1, at = now()", 'UPDATE "t" AS x SET "n" = (x."n" + $1), at = current_timestamp', True),
        ("insert into t values (1) on conflict (id) do update set n = t.n + excluded.n", "update t set n = n + 1", True),
        ("with x as (update t set (n, m) = (n + 1, m) returning 1) select 1", "update t set n = n + 1", True),
        ("insert into t values (1) on conflict (id) do update set n = excluded.n", "update t set n = n + 1", False),
        ("update t set n = :n", "update t set n = n - 1", False),
        ("update t set is_used = true", "update t set is_used = true", False),
        ("update t set n = (select n from t where id = 1) - 1", "update t set n = n - 1", False),
        ("update t set n = n - 1, name = :a", "update t set n = n - 1, name = :b", False),
        ("update t set n = n - 1", "update u set n = n - 1", False),  # nothing in common: their text does not tell
        ("select take(1)", "select take(1)", False),
    ],
)
def test_what_is_worked_out_on_the_row_as_it_is_by_then_writes_nothing_over(
    one: str, other: str, *, is_added: bool
) -> None:
    assert adds_only({"A": [one], "B": [other]}) is is_added

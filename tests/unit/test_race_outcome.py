"""Outcomes are equal when runs differ only in keys, operation_ids, times and the order of rows."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from integrity.operation import Declined, Ok, Unavailable
from integrity.race.judge.end_state import Remains, differing_columns, make_remains, rows_unlike
from integrity.race.program.trace import Return

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def sales(
    first_id: int, *, amounts: dict[str, int], balance: int = 700, order: str = "AB", wallet: int = 5_000_000
) -> Remains:
    """Return a wallet with sales, a split each, and replies that name the sales; numbered from first_id."""
    ids = {actor: first_id + place for place, actor in enumerate(order)}
    calls = {actor: UUID(int=first_id * 1000 + place) for place, actor in enumerate(order)}
    rows: list[tuple[str, dict[str, Any]]] = [("wallets", {"id": wallet, "balance": balance})]
    for actor in order:
        rows.append(
            (
                "sales",
                {"id": ids[actor], "wallet_id": wallet, "amount": amounts[actor], "operation_id": calls[actor], "at": NOON},
            )
        )
        rows.append(("splits", {"id": ids[actor] + 10**6, "sale_id": ids[actor], "amount": amounts[actor]}))
    returns: dict[str, Return] = {actor: Ok({"sale_id": ids[actor]}) for actor in order}
    known: dict[Any, str] = {wallet: "wallet"}
    known |= {call: actor for actor, call in calls.items()}
    generated = {wallet, *ids.values(), *(each + 10**6 for each in ids.values())}
    return make_remains(rows, returns, known=known, generated=generated)


def answered(*told: Any) -> Remains:
    return make_remains(
        [("sales", {"id": each[0], "amount": each[1]}) for each in told],
        {"A": Ok({"sales": [*told]})},
        known={},
        generated={each[0] for each in told},
    )


def test_lists_whose_order_is_chance_are_compared_as_what_they_hold() -> None:
    chance = frozenset({"return of A"})
    one, other = answered([7, 10], [8, 20]), answered([9, 20], [11, 10])
    assert one.outcome() != other.outcome()
    assert one.outcome(unsorted=chance) == other.outcome(unsorted=chance)
    assert rows_unlike(one, [other])
    assert not rows_unlike(one, [other], chance)
    for wrong in (answered([9, 20], [11, 20]), answered([9, 20]), answered([7, 10], [8, 20], [9, 20])):
        assert one.outcome(unsorted=chance) != wrong.outcome(unsorted=chance)
    crossed = make_remains(
        [("sales", {"id": 7, "amount": 10}), ("sales", {"id": 8, "amount": 20})],
        {"A": Ok({"sales": [[8, 10], [7, 20]]})},
        known={},
        generated={7, 8},
    )
    assert one.outcome(unsorted=chance) != crossed.outcome(unsorted=chance), "what stands in one row stays together"


@given(first=st.integers(10_000, 10**6), second=st.integers(10_000, 10**6), order=st.permutations("AB"))
def test_keys_ids_and_the_order_of_rows_do_not_matter(first: int, second: int, order: list[str]) -> None:
    amounts = {"A": 100, "B": 200}
    assert (
        sales(first, amounts=amounts).outcome()
        == sales(second, amounts=amounts, order="".join(order), wallet=6_000_000).outcome()
    )


def test_a_plain_value_matters() -> None:
    assert sales(10_000, amounts={"A": 1, "B": 2}).outcome() != sales(10_000, amounts={"A": 1, "B": 3}).outcome()


def test_which_call_made_a_row_matters() -> None:
    assert sales(10_000, amounts={"A": 1, "B": 2}).outcome() != sales(10_000, amounts={"A": 2, "B": 1}).outcome()


def reference(sale: int) -> Remains:
    """Return two sales of different amounts and one refund that refers to one of them."""
    rows = [
        ("sales", {"id": 71, "amount": 100}),
        ("sales", {"id": 72, "amount": 200}),
        ("refunds", {"id": 91, "sale_id": sale}),
    ]
    return make_remains(rows, {}, known={}, generated={71, 72, 91})


def test_what_a_generated_key_refers_to_matters() -> None:
    assert reference(71).outcome() != reference(72).outcome()


def test_a_reply_of_another_kind_matters() -> None:
    ok = make_remains([], {"A": Ok()}, known={}, generated=set())
    declined = make_remains([], {"A": Declined("full")}, known={}, generated=set())
    unavailable = make_remains([], {"A": Unavailable("full")}, known={}, generated=set())
    assert len({ok.outcome(), declined.outcome(), unavailable.outcome()}) == 3


def test_a_column_that_differs_by_itself_is_found_and_masked() -> None:
    one = make_remains([("wallets", {"id": 7, "code": "x1", "n": 1})], {}, known={7: "wallet"}, generated={7})
    other = make_remains([("wallets", {"id": 8, "code": "y2", "n": 1})], {}, known={8: "wallet"}, generated={8})
    masked = differing_columns(one, other)
    assert masked == {("wallets", "code")}
    assert one.outcome(masked) == other.outcome(masked)


def moments(first: timedelta, second: timedelta) -> Remains:
    rows = [("scans", {"way": "in", "at": NOON + first}), ("scans", {"way": "out", "at": NOON + second})]
    return make_remains(rows, {}, known={}, generated=set())


def test_times_are_alike_but_their_order_is_seen_by_invariants() -> None:
    early, late = timedelta(0), timedelta(seconds=9)
    assert moments(early, late).outcome() == moments(late, early).outcome()
    assert moments(early, late).looks() == moments(late, 2 * late).looks()
    assert moments(early, late).looks() != moments(late, early).looks()


@given(first=st.integers(10_000, 10**6), second=st.integers(10_000, 10**6), balance=st.sampled_from((700, 800)))
def test_runs_that_look_alike_have_the_same_outcome(first: int, second: int, balance: int) -> None:
    one, other = sales(first, amounts={"A": 1, "B": 2}), sales(second, amounts={"A": 1, "B": 2}, balance=balance)
    assert (one.looks() == other.looks()) == (balance == 700)
    assert (one.outcome() == other.outcome()) == (balance == 700)


def test_the_rows_that_the_most_similar_run_lacks_are_shown_as_they_are() -> None:
    lost = sales(10_000, amounts={"A": 1, "B": 2}, balance=999)
    expected = [sales(20_000, amounts={"A": 1, "B": 2}), sales(30_000, amounts={"A": 5, "B": 6})]
    assert rows_unlike(lost, expected) == [{"table": "wallets", "id": 5_000_000, "balance": 999}]


def document(hits: int, at: str, *more: str, first: int = 71) -> Remains:
    """Return a row of json: a count, a time, and a key that was made; as a document and as a text of one."""
    data = {"hits": hits, "at": at, "of": {"sale": first}, "seen": [{"at": each, "by": "ann"} for each in more]}
    rows: list[tuple[str, dict[str, Any]]] = [
        ("pages", {"id": 1, "data": data, "log": json.dumps(data)}),
        ("sales", {"id": first}),
    ]
    return make_remains(rows, {}, known={}, generated={first})


def test_of_a_document_what_differs_by_itself_is_masked_and_nothing_else() -> None:
    one, other = document(1, "9:01", "9:02"), document(1, "9:04", "9:05", first=72)
    masked = differing_columns(one, other)
    assert masked == {("pages", f"{column}{path}") for column in ("data", "log") for path in (".at", ".seen[].at")}
    assert one.outcome(masked) == other.outcome(masked)
    assert one.looks(masked) == other.looks(masked)
    for unlike in (document(2, "9:01", "9:02"), document(1, "9:01", "9:02", "9:03"), document(1, "9:01")):
        assert unlike.outcome(masked) != one.outcome(masked)
    assert one.masking(masked).named() == other.masking(masked).named()

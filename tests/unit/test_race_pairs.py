"""Kinds of pairs: each once, the surest and those that overlapped most first, however many calls there are."""

import time
from collections.abc import Mapping
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from integrity.domain import Domain, IntegerIn, KeyOf, OneOf
from integrity.history import Call, Outcome, make_operation_id
from integrity.race.play.deadline import Deadline
from integrity.race.reproduction.pairs import find_kinds, mark_of
from integrity.race.reproduction.touching import Reach, Touch

DOMAINS: Mapping[str, Mapping[str, Domain]] = {
    "pay": {"payer": KeyOf("accounts"), "payee": KeyOf("accounts"), "amount": IntegerIn(1, 500)},
    "close": {"account": KeyOf("accounts"), "why": OneOf(["moved", "angry"])},
}


def call(number: int, operation: str, began_us: int, took_us: int | None, /, **arguments: Any) -> Call:
    returned = None if took_us is None else began_us + took_us
    operation_id = make_operation_id(1, Random(number))
    return Call(operation_id, operation, arguments, 0, began_us, began_us, returned, Outcome.OK)


def touch(made: Call, reach: Reach = Reach.ROW) -> Touch:
    return Touch(made, reach, is_direct=True)


def names(touching: list[Touch]) -> list[tuple[str, str]]:
    return [
        (one.operation, other.operation)
        for one, other in (kind.calls for kind in find_kinds(touching, DOMAINS, Deadline()))
    ]


def test_amounts_make_no_kind_and_keys_only_by_which_are_the_same() -> None:
    made = [
        call(1, "pay", 0, 9, payer=1, payee=2, amount=3),
        call(2, "pay", 1, 9, payer=1, payee=2, amount=4),
        call(3, "pay", 2, 9, payer=1, payee=7, amount=5),
        call(4, "pay", 3, 9, payer=1, payee=8, amount=5),
    ]
    assert mark_of(made[0], DOMAINS["pay"]) == mark_of(made[3], DOMAINS["pay"])
    kinds = find_kinds([touch(each) for each in made], DOMAINS, Deadline())
    assert len(kinds) == 2  # both keys shared, or the payer alone


def test_those_that_touched_it_for_certain_come_first_and_then_those_that_overlapped() -> None:
    early = touch(call(1, "close", 0, 5, account=1, why="moved"))
    apart = touch(call(2, "close", 100, 5, account=1, why="angry"))
    beside = touch(call(3, "pay", 101, 5, payer=1, payee=2, amount=3))
    assert names([early, apart, beside])[0] == ("close", "pay")
    unsure = Touch(beside.call, Reach.TABLE, is_direct=False)
    assert names([early, apart, unsure])[0] == ("close", "close")


def test_calls_of_two_kinds_are_brought_together_however_far_apart_they_were() -> None:
    many = [touch(call(n, "pay", n * 100, 5, payer=1, payee=2, amount=3)) for n in range(50)]
    last = touch(call(99, "close", 1_000_000, 5, account=1, why="moved"))
    assert names([*many, last]) == [("pay", "pay"), ("close", "pay")]


def test_pairs_of_twenty_thousand_calls_on_one_row_are_found_in_seconds() -> None:
    """All of them are 200 million."""
    operations = ("pay", {"payer": 1, "payee": 2, "amount": 3}), ("close", {"account": 1, "why": "moved"})
    touching = []
    for number in range(20_000):
        operation, arguments = operations[number % 2]
        touching.append(touch(call(number, operation, number * 100, 850, **arguments)))
    began = time.process_time()
    assert len(find_kinds(touching, DOMAINS, Deadline())) == 3
    assert time.process_time() - began < 10
    assert find_kinds(touching, DOMAINS, Deadline(at=0)) == []


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(1, 100), st.integers(1, 3), st.integers(1, 3)), max_size=12))
@settings(max_examples=50)
def test_of_a_few_calls_every_kind_of_pair_is_found(drawn: list[tuple[int, int, int, int]]) -> None:
    made = [
        call(number, "pay", began, took, payer=payer, payee=payee, amount=number)
        for number, (began, took, payer, payee) in enumerate(drawn)
    ]
    by_time = sorted(made, key=lambda each: each.invoked_at_us)
    expected = set()
    for place, one in enumerate(by_time):
        for other in by_time[place + 1 :]:
            if other.invoked_at_us <= (one.returned_at_us or 0) or by_time.index(other) - place <= 4:
                keys = [one.arguments["payer"], one.arguments["payee"], other.arguments["payer"], other.arguments["payee"]]
                expected.add(tuple(map(keys.index, keys)))
    kinds = find_kinds([touch(each) for each in made], DOMAINS, Deadline())
    assert len(kinds) == len(expected)

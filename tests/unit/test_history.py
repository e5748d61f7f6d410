"""A history survives what happens to the tool that writes it, and a file that was tampered with is never half believed."""

from dataclasses import replace
from datetime import UTC, datetime
from random import Random
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrity.chain import Records
from integrity.errors import HistoryError
from integrity.history import (
    Call,
    Outcome,
    Requested,
    decode,
    decode_requested,
    encode_invoked,
    encode_request_returned,
    encode_requested,
    encode_returned,
    make_operation_id,
)

FIRST, SECOND = (
    Call(UUID(int=number), "sell", {"wallet_id": 7}, client=1, intended_at_us=10, invoked_at_us=20) for number in (1, 2)
)
ANSWERED = Call(
    FIRST.operation_id,
    "sell",
    {"wallet_id": 7},
    client=1,
    intended_at_us=10,
    invoked_at_us=20,
    returned_at_us=30,
    outcome=Outcome.OK,
    reply={"sale_id": 3},
    attempts=2,
)


def test_a_call_comes_back_as_it_was_written() -> None:
    assert list(decode([encode_invoked(FIRST), encode_returned(ANSWERED)], place="h")) == [ANSWERED]


def test_a_call_that_was_unavailable_comes_back_with_its_reason() -> None:
    unavailable = replace(ANSWERED, outcome=Outcome.UNAVAILABLE, reply={"reason": "mint_did_not_answer"})

    assert list(decode([encode_invoked(FIRST), encode_returned(unavailable)], place="h")) == [unavailable]


def test_a_call_without_a_return_is_unknown_and_comes_last() -> None:
    lines = [encode_invoked(SECOND), encode_invoked(FIRST), encode_returned(ANSWERED)]

    calls = list(decode(lines, place="h"))

    assert calls == [ANSWERED, SECOND]
    assert calls[1].outcome is Outcome.UNKNOWN
    assert calls[1].returned_at_us is None


@pytest.mark.parametrize("length", [1, 20, len(encode_returned(ANSWERED)) - 1])
def test_a_torn_last_line_leaves_its_call_unknown(length: int) -> None:
    torn = encode_returned(ANSWERED)[:length]

    assert list(decode([encode_invoked(FIRST), torn], place="h")) == [FIRST]


@pytest.mark.parametrize(
    "line", [b"\n", b"{}\n", b'{"event":"invoked"}\n', b"[1]\n", encode_returned(ANSWERED), b"\xff\xfe\n"]
)
def test_a_line_that_is_no_record_is_named_with_its_place(line: bytes) -> None:
    with pytest.raises(HistoryError, match=r"^runs/r1/history.jsonl:2: "):
        list(decode([encode_invoked(SECOND), line], place="runs/r1/history.jsonl"))


def test_operation_ids_are_version_7_of_their_millisecond_and_sort_by_it() -> None:
    at = datetime(2026, 1, 17, 18, 30, tzinfo=UTC)
    unix_ms = round(at.timestamp() * 1000)
    random = Random(1)

    ids = [make_operation_id(unix_ms + later_ms, random) for later_ms in range(50)]

    assert {(one.version, one.variant) for one in ids} == {(7, "specified in RFC 4122")}
    assert [one.int >> 80 for one in ids] == [unix_ms + later_ms for later_ms in range(50)]
    assert ids == sorted(ids)


@given(st.integers(0, 2**48 - 1), st.integers())
def test_operation_ids_come_again_from_the_same_seed(unix_ms: int, seed: int) -> None:
    one, other = make_operation_id(unix_ms, Random(seed)), make_operation_id(unix_ms, Random(seed))

    assert one == other
    assert one.int >> 80 == unix_ms


def test_requests_keep_their_order_and_each_has_the_time_of_its_own_answer() -> None:
    """Those of calls that died have none, nor have those of runs that did not write it down."""
    first, again, other, dead = (
        Requested(UUID(int=number), "mint", {"n": at_us}, {"status": "settled"}, at_us)
        for number, at_us in ((1, 10), (1, 30), (2, 20), (3, 40))
    )
    at_once = Requested(UUID(int=4), "mint", {}, {}, 50, 50)
    lines = [encode_requested(first), encode_requested(other), encode_request_returned(UUID(int=1), 25)]
    lines += [encode_requested(again), encode_requested(dead), encode_requested(at_once)]
    lines += [encode_request_returned(UUID(int=2), 60)]

    found = dict(decode_requested(Records(lines, place="r")))

    assert [found[number] for number in sorted(found)] == [
        replace(first, returned_at_us=25),
        replace(other, returned_at_us=60),
        again,
        dead,
        at_once,
    ]
    with pytest.raises(HistoryError, match="r:1"):
        list(decode_requested(Records([encode_request_returned(UUID(int=9), 1)], place="r")))

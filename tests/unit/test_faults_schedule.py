"""What the command line says of faults is read exactly, or refused with the reason and the next step."""

import pytest

from integrity.errors import UsageError
from integrity.faults.catalogue import FAULTS, find_fault
from integrity.faults.fault import ChoiceArgument, Number
from integrity.faults.schedule import read_schedule, read_window


@pytest.mark.parametrize(
    ("text", "from_s", "to_s"),
    [
        ("lost_commit_ack@2-4", 2.0, 4.0),
        ("lost_commit_ack@0-10", 0.0, 10.0),
        ("lost_commit_ack@1.5s-0.1m", 1.5, 6.0),
        ("lost_commit_ack@0m1.5s-0m6s", 1.5, 6.0),
        ("lost_commit_ack@20%-40%", 2.0, 4.0),
        ("lost_commit_ack@1-100%", 1.0, 10.0),
    ],
)
def test_a_window_is_in_seconds_or_percent_of_the_run(text: str, from_s: float, to_s: float) -> None:
    window = read_window(text, duration_s=10.0)
    assert (window.from_s, window.to_s) == pytest.approx((from_s, to_s))
    assert window.fault is FAULTS["lost_commit_ack"]


def test_arguments_that_are_not_given_have_their_defaults() -> None:
    window = read_window("half_open:share=0.25,then=resume@1-2", duration_s=10.0)
    assert window.given == {"share": 0.25, "patience_s": 0.0, "then": "resume"}


def test_windows_come_in_the_order_in_which_they_begin() -> None:
    windows = read_schedule(["db_latency@5-6", "server_killed@1-2", "db_latency@3-5"], duration_s=10.0)
    assert [(w.fault.name, w.from_s) for w in windows] == [("server_killed", 1), ("db_latency", 3), ("db_latency", 5)]


REFUSED = [
    (["lost_commit_ack"], "does not say when"),
    (["nofault"], "there is no fault 'nofault'"),
    (["lost_commit_ack@2"], "'2' is no window"),
    (["lost_commit_ack@a-b"], "'a' is no moment"),
    (["lost_commit_ack@2-"], "'' is no moment"),
    (["lost_commit_ack@-1-2"], "'' is no moment"),
    (["lost_commit_ack@2d-3d"], "'2d' is no moment"),
    (["lost_commit_ack@4-2"], "from 4 s to 2 s is no window in a run of 10 s"),
    (["lost_commit_ack@2-2"], "is no window"),
    (["lost_commit_ack@5-11"], "is no window in a run of 10 s"),
    (["lost_commit_ack@50%-101%"], "is no window"),
    (["lost_comit_ack@1-2"], "there is no fault 'lost_comit_ack'"),
    (["@1-2"], "there is no fault ''"),
    (["lost_commit_ack:sahre=1@1-2"], "has no argument 'sahre'"),
    (["lost_commit_ack:share@1-2"], "share has no value"),
    (["lost_commit_ack:share=2@1-2"], "'2' is not a number from 0 to 1"),
    (["lost_commit_ack:share=nan@1-2"], "'nan' is not a number from 0 to 1"),
    (["lost_commit_ack:share=half@1-2"], "'half' is not a number from 0 to 1"),
    (["half_open:then=explode@1-2"], "'explode' is none of reset, resume"),
    (["server_killed:x=1@1-2"], "has no argument 'x'"),
    (["db_latency@1-3", "connection_reset@2-4"], "'db_latency@1-3' and 'connection_reset@2-4' overlap"),
    (["db_latency@1-3", "db_latency@2-4"], "one fault, twice at the same time"),
]


@pytest.mark.parametrize(("texts", "reason"), REFUSED)
def test_what_cannot_be_read_is_refused_with_the_reason_and_the_next_step(texts: list[str], reason: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_schedule(texts, duration_s=10.0)
    assert reason in caught.value.message
    assert caught.value.hint


def test_a_misspelt_fault_is_told_what_it_may_have_meant() -> None:
    with pytest.raises(UsageError) as caught:
        find_fault("lost_comit_ack")
    assert (caught.value.hint or "").startswith("Perhaps you meant lost_commit_ack.")


def test_windows_may_touch_and_overlap_when_that_is_asked_for_but_not_two_of_one_fault() -> None:
    assert len(read_schedule(["db_latency@1-3", "connection_reset@3-4"], duration_s=10.0)) == 2
    assert len(read_schedule(["db_latency@1-3", "connection_reset@2-4"], duration_s=10.0, may_overlap=True)) == 2
    with pytest.raises(UsageError):
        read_schedule(["db_latency@1-3", "db_latency@2-4"], duration_s=10.0, may_overlap=True)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_every_fault_says_what_it_asks_and_what_answers_it(fault: object) -> None:
    from integrity.faults.fault import Fault

    assert isinstance(fault, Fault)
    assert fault.question.endswith("?")
    assert fault.invariants
    assert not fault.title.endswith(".")
    for name, argument in fault.arguments.items():
        assert argument.text, name
        if isinstance(argument, Number):
            assert argument.least <= argument.default <= argument.most
        if isinstance(argument, ChoiceArgument):
            assert argument.default in argument.words

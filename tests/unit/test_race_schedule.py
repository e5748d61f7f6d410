"""Schedules: their notation, and what it stands for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrity.race.program.schedule import (
    Choice,
    ScheduleError,
    continue_with,
    count_preemptions,
    letters_of,
    parse,
    shorten,
)


def replay(letters: str, lengths: dict[str, int]) -> list[Choice]:
    """Return the choices of a schedule of actors that never wait and have so many letters each."""
    choices: list[Choice] = []
    left, previous = dict(lengths), ""
    while ready := "".join(actor for actor, count in left.items() if count):
        chosen = letters[len(choices)] if len(choices) < len(letters) else continue_with(ready, previous)
        choices.append(Choice(ready, previous, chosen))
        left[chosen] -= 1
        previous = chosen
    return choices


def test_blanks_and_lower_case_are_forgiven() -> None:
    assert parse(" abba  B", actor_count=2) == "ABBAB"


@pytest.mark.parametrize("text", ["ABC", "A-B", "A1"])
def test_a_letter_that_is_no_actor_is_an_error_that_names_its_place(text: str) -> None:
    with pytest.raises(ScheduleError, match=r"letter [23] is .*, which is no actor\n  hint: The actors here are A, B\."):
        parse(text, actor_count=2)


def test_the_first_choice_and_a_switch_from_an_actor_at_its_end_are_no_preemptions() -> None:
    assert count_preemptions(replay("AAABBB", {"A": 3, "B": 3})) == 0
    assert count_preemptions(replay("BBBAAA", {"A": 3, "B": 3})) == 0
    assert count_preemptions(replay("ABBBAA", {"A": 3, "B": 3})) == 1
    assert count_preemptions(replay("ABABAB", {"A": 3, "B": 3})) == 4


@given(st.permutations("AAABBBCC"))
def test_a_shortened_schedule_plays_the_same(letters: list[str]) -> None:
    choices = replay("".join(letters), {"A": 3, "B": 3, "C": 2})
    assert letters_of(replay(shorten(choices), {"A": 3, "B": 3, "C": 2})) == "".join(letters)


def test_a_schedule_is_shortened_to_where_it_last_departs_from_going_on() -> None:
    assert shorten(replay("ABBBAA", {"A": 3, "B": 3})) == "AB"
    assert shorten(replay("AAABBB", {"A": 3, "B": 3})) == ""
    assert shorten(replay("AABBAB", {"A": 3, "B": 3})) == "AABBA"

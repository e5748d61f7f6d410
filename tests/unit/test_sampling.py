"""What the suite leaves out rotates with the seed, the same in every process, and never all of a family."""

from collections.abc import Sequence

import pytest

from tests.sampling import EVERY, SEED_VARIABLE, draw_seed, first_of, seed


def test_a_seed_that_is_given_is_kept_and_one_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SEED_VARIABLE, "7")
    draw_seed()
    assert seed() == 7
    monkeypatch.setenv(SEED_VARIABLE, "seven")
    with pytest.raises(pytest.UsageError, match="not a whole number: 'seven'"):
        draw_seed()


def test_every_seed_plays_a_case_and_many_seeds_play_them_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def firsts(count: int) -> Sequence[int]:
        found = []
        for number in range(300):
            monkeypatch.setenv(SEED_VARIABLE, str(number))
            found.append(first_of("test_x.py::test_y", count))
        return found

    assert [set(firsts(count)) for count in (1, 2, 7)] == [{0}, {0, 1}, set(range(7))]


def test_two_families_do_not_begin_together_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SEED_VARIABLE, "1")
    assert len({first_of(name, 1000) for name in EVERY}) > len(EVERY) / 2

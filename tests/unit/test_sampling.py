"""What the suite leaves out rotates with the seed, the same in every process, and never all of a family."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.sampling import EVERY, SEED_VARIABLE, STORIES, draw_seed, first_of, mark_exhaustive, seed


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


@dataclass
class Case:
    """As much of a collected test as the sample looks at."""

    name: str
    path: Path
    marks: list[str] = field(default_factory=list)

    def add_marker(self, mark: pytest.MarkDecorator) -> None:
        self.marks.append(mark.name)


@pytest.mark.parametrize("number", range(10))
def test_the_tests_of_a_file_that_is_one_family_play_the_same_case(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    monkeypatch.setenv(SEED_VARIABLE, str(number))
    kinds = [f"[{kind}]" for kind in range(EVERY["test_servers.py"])]
    cases: list[Any] = [Case(test + kind, Path("test_servers.py")) for test in ("test_a", "test_b") for kind in kinds]
    mark_exhaustive(cases)
    first, second = [case.name for case in cases if case.marks == ["sampled"]]
    assert (first[:6], second[:6], first[6:]) == ("test_a", "test_b", second[6:])
    assert [case.marks for case in cases].count(["exhaustive"]) == len(cases) - 2


@pytest.mark.parametrize("number", range(3))
def test_single_tests_that_take_long_are_one_family_wherever_they_stand(
    monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setenv(SEED_VARIABLE, str(number))
    cases: list[Any] = [Case(name, Path(f"{place}.py")) for place, name in enumerate(sorted(STORIES))]
    others: Any = Case("test_another", Path("0.py"))
    mark_exhaustive([*cases, others])
    played = [place for place, case in enumerate(cases) if case.marks == ["sampled"]]
    assert played == list(range(played[0], len(STORIES), EVERY["stories"]))
    assert others.marks == []


def test_two_families_do_not_begin_together_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SEED_VARIABLE, "1")
    assert len({first_of(name, 1000) for name in EVERY}) > len(EVERY) / 2


def test_what_is_sampled_is_there() -> None:
    files = list(Path(__file__).parents[1].rglob("test_*.py"))
    known = {path.name for path in files}
    known.update(*(re.findall(r"def (test_\w+)", path.read_text(encoding="utf-8")) for path in files))
    assert {*EVERY, *STORIES} - known == {"stories"}

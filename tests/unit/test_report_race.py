"""What a race prints of what it covered: calls that never work come once, and "sound" is what rows and answers are."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from integrity.race.finding.finding import Finding
from integrity.race.matrix import Group
from integrity.race.raced import Raced
from integrity.race.search.exploration import Coverage
from integrity.race.search.settings import RaceSubject
from integrity.race.searcher import Searched
from integrity.reference.ghostpass.system import GHOSTPASS
from integrity.report.race_output import write_raced
from integrity.verdict import Verdict

Printed = Callable[..., str]
ASK = "ask (operations/ask.sql:1)"
APART = Finding.model_construct(schedule="AAB")


def searched(
    choice: int, verdict: Verdict = Verdict.HOLDS, *, failing: str = "", apart: Finding | None = None, call: str = "ask"
) -> Searched:
    coverage = Coverage(played=2, bound_completed=2, is_exhaustive=True, failing={ASK: failing} if failing else {})
    calls = (f"{call}(n={choice})", f"{call}(n={choice})")
    return Searched((call, call), choice, calls, verdict, coverage, seconds=0.1, finding=None, apart=apart)


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Printed:
    monkeypatch.setenv("COLUMNS", "80")

    def show(*groups: Sequence[Searched]) -> str:
        known = [Group(group[0].names, list(group)) for group in groups]
        write_raced(Raced(RaceSubject(GHOSTPASS, ()), known, (), is_matrix=len(groups) > 1), is_json=False)
        out = capsys.readouterr().out
        assert max(map(len, out.splitlines())) <= 80
        return out

    return show


def test_an_operation_that_cannot_work_is_told_once_with_its_error_place_choices_and_next_step(printed: Printed) -> None:
    """Ten choices of arguments said the same ten times, over two screens; their messages differ in the value alone."""
    out = printed([searched(n, Verdict.UNKNOWN, failing=f"23514 row {n} is bad") for n in range(10)])
    assert out.splitlines() == [
        "unknown  ask(n=0); ask(n=0), and 9 choices of arguments more",
        "         20 schedules, in each of which a call fails",
        "",
        f"{ASK} fails however it is called: 23514 row 0 is bad",
        "  in every schedule of 10 choices of arguments, also alone: it was not raced",
        "next: mend it; the same command with --schedule A shows each step",
        "",
        "inconclusive at read committed: a call of 1 of 1 pair never works; 20 schedules",
        "  played, 0 known from others without playing.",
    ]


def test_a_call_that_fails_with_some_arguments_is_not_said_to_fail_however_it_is_called(printed: Printed) -> None:
    out = printed([searched(0), searched(1, Verdict.UNKNOWN, failing="22012 division by zero"), searched(2)])
    assert out.index("unknown  ask(n=1)") < out.index("sound    ask(n=0)") < out.index("         ask(n=2)")
    assert "ask (operations/ask.sql:1) fails with 1 of 3 choices: 22012" in out
    assert "however it is called" not in out


def test_choices_of_arguments_that_were_covered_alike_are_one_paragraph(printed: Printed) -> None:
    """Twelve choices of a sound pair took fifty lines, which said the same twelve times."""
    more = searched(12)
    lines = printed(
        [*(searched(n) for n in range(12)), replace(more, coverage=replace(more.coverage, played=3))]
    ).splitlines()
    assert lines[:3] == ["sound    ask(n=0); ask(n=0)", "         ask(n=1); ask(n=1)", "         ask(n=2); ask(n=2)"]
    assert lines[12].startswith("         each of the 12: 2 schedules (0 more known without playing), ")
    assert [line for line in lines if line.startswith("sound   ")][1:] == ["sound    ask(n=12); ask(n=12)"]
    assert len(lines) == 22


def test_answers_apart_take_the_word_sound_from_the_answers_and_leave_it_to_the_data(printed: Printed) -> None:
    apart = searched(0, apart=APART)
    alone = " ".join(printed([apart]).split())
    assert alone.startswith("data sound ask(n=0)")
    assert "data sound at read committed: no schedule of 1 pair with at most 2 preemptions leaves wrong data" in alone
    assert "; answers apart in 1 of 1 pair: those of no serial order; 2 schedules played" in alone
    matrix = printed([apart], [searched(0, call="tell")], [searched(0, Verdict.UNKNOWN, call="poll")])
    words = dict(re.findall(r"^(\w+) \+(?: \w+)? +(\w+)", matrix, flags=re.MULTILINE))
    assert words == {"ask": "data", "tell": "sound", "poll": "unknown"}  # where columns have no room words are broken
    assert "answers apart in 1 of 3 pairs" in " ".join(matrix.split())
    assert Raced(RaceSubject(GHOSTPASS, ()), [Group(apart.names, [apart])], ()).exit_code == 0
    holds = printed([replace(apart, apart=None)])
    assert ("data sound" in holds, "apart" in holds) == (False, False)

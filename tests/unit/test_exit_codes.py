"""Exit codes say what a script needs: the weightiest shortfall decides, and no verdict is no pass."""

import re
from itertools import pairwise
from pathlib import Path

import pytest

from integrity.exit_codes import ExitCode, Shortfall, exit_code_after_failure, exit_code_of, shortfalls_of
from integrity.verdict import Verdict


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        ([Verdict.HOLDS, Verdict.HOLDS], ExitCode.OK),
        ([Verdict.HOLDS, Verdict.UNKNOWN], ExitCode.UNKNOWN),
        ([Verdict.UNKNOWN, Verdict.VIOLATED, Verdict.HOLDS], ExitCode.VIOLATED),
        ([Verdict.EMPTY, Verdict.HOLDS], ExitCode.OK),
        ([Verdict.EMPTY], ExitCode.UNKNOWN),
        ([], ExitCode.UNKNOWN),
    ],
)
def test_the_worst_verdict_decides(verdicts: list[Verdict], code: int) -> None:
    assert exit_code_of(shortfalls_of(verdicts)) == code


def test_the_weightiest_shortfall_decides_whatever_else_there_is() -> None:
    codes = {
        Shortfall.VIOLATED: 1,
        Shortfall.INTERRUPTED: 130,
        Shortfall.UNKNOWN: 3,
        Shortfall.MISSED: 4,
        Shortfall.NOT_MEASURED: 3,
    }
    assert {each: exit_code_of({each}) for each in Shortfall} == codes
    assert [exit_code_of({lighter, weightier}) for weightier, lighter in pairwise(codes)] == [1, 130, 3, 4]
    assert exit_code_of(set()) == 0


def test_an_error_of_ours_outranks_a_threshold_and_no_violation() -> None:
    assert [exit_code_after_failure(code) for code in (0, 1, 2, 3, 4, 130)] == [3, 1, 2, 3, 3, 130]


def test_every_exit_code_is_one_that_a_command_can_end_with() -> None:
    """README promised 5, "a wrapped tool failed", and nothing wrapped a tool."""
    codes = {value for name, value in vars(ExitCode).items() if name.isupper()}
    assert codes == {ExitCode.OK, ExitCode.USAGE, *(exit_code_of({each}) for each in Shortfall)}
    table = re.findall(
        r"^\| (\d+) \| ", (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert codes <= set(map(int, table)) <= {*codes, 141}  # the shell's own, of a reader that went away

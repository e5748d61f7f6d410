"""Exit codes say what a script needs: violated outranks unknown, and no verdict is no pass."""

import pytest

from integrity.verdict import ExitCode, Verdict, exit_code_of


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        ([Verdict.HOLDS, Verdict.HOLDS], ExitCode.OK),
        ([Verdict.HOLDS, Verdict.UNKNOWN], ExitCode.UNKNOWN),
        ([Verdict.UNKNOWN, Verdict.VIOLATED, Verdict.HOLDS], ExitCode.VIOLATED),
        ([], ExitCode.UNKNOWN),
    ],
)
def test_the_worst_verdict_decides(verdicts: list[Verdict], code: int) -> None:
    assert exit_code_of(verdicts) == code

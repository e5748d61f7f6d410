"""What is told of a sample while a monitor runs."""

from typing import Any

import pytest

from integrity.report.monitor_text import describe_sample


def sample(elapsed_s: float, commits: int) -> dict[str, Any]:
    return {"elapsed_s": elapsed_s, "database": {"database": {"commits": commits, "rollbacks": 0, "wal_bytes": 0}}}


@pytest.mark.parametrize(("span_s", "told"), [(1.0, "6 commits/s"), (0.5, "12 commits/s"), (0.01, ""), (0.0, "")])
def test_a_rate_is_told_over_a_span_that_has_one(span_s: float, told: str) -> None:
    said = describe_sample(sample(3.0 + span_s, 16), sample(3.0, 10))
    assert (told in said, "commits/s" in said) == (True, bool(told)), said

"""How long rows took is read as each engine spells moments; what cannot be read is said and never passed."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from integrity.errors import SqlFileError, UsageError
from integrity.load.end_states import LEAD_US, find_end_states, times_of
from integrity.load.thresholds import Threshold
from integrity.project import Project, Settings
from integrity.runs.result import LeftOut

NOON = datetime(2026, 1, 17, 12, tzinfo=UTC)


def row(after_ms: float | None, began: datetime = NOON) -> dict[str, object]:
    return {"began_at": began, "reached_at": None if after_ms is None else began + timedelta(milliseconds=after_ms)}


def test_times_are_from_began_to_reached_and_what_never_came_is_counted() -> None:
    found = times_of(
        [row(5.0), row(-3.0), row(None), {"began_at": "2026-01-17 12:00:00", "reached_at": "2026-01-17 12:00:01.500"}]
    )

    assert (len(found.times_ms), found.never, len(found)) == (3, 1, 4)
    assert (found.times_ms.greatest, found.times_ms.percentile(1)) == (1500.0, 0.0)


def test_what_began_while_something_was_broken_or_shortly_before_is_left_out() -> None:
    at_us = round(NOON.timestamp() * 1_000_000)
    window = LeftOut(from_us=at_us, to_us=at_us + 1_000_000)
    begins = (-LEAD_US / 1e6 - 1, -1.0, 0.5, 1.5)

    assert len(times_of([row(1.0, NOON + timedelta(seconds=s)) for s in begins], [window])) == 2


def test_rows_without_the_two_columns_are_not_measured() -> None:
    assert "began_at and reached_at" in times_of([{"began_at": NOON}]).reason
    assert "began_at and reached_at" in times_of([{"began_at": None, "reached_at": NOON}]).reason


def test_a_query_that_is_not_there_or_not_of_a_run_is_refused_before_the_run(tmp_path: Path) -> None:
    project = Project(tmp_path, Settings())
    (tmp_path / "queries/shop").mkdir(parents=True)
    (tmp_path / "queries/shop/all.sql").write_text("-- title: all\nselect 1 as began_at\n")

    def asked(name: str) -> None:
        limit = {"rows": name, "statistic": "p95", "most": 1, "source": "a plan"}
        find_end_states(project, [Threshold.model_validate(limit)])

    with pytest.raises(UsageError, match="no query is called 'shop/orders'"):
        asked("shop/orders")
    with pytest.raises(SqlFileError, match="no parameter run_id"):
        asked("shop/all")

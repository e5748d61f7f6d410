"""The test that is exported of a race of requests fails with what came of it, and with nothing of ours around that."""

from pathlib import Path
from typing import Any

import pytest

import integrity.api
from integrity.race.export.replay_test import _TEMPLATE


class Replayed:
    """What a replay came to."""

    def __init__(self, exit_code: int) -> None:
        self.exit_code, self.text = exit_code, "came back 1 of 1 time"


@pytest.mark.parametrize(("exit_code", "told"), [(0, ""), (1, "came back 1 of 1 time"), (3, "came back 1 of 1 time")])
def test_it_fails_with_the_text_of_the_replay_alone(
    exit_code: int, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(integrity.api, "Replay", lambda *_, **__: lambda: Replayed(exit_code))
    words = dict.fromkeys(("title", "timeline", "json_name", "variables", "test_name", "replay"), "x")
    made: dict[str, Any] = {"__file__": str(tmp_path / "test_pay.py")}
    exec(_TEMPLATE.format(name="pay", **words), made)  # noqa: S102  the file that somebody gets
    if not told:
        made["test_pay"]()
        return
    with pytest.raises(pytest.fail.Exception) as failed:
        made["test_pay"]()
    assert (str(failed.value), failed.value.pytrace) == (told, False)

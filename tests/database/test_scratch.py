"""A scratch file is gone after its command, and what a killed one left is gone after the next."""

import os
import tempfile
from pathlib import Path

import pytest

from integrity.engines.target import Target

FORGOTTEN = "integrity-scratch-race-0123abcd"
VENUE = Target.parse("sqlite:///venue.db")


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that temporary ones are made in, empty."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def _leave(folder: Path, *, seconds_ago: float) -> None:
    folder.mkdir()
    (folder / "scratch.db").touch()
    moment = folder.stat().st_mtime - seconds_ago
    os.utime(folder, (moment, moment))


def test_a_scratch_file_is_gone_afterwards(temporary: Path) -> None:
    with VENUE.make_scratch("race") as scratch:
        assert scratch.file_of("main").parent.parent == temporary
        assert len(list(temporary.iterdir())) == 1
    assert list(temporary.iterdir()) == []


def test_what_a_killed_command_left_is_removed_by_the_next(temporary: Path) -> None:
    _leave(temporary / FORGOTTEN, seconds_ago=120)
    with VENUE.make_scratch("queries"):
        pass
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "seconds_ago"),
    [(FORGOTTEN, 1), ("integrity-scratch-race", 120), ("somebody-elses", 120)],
    ids=["made a moment ago", "another name", "somebody else's"],
)
def test_what_is_not_known_to_be_forgotten_stays(temporary: Path, name: str, seconds_ago: float) -> None:
    _leave(temporary / name, seconds_ago=seconds_ago)
    with VENUE.make_scratch("race"):
        pass
    assert [each.name for each in temporary.iterdir()] == [name]


def test_one_in_use_stays(temporary: Path) -> None:
    with VENUE.make_scratch("race"):
        (used,) = temporary.iterdir()
        moment = used.stat().st_mtime - 120
        os.utime(used, (moment, moment))
        with VENUE.make_scratch("queries"):
            assert used.exists()

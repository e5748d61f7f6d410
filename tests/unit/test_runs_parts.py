"""A long log rolls: it is written into several files and read as one, and a part that is missing is told."""

from pathlib import Path

import pytest

from integrity.chain import Records
from integrity.errors import HistoryError
from integrity.runs.folder import Recorder, RunFolder
from integrity.runs.parts import find_parts, last_bytes, open_lines, part_of
from tests.documents import make_settings

LINES = [b'{"number":%d}\n' % number for number in range(60)]


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """Return the folder of a run whose history has reached its size several times."""
    recorder = Recorder(RunFolder(tmp_path), make_settings(), part_bytes_most=200)
    for line in LINES:
        recorder.append(line)
    recorder.end()
    recorder.close()
    return RunFolder(tmp_path)


def read(folder: RunFolder) -> tuple[list[int], bool]:
    with open_lines(folder.history) as lines:
        records = Records(lines, place="history.jsonl")
        return [record["number"] for _, record in records], records.is_whole


def test_a_history_rolls_by_size_between_lines_and_is_read_as_one(folder: RunFolder) -> None:
    parts = find_parts(folder.history)
    assert len(parts) > 9  # so that the tenth does not come before the second
    assert [part.name for part in parts[:2]] == ["history.jsonl", "history.2.jsonl"]
    assert parts[9] == part_of(folder.history, 10)
    assert all(200 <= part.stat().st_size < 300 for part in parts[:-1])
    assert all(part.read_bytes().endswith(b"}\n") for part in parts)
    assert all(part.stat().st_mode & 0o077 == 0 for part in parts)
    assert read(folder) == (list(range(60)), True)
    assert folder.is_whole
    assert find_parts(folder.requests) == [folder.requests]


def test_how_much_has_been_read_counts_over_all_parts(folder: RunFolder) -> None:
    with open_lines(folder.history) as lines:
        told = [lines.tell() for _ in lines]
        assert lines.tell() == lines.size == sum(part.stat().st_size for part in find_parts(folder.history))
    assert told == sorted(told)


def test_a_part_that_is_missing_is_told_as_its_first_line_would_be(folder: RunFolder) -> None:
    part_of(folder.history, 3).unlink()
    with pytest.raises(HistoryError, match=r"history\.jsonl:\d+: "):
        read(folder)


def test_without_its_last_part_a_history_is_not_whole(folder: RunFolder) -> None:
    find_parts(folder.history)[-1].unlink()
    numbers, is_whole = read(folder)
    assert (numbers == list(range(len(numbers))), 0 < len(numbers) < 60, is_whole) == (True, True, False)
    assert not folder.is_whole


def test_a_run_whose_history_rolls_is_alive_until_it_is_closed(tmp_path: Path) -> None:
    recorder = Recorder(RunFolder(tmp_path), make_settings(), part_bytes_most=50)
    for line in LINES[:9]:
        recorder.append(line)
    assert RunFolder(tmp_path).is_alive()
    recorder.close()
    assert not RunFolder(tmp_path).is_alive()


def test_a_log_that_is_not_there_has_no_parts(tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    assert (find_parts(file), last_bytes(file)) == ([], b"")
    with pytest.raises(FileNotFoundError), open_lines(file):
        pass

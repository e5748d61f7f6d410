"""A chain shows it when a line of it is missing, torn or changed; what it holds up to there is what was written."""

from collections.abc import Sequence

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrity.chain import Chain, Records, is_end
from integrity.errors import HistoryError

BARE = [orjson.dumps({"at": number}, option=orjson.OPT_APPEND_NEWLINE) for number in range(4)]


def write(lines: Sequence[bytes] = BARE, *, ends: bool = True) -> list[bytes]:
    chain = Chain()
    return [*map(chain.seal, lines), *([chain.end()] if ends else [])]


def read(lines: Sequence[bytes]) -> tuple[list[object], bool]:
    records = Records(lines, place="runs/r1/history.jsonl")
    return [record["at"] for _, record in records], records.is_whole


def test_what_was_written_comes_back_and_is_known_to_be_whole() -> None:
    assert read(write()) == ([0, 1, 2, 3], True)
    assert is_end(b"".join(write()))


def test_a_file_that_was_not_ended_is_right_and_not_whole() -> None:
    assert read(write(ends=False)) == ([0, 1, 2, 3], False)
    assert not is_end(b"".join(write(ends=False)))


def test_a_file_of_before_there_were_chains_is_read_and_not_whole() -> None:
    assert read(BARE) == ([0, 1, 2, 3], False)


@given(st.integers(0, len(b"".join(write())) - 1))
def test_wherever_a_file_is_cut_off_its_whole_lines_are_read_and_it_is_not_whole(length: int) -> None:
    lines = b"".join(write())[:length].splitlines(keepends=True)
    whole = [line for line in lines if line.endswith(b"\n")]
    assert read(lines) == (list(range(len(whole))), False)


@pytest.mark.parametrize("place", range(4))
def test_a_line_that_is_missing_is_named_where_the_next_one_stands(place: int) -> None:
    lines = write()
    del lines[place]
    with pytest.raises(HistoryError, match=rf"^runs/r1/history.jsonl:{place + 1}: .* checksum does not fit"):
        read(lines)


@pytest.mark.parametrize("place", range(5))
@pytest.mark.parametrize("change", [(b'"', b"'"), (b"at", b"as"), (b"end", b"eel"), (b"}", b" }")])
def test_a_line_that_was_changed_is_named(place: int, change: tuple[bytes, bytes]) -> None:
    lines = write()
    if change[0] not in lines[place]:
        return
    lines[place] = lines[place].replace(*change, 1)
    with pytest.raises(HistoryError, match=rf"^runs/r1/history.jsonl:{place + 1}: "):
        read(lines)


def test_nothing_stands_behind_the_end() -> None:
    chain = Chain()
    lines = [chain.seal(BARE[0]), chain.end(), chain.seal(BARE[1])]
    with pytest.raises(HistoryError, match=r"history.jsonl:3: .*a line behind the last one"):
        read(lines)

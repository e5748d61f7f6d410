"""Parts: a long log is written into several files, and read as one.

    history.jsonl, history.2.jsonl, history.3.jsonl, ...

A part is begun when the one before it has reached its size; a line is never torn between two. Numbers and checksums of the
lines (integrity/chain.py) go on from part to part, so that a part that is missing, or in another's place, is told.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from integrity.project import open_for_us_only
from integrity.runs.files import unwritable

PART_BYTES_MOST = 256 * 2**20
"""A soak of 4 hours at 500 calls a second leaves 4 GB: each part can still be opened, copied and compressed by itself."""


def part_of(file: Path, number: int) -> Path:
    """Return the file of that part, from 1."""
    return file if number == 1 else file.with_suffix(f".{number}{file.suffix}")


def find_parts(file: Path) -> list[Path]:
    """Return the parts of a log that are there, in their order; none where it is not."""
    numbered = {
        int(number): path
        for path in file.parent.glob(f"{file.stem}.*{file.suffix}")
        if (number := path.name.removeprefix(f"{file.stem}.").removesuffix(file.suffix)).isdecimal()
    }
    return [*([file] if file.exists() else []), *(numbered[number] for number in sorted(numbered))]


class Lines:
    """The lines of a log, part after part.

    Args:
        size: of all parts, in bytes.
    """

    def __init__(self, parts: list[Path]) -> None:
        self._parts = parts
        self._done = 0
        self.size = sum(part.stat().st_size for part in parts)

    def __iter__(self) -> Iterator[bytes]:
        for part in self._parts:
            with part.open("rb") as lines:
                for line in lines:
                    self._done += len(line)
                    yield line

    def tell(self) -> int:
        """Return how many bytes have been read."""
        return self._done


@contextmanager
def open_lines(file: Path) -> Iterator[Lines]:
    """Give the lines of all parts of a log.

    Raises:
        FileNotFoundError: there is no such log.
    """
    parts = find_parts(file)
    if not parts:
        raise FileNotFoundError(str(file))
    yield Lines(parts)


def last_bytes(file: Path, count: int = 128) -> bytes:
    """Return the end of a log; nothing of one that is not there."""
    parts = find_parts(file)
    if not parts:
        return b""
    with parts[-1].open("rb") as lines:
        lines.seek(max(0, parts[-1].stat().st_size - count))
        return lines.read()


class PartWriter:
    """Writes a log, part after part, unbuffered.

    Args:
        bytes_most: of a part, before another is begun.

    Attributes:
        first: the descriptor of the first part, open as long as the log is: a lock on it is one on the log.
    """

    def __init__(self, path: Path, *, bytes_most: int = PART_BYTES_MOST) -> None:
        self.first = open_log(path)
        self._path, self._bytes_most = path, bytes_most
        self._number, self._current, self._size = 1, self.first, os.fstat(self.first).st_size

    def write(self, lines: bytes) -> None:
        """Write whole lines.

        Raises:
            HistoryError: they cannot be written.
        """
        if self._size >= self._bytes_most:
            self._number += 1
            new = open_log(part_of(self._path, self._number))
            self._close_current()
            self._current, self._size = new, 0
        append_to(self._current, lines, self._path)
        self._size += len(lines)

    def close(self) -> None:
        self._close_current()
        os.close(self.first)

    def _close_current(self) -> None:
        if self._current != self.first:
            os.close(self._current)


def open_log(path: Path) -> int:
    """Return a descriptor to append to.

    Raises:
        HistoryError: there can be none.
    """
    try:
        return open_for_us_only(str(path), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    except OSError as error:
        raise unwritable(path, error) from None


def append_to(file: int, line: bytes, path: Path) -> None:
    """Write all of it.

    Raises:
        HistoryError: it cannot be written.
    """
    try:
        while (written := os.write(file, line)) < len(line):
            line = line[written:]
    except OSError as error:
        raise unwritable(path, error) from None

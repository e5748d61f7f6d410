"""Chains: files of JSON lines that show it when a line of theirs is missing, torn or changed.

Each line begins with its number and a checksum of all lines up to it; a file that was ended in good order says so in one
line more:

    {"line":1,"sum":1842515611,"event":"invoked",...}
    {"line":2,"sum":3903486206,"event":"returned",...}
    {"line":3,"sum":2666930069,"event":"end"}

A file without the last one was not ended by whoever wrote it, or is not all here: what stands in it is right, and what it
lacks says nothing. Files of before there were chains are read as such, too. The checksum is CRC-32, which finds what goes
wrong by itself at the cost of a tenth of a microsecond; it is no proof against somebody who means to deceive.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any
from zlib import crc32

import orjson

from integrity.errors import HistoryError
from integrity.typed import typed

_PREFIX = re.compile(rb'\{"line":(\d{1,18}),"sum":(\d{1,10}),')
_END = b'{"event":"end"}\n'


class Chain:
    """Seals the lines of one file, in their order."""

    __slots__ = ("_count", "_sum")

    def __init__(self) -> None:
        self._count = 0
        self._sum = 0

    def seal(self, line: bytes) -> bytes:
        """Return the line, an object that is not empty, with its number and the checksum in front of what it holds."""
        self._count += 1
        self._sum = crc32(line, self._sum)
        return b'{"line":%d,"sum":%d,%b' % (self._count, self._sum, line[1:])

    def end(self) -> bytes:
        """Return the line that ends the file."""
        return self.seal(_END)


def is_end(text: bytes) -> bool:
    """Return whether a file whose last bytes these are was ended in good order."""
    return text.endswith(_END[1:])


class Records:
    """The records of a file, in their order; a torn last line (the tool was killed while writing it) is left out.

    Args:
        place: the file's name, for errors.

    Attributes:
        is_whole: once they have been read: the file was ended in good order, and all of it is here.

    Raises:
        HistoryError: while they are read: a line that is no record, or not the one that stood there.
    """

    def __init__(self, lines: Iterable[bytes], *, place: str) -> None:
        self.is_whole = False
        self._lines = lines
        self._place = place

    def __iter__(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield each line's number and what it holds."""
        total, is_chain = 0, False
        for number, line in enumerate(self._lines, start=1):
            if not line.endswith(b"\n"):
                return
            if self.is_whole:
                raise self.error(number, "a line behind the last one")
            sealed = _PREFIX.match(line)
            if number == 1:
                is_chain = sealed is not None
            content = line
            if sealed is not None:
                content = b"{" + line[sealed.end() :]
                total = crc32(content, total)
                if (int(sealed[1]), int(sealed[2])) != (number, total):
                    raise self.error(number, "its number or checksum does not fit: a line was changed, or one is missing")
            elif is_chain:
                raise self.error(number, "it has no checksum, and those before it have")
            try:
                record = orjson.loads(content)
            except orjson.JSONDecodeError as error:
                raise self.error(number, f"{type(error).__name__}: {error}") from None
            if not isinstance(record, dict):
                raise self.error(number, "no object")
            if content == _END:
                self.is_whole = True
                continue
            yield number, record

    def error(self, number: int, reason: str) -> HistoryError:
        """Return the error of a line that is no record."""
        return HistoryError(
            f"{self._place}:{number}: not a record of a history ({reason})",
            hint=f"The file was changed after the run: bring it back from a copy, or give it up: {typed('forget RUN')}.",
        )

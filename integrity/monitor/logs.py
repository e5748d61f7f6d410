"""Logs of an application, watched while it is under load: lines that are added to a file, counted by what they tell of.

What stood there before the watch began is not read. A file is followed where it is rotated (another one has its name: the
rest of the old one is read first) and where it is cut (it is shorter, or what was read last stands there no more). Of two
rotations between two samples the file in the middle is not seen.
"""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from integrity.engines.target import mask
from integrity.masking import mask_tokens
from integrity.monitor.limits import CRITICAL, WARN
from integrity.monitor.sample import LogSample

CHUNK_BYTES = 1 << 16
READ_BYTES_MOST = 1 << 22
"""Of one file and sample: whoever is measured waits while lines are looked at. The last sample reads 16 times as much."""

LINE_BYTES_MOST = 1 << 16
EXAMPLES_MOST = 3
EXAMPLE_LENGTH = 200
_MARK_BYTES = 64


class Pattern(NamedTuple):
    """What a line may tell of, and how bad that is."""

    level: str
    expression: re.Pattern[bytes]


def _level(word: bytes, *also: bytes) -> bytes:
    """Return the expression for a log's level: in capitals, or as JSON and logfmt have it."""
    return b"|".join((rb"\b" + word + rb"\b", rb"\b(?:level|severity)\"?\s*[:=]\s*\"?(?i:" + word + rb")\b", *also))


_KILLED = rb"(?i:\bexit(?:ed|s)?\b.{0,48}?\b(?:code|status)[ =:]+137\b|\bstatus=9/KILL\b)"
"""What supervisors say of a process that the kernel has ended for want of memory: 128 and the number of SIGKILL."""

PATTERNS = MappingProxyType(
    {
        "OOM": Pattern(CRITICAL, re.compile(rb"\bOOM\b|(?i:\bout of memory\b|\boom-kill)|OutOfMemory|" + _KILLED)),
        "PANIC": Pattern(CRITICAL, re.compile(_level(b"PANIC", rb"\bpanic: ", rb"\bpanicked at\b"))),
        "FATAL": Pattern(CRITICAL, re.compile(_level(b"FATAL", _level(b"CRITICAL")))),
        "deadlock detected": Pattern(WARN, re.compile(rb"(?i:deadlock detected)")),
        "worker timeout": Pattern(WARN, re.compile(rb"(?i:\bworker (?:process )?timeout)")),
        "Traceback": Pattern(WARN, re.compile(rb"Traceback \(most recent call last\)")),
        "ERROR": Pattern(WARN, re.compile(_level(b"ERROR"))),
    }
)
"""By name, the worst first: a line counts once, as the first of them that it shows."""

_ANY = re.compile(b"|".join(b"(?:" + pattern.expression.pattern + b")" for pattern in PATTERNS.values()))
_VARIABLE = re.compile(r"[0-9a-f-]*\d[0-9a-f-]*", re.IGNORECASE)


class LogWatch:
    """Follows one file. Used by one thread at a time.

    Raises:
        OSError: it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = os.open(path, os.O_RDONLY)
        self._position = os.fstat(self._file).st_size
        self._mark = os.pread(self._file, _MARK_BYTES, max(0, self._position - _MARK_BYTES))
        self._unfinished = b""
        self._shown: dict[str, set[str]] = {name: set() for name in PATTERNS}

    def begin(self) -> None:
        """Begin another watch with it, which reads on from where the one before ended and shows examples of its own."""
        self._shown = {name: set() for name in PATTERNS}

    def close(self) -> None:
        os.close(self._file)

    def sample(self, *, is_last: bool) -> LogSample:
        """Return what was added since the last sample.

        Args:
            is_last: a line that nobody has ended counts, too.
        """
        found: LogSample = {"file": str(self._path), "bytes": 0, "counts": {}, "examples": {}}
        most = READ_BYTES_MOST * (16 if is_last else 1)
        try:
            self._read(found, most)
            if found["bytes"] < most and self._is_rotated():
                self._count(found, [self._unfinished])
                self.close()
                self._file = os.open(self._path, os.O_RDONLY)
                self._position, self._mark, self._unfinished = 0, b"", b""
                self._read(found, most)
            left = os.fstat(self._file).st_size - self._position
            if is_last:
                self._count(found, [self._unfinished])
                self._unfinished = b""
            if is_last and left > 0:
                found["error"] = f"its last {left:,} bytes were not read: it grows faster than it is looked at"
            elif not self._path.exists():
                found["error"] = "there is no such file any more"
        except OSError as error:
            found["error"] = error.strerror or str(error)
        return found

    def _is_rotated(self) -> bool:
        with suppress(FileNotFoundError):  # moved away, and the new one is not there yet
            now, ours = os.stat(self._path), os.fstat(self._file)  # noqa: PTH116
            return (now.st_dev, now.st_ino) != (ours.st_dev, ours.st_ino)
        return False

    def _read(self, found: LogSample, most: int) -> None:
        if self._is_cut():
            self._count(found, [self._unfinished])
            self._position, self._mark, self._unfinished = 0, b"", b""
        while found["bytes"] < most:
            read = os.pread(self._file, CHUNK_BYTES, self._position)
            if not read:
                return
            self._position += len(read)
            self._mark = (self._mark + read)[-_MARK_BYTES:]
            found["bytes"] += len(read)
            *lines, self._unfinished = (self._unfinished + read).split(b"\n")
            if len(self._unfinished) > LINE_BYTES_MOST:
                lines, self._unfinished = [*lines, self._unfinished], b""
            self._count(found, lines)

    def _is_cut(self) -> bool:
        """Return whether what was read last stands there no more."""
        return os.pread(self._file, len(self._mark), self._position - len(self._mark)) != self._mark

    def _count(self, found: LogSample, lines: Sequence[bytes]) -> None:
        for name, line in _telling(lines):
            found["counts"][name] = found["counts"].get(name, 0) + 1
            shown = self._shown[name]
            if len(shown) < EXAMPLES_MOST:
                text = mask_tokens(mask(line.decode(errors="replace"))).strip()[:EXAMPLE_LENGTH]
                alike = _VARIABLE.sub("0", text)  # times and numbers tell no two of them apart
                if alike not in shown:
                    shown.add(alike)
                    found["examples"].setdefault(name, []).append(text)


def _telling(lines: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
    for line in lines:
        if _ANY.search(line):
            yield next(name for name, pattern in PATTERNS.items() if pattern.expression.search(line)), line

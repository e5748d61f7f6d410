"""What a process writes down of the calls that it makes: history.jsonl and what belongs to it.

The logs of a run are chains (integrity/chain.py), written by plain os.write, a line at a time and unbuffered, so that they
survive a kill -9 of the process. (After a power failure their last moments may be missing; then the database lacks them,
too, or holds them as unclaimed.) Where several processes make the calls of a run each has its own, history-1.jsonl and so
on.

While the process lives it holds a lock on its history: that, not a process id, says whether it is gone.
"""

import contextlib
import fcntl
from collections.abc import Iterable
from pathlib import Path

from integrity.chain import Chain
from integrity.errors import HistoryError
from integrity.runs.files import HISTORY_FILE, RECEIVED_FILE, REQUESTS_FILE, file_of_process
from integrity.runs.parts import PART_BYTES_MOST, PartWriter


class _Log:
    """A log that is written line by line, as a chain, in parts."""

    def __init__(self, path: Path, bytes_most: int) -> None:
        self.writer = PartWriter(path, bytes_most=bytes_most)
        self._chain = Chain()
        self._waiting: list[bytes] = []
        self.error: HistoryError | None = None

    def append(self, *lines: bytes) -> None:
        """Write lines, and before them those that could wait."""
        self.wait(*lines)
        if self.error is not None:
            raise self.error
        try:
            self.writer.write(b"".join(self._waiting))
        except HistoryError as error:
            # A line may have been written in part: nothing may follow it.
            self.error = error
            raise
        self._waiting.clear()

    def wait(self, *lines: bytes) -> None:
        self._waiting += map(self._chain.seal, lines)

    @property
    def is_waiting(self) -> bool:
        return bool(self._waiting) and self.error is None

    def end(self) -> None:
        """Write the line that says that this is all."""
        if self.error is None:
            with contextlib.suppress(HistoryError):
                self.append()
                self.writer.write(self._chain.end())


class CallLogs:
    """Writes what one process of a run does.

    Args:
        folder: of the run.
        process: its number, from 1, of several; 0: of one that makes all calls, or whoever began those several.
        part_bytes_most: of a part of a log, before the next is begun.
    """

    def __init__(self, folder: Path, process: int = 0, *, part_bytes_most: int = PART_BYTES_MOST) -> None:
        self._history = _Log(file_of_process(folder / HISTORY_FILE, process), part_bytes_most)
        fcntl.flock(self._history.writer.first, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._requests = _Log(file_of_process(folder / REQUESTS_FILE, process), part_bytes_most)
        self._received = _Log(file_of_process(folder / RECEIVED_FILE, process), part_bytes_most)

    def append(self, line: bytes) -> None:
        """Write a line of the history, and before it those that could wait.

        Raises:
            HistoryError: it cannot be written, e.g. the disk is full: what is not recorded must not be done.
        """
        self._history.append(line)

    def append_soon(self, line: bytes) -> None:
        """Write a line with the next one; whoever calls sees to it that `flush` comes, before anything is waited for."""
        self._history.wait(line)

    def flush(self) -> None:
        """Write the lines that could wait; an error is raised by the next append, or by close."""
        if self._history.is_waiting:
            with contextlib.suppress(HistoryError):
                self._history.append()

    def append_request(self, line: bytes) -> None:
        """Write a line of the requests.

        Raises:
            HistoryError: it cannot be written.
        """
        self._requests.append(line)

    def append_received(self, lines: Iterable[bytes]) -> None:
        """Write lines of what subscribers received.

        Raises:
            HistoryError: they cannot be written.
        """
        self._received.append(*lines)

    def end(self) -> None:
        """Say in each file that it is all there is; nothing may be written any more."""
        for log in (self._history, self._requests, self._received):
            log.end()

    def close(self) -> None:
        """Let go of the files.

        Raises:
            HistoryError: the history could not be written.
        """
        for log in (self._history, self._requests, self._received):
            log.writer.close()
        if self._history.error is not None:
            raise self._history.error


def has_calls(history: Path) -> bool:
    """Return whether anything is written down there but that it has ended."""
    return history.exists() and history.stat().st_size > len(Chain().end())

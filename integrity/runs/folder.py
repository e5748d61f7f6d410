"""A run's folder, `.integrity/runs/<time>-<system>-<profile>/`: all that is known of a run, without its database.

    settings.json    what is needed to repeat it
    history.jsonl    every call twice: before it was sent, and when it returned
    requests.jsonl   what calls asked of outside services, and the answers
    received.jsonl   what subscribers saw of streams
    metrics.jsonl    one sample a second
    faults.jsonl     what went wrong on purpose, where anything did
    monitor.jsonl    another of the database and of the processes
    result.json      summary and thresholds, written at the end

The history, the requests and what was received go on in history.2.jsonl and so on where they are long (parts.py).

Nobody else may read it: calls hold what clients sent.

The history is written by plain os.write, a line at a time and unbuffered, so that it survives a kill -9 of this process.
(After a power failure its last moments may be missing; then the database lacks them, too, or holds them as unclaimed.)
While the run lives it holds a lock on the history: that, not a process id, says whether its process is gone. The history,
the requests and what was received are chains: see integrity/chain.py. What is not a log is a document with a format of its
own (documents.py); the lines of logs have no number, the settings' one is that of the whole folder.
"""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from integrity.chain import Chain, is_end
from integrity.errors import HistoryError
from integrity.project import close_folder
from integrity.runs.files import (
    HISTORY_FILE,
    METRICS_FILE,
    RECEIVED_FILE,
    REQUESTS_FILE,
    RESULT_FILE,
    SETTINGS_FILE,
    unwritable,
)
from integrity.runs.parts import PART_BYTES_MOST, PartWriter, append_to, last_bytes, open_log

if TYPE_CHECKING:  # models take a moment to build: an audit looks at folders, and reads few of them
    from integrity.faults.player import Healed, Injected
    from integrity.runs.result import RunResult
    from integrity.runs.samples import RunSample
    from integrity.runs.settings import RunSettings


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The folder of a run, past or present; its name is the run's id."""

    path: Path

    @property
    def run_id(self) -> str:
        return self.path.name

    @property
    def history(self) -> Path:
        return self.path / HISTORY_FILE

    @property
    def requests(self) -> Path:
        return self.path / REQUESTS_FILE

    @property
    def received(self) -> Path:
        return self.path / RECEIVED_FILE

    @property
    def is_whole(self) -> bool:
        """Each file of the history was ended in good order, and what a server did by itself is in it."""
        is_ended = all(is_end(last_bytes(file)) for file in (self.history, self.requests, self.received))
        result = self.result() if is_ended else None
        return is_ended and (result is None or not result.unheard)

    def settings(self) -> "RunSettings":
        """Return what was run.

        Raises:
            HistoryError: it cannot be read, or is of another version.
        """
        from integrity.runs.documents import read_document
        from integrity.runs.settings import SETTINGS

        return read_document(self.path, SETTINGS)

    def result(self) -> "RunResult | None":
        """Return the result, or None when the run did not come to one.

        Raises:
            HistoryError: it cannot be read, or is of another version.
        """
        from integrity.runs.documents import read_document
        from integrity.runs.result import RESULT

        return read_document(self.path, RESULT) if (self.path / RESULT_FILE).exists() else None

    def samples(self) -> "list[RunSample]":
        """Return the samples of the metrics so far, oldest first; a line that was cut off is left out.

        Raises:
            HistoryError: they cannot be read.
        """
        from pydantic import TypeAdapter

        from integrity.runs.documents import read_lines
        from integrity.runs.samples import RunSample

        return read_lines(self.path / METRICS_FILE, TypeAdapter(RunSample))

    def faults(self) -> "list[Injected | Healed]":
        """Return when each fault began and was healed, as far as the run came.

        Raises:
            HistoryError: it cannot be read.
        """
        from pydantic import TypeAdapter

        from integrity.faults.player import FAULTS_FILE, Healed, Injected
        from integrity.runs.documents import read_lines

        return read_lines(self.path / FAULTS_FILE, TypeAdapter[Injected | Healed](Injected | Healed))

    def write_result(self, result: "RunResult") -> None:
        from integrity.runs.documents import write_document

        write_document(self.path, RESULT_FILE, result)

    def discard(self) -> None:
        """Remove the folder of a run that never began; what cannot be removed stays."""
        shutil.rmtree(self.path, ignore_errors=True)

    def is_alive(self) -> bool:
        """Return whether the process that writes it still runs."""
        try:
            file = os.open(self.history, os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(file)
        return False


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


class Recorder:
    """Writes a run's folder while the run lives.

    Args:
        part_bytes_most: of a part of a log, before the next is begun.
    """

    def __init__(self, folder: RunFolder, settings: "RunSettings", *, part_bytes_most: int = PART_BYTES_MOST) -> None:
        from integrity.runs.documents import write_document

        self.folder = folder
        self._history = _Log(folder.history, part_bytes_most)
        fcntl.flock(self._history.writer.first, fcntl.LOCK_EX | fcntl.LOCK_NB)
        write_document(folder.path, SETTINGS_FILE, settings)  # after the lock: a folder without settings is not yet a run
        self._requests = _Log(folder.requests, part_bytes_most)
        self._received = _Log(folder.received, part_bytes_most)
        self._metrics = open_log(folder.path / METRICS_FILE)

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

    def append_sample(self, sample: "RunSample") -> None:
        """Write a sample of the metrics."""
        append_to(self._metrics, orjson.dumps(sample.model_dump()) + b"\n", self.folder.path / METRICS_FILE)

    def end(self) -> None:
        """Say in each file that it is all there is; nothing may be written any more."""
        for log in (self._history, self._requests, self._received):
            log.end()

    def close(self) -> None:
        """Let go of the folder: from now on the run is over, and who finds it unfinished may load it.

        Raises:
            HistoryError: the history could not be written.
        """
        for log in (self._history, self._requests, self._received):
            log.writer.close()
        os.close(self._metrics)
        if self._history.error is not None:
            raise self._history.error


def make_run_folder(runs_folder: Path, name: str) -> RunFolder:
    """Make and return a new folder of that name; with a number behind it when there is one already.

    Raises:
        HistoryError: it cannot be made.
    """
    try:
        for folder in (runs_folder.parent, runs_folder):
            close_folder(folder)
        for number in range(1, 1000):
            path = runs_folder / (name if number == 1 else f"{name}-{number}")
            try:
                path.mkdir(mode=0o700)  # histories hold what calls were given
            except FileExistsError:
                continue
            return RunFolder(path)
    except OSError as error:
        raise unwritable(runs_folder, error) from None
    raise HistoryError(f"{runs_folder}: there are 999 runs named {name}")

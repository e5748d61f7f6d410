"""A run's folder, `.integrity/runs/<time>-<system>-<profile>/`: all that is known of a run, without its database.

    settings.json    what is needed to repeat it
    history.jsonl    every call twice: before it was sent, and when it returned
    requests.jsonl   what calls asked of outside services, and the answers
    received.jsonl   what subscribers saw of streams
    metrics.jsonl    one sample a second
    faults.jsonl     what went wrong on purpose, where anything did
    monitor.jsonl    another of the database and of the processes
    result.json      summary and thresholds, written at the end

The history, the requests and what was received go on in history.2.jsonl and so on where they are long (parts.py); where
several processes make the calls each has its own, history-1.jsonl and so on (call_logs.py). histories.py reads them as one.

Nobody else may read it: calls hold what clients sent.

What is not a log is a document with a format of its own (documents.py); the lines of logs have no number, the settings'
one is that of the whole folder.
"""

import fcntl
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from integrity.chain import is_end
from integrity.errors import HistoryError
from integrity.project import close_folder
from integrity.runs.call_logs import CallLogs
from integrity.runs.files import (
    HISTORY_FILE,
    METRICS_FILE,
    RECEIVED_FILE,
    REQUESTS_FILE,
    RESULT_FILE,
    SETTINGS_FILE,
    file_of_process,
    unwritable,
)
from integrity.runs.parts import PART_BYTES_MOST, append_to, last_bytes, open_log

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

    def files_of(self, log: Path) -> list[Path]:
        """Return the logs of one kind that there must be: that of its process, and of those that it shared the calls with.

        Raises:
            HistoryError: the settings cannot be read.
        """
        if not (self.path / SETTINGS_FILE).exists():  # no run began there, or somebody has kept its logs alone
            return [log]
        count = self.settings().processes
        return [file_of_process(log, number) for number in range(count + 1 if count > 1 else 1)]

    @property
    def is_whole(self) -> bool:
        """Each file of the history was ended in good order, and what a server did by itself is in it.

        Raises:
            HistoryError: the settings cannot be read.
        """
        logs = (self.history, self.requests, self.received)
        is_ended = all(is_end(last_bytes(file)) for log in logs for file in self.files_of(log))
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
        """Return whether a process that writes it still runs."""
        others = self.path.glob(f"{self.history.stem}-*{self.history.suffix}")
        return any(map(_is_locked, (self.history, *others)))


class Recorder:
    """Writes a run's folder while the run lives.

    Args:
        part_bytes_most: of a part of a log, before the next is begun.
    """

    def __init__(self, folder: RunFolder, settings: "RunSettings", *, part_bytes_most: int = PART_BYTES_MOST) -> None:
        from integrity.runs.documents import write_document

        self.folder = folder
        self.calls = CallLogs(folder.path, part_bytes_most=part_bytes_most)
        self.append, self.append_soon, self.flush = self.calls.append, self.calls.append_soon, self.calls.flush
        self.append_request, self.append_received = self.calls.append_request, self.calls.append_received
        self.end = self.calls.end
        write_document(folder.path, SETTINGS_FILE, settings)  # after the lock: a folder without settings is not yet a run
        self._metrics = open_log(folder.path / METRICS_FILE)

    def append_sample(self, sample: "RunSample") -> None:
        """Write a sample of the metrics."""
        append_to(self._metrics, orjson.dumps(sample.model_dump()) + b"\n", self.folder.path / METRICS_FILE)

    def close(self) -> None:
        """Let go of the folder: from now on the run is over, and who finds it unfinished may load it.

        Raises:
            HistoryError: the history could not be written.
        """
        os.close(self._metrics)
        self.calls.close()


def _is_locked(file: Path) -> bool:
    try:
        opened = os.open(file, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(opened)
    return False


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

"""Files of a run's folder, by name: nobody else may read them, and what is not a log is there whole or not at all."""

from pathlib import Path

from integrity.errors import HistoryError
from integrity.project import open_for_us_only

SETTINGS_FILE = "settings.json"
HISTORY_FILE = "history.jsonl"
REQUESTS_FILE = "requests.jsonl"
RECEIVED_FILE = "received.jsonl"
METRICS_FILE = "metrics.jsonl"
MONITOR_FILE = "monitor.jsonl"
RESULT_FILE = "result.json"
VERDICTS_FILE = "verdicts.json"


def file_of_process(log: Path, number: int) -> Path:
    """Return the log of one of the processes that make the calls of a run, from 1; 0: that of the run's own."""
    return log.with_stem(f"{log.stem}-{number}") if number else log


def write_whole(file: Path, content: bytes) -> None:
    """Write the file whole or not at all: somebody may read it at any moment.

    Raises:
        HistoryError: it cannot be written.
    """
    new = file.with_suffix(".new")
    try:
        with open(new, "wb", opener=open_for_us_only) as opened:
            opened.write(content)
        new.replace(file)
    except OSError as error:
        raise unwritable(file, error) from None


def unwritable(path: Path, error: OSError) -> HistoryError:
    """Return what to raise when a file of a run cannot be written."""
    return HistoryError(
        f"{path}: cannot be written: {error.strerror}",
        hint="Make room or the folder writable, or work in another folder with --project.",
    )

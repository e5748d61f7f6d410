"""Who works in an SQLite database: a lock file beside the database's, removed by the last."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from integrity.engines.hold import Hold
from integrity.engines.occupancy import Occupant, refuse
from integrity.engines.target import Target


class _File(Hold):
    """A lock file that is held. It is told who comes and who goes, as others may hold it longer than we do."""

    def __init__(self, descriptor: int, target: Target, path: Path) -> None:
        self._descriptor = descriptor
        self._target = target
        self._path = path
        self._name = f"{os.getpid()}/{descriptor}"
        self._since = datetime.now(UTC).isoformat()

    def rename(self, who: str) -> None:
        self._tell(who)

    def leave(self) -> None:
        """Say that we work there no longer; the last removes the file."""
        with suppress(OSError):  # others hold it still, or the folder is gone
            self._tell("")
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._path.unlink()
        os.close(self._descriptor)

    def _tell(self, who: str) -> None:
        said = json.dumps({"hold": self._name, "who": who, "pid": os.getpid(), "since": self._since})
        os.write(self._descriptor, f"{said}\n".encode())

    @contextmanager
    def alone(self, why: str) -> Iterator[None]:
        """Hold it alone for the block."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            occupants = _find_occupants(self._path, self._target.file.name, but=self._name)
            raise refuse(self._target, occupants, why) from None
        try:
            yield
        finally:
            fcntl.flock(self._descriptor, fcntl.LOCK_SH)


@contextmanager
def occupy(target: Target, who: str, *, is_exclusive: bool) -> Iterator[Hold]:
    """Hold the database for the block; see occupancy.occupy."""
    path = target.file.with_name(f"{target.file.stem}.lock")
    try:
        descriptor = _lock_file(target, path, is_exclusive=is_exclusive)
    except OSError as error:
        raise target.unreachable(error) from None
    hold = _File(descriptor, target, path)
    try:
        hold.rename(who)
        yield hold
    finally:
        hold.leave()


def _lock_file(target: Target, path: Path, *, is_exclusive: bool) -> int:
    """Return a descriptor of the locked file; the one that is at the path, not one that was just removed."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_EX if is_exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
            with suppress(FileNotFoundError):
                if os.fstat(descriptor).st_ino == path.stat().st_ino:
                    return descriptor
        except BlockingIOError:
            occupants = _find_occupants(path, target.file.name)
            os.close(descriptor)
            raise refuse(target, occupants) from None
        os.close(descriptor)


def _find_occupants(path: Path, database: str, but: str = "") -> list[Occupant]:
    """Return who works there, who came first first: who said so, has not said that it left, and whose process lives.

    Args:
        but: the hold that is not meant.
    """
    try:
        said = [json.loads(line) for line in path.read_text().splitlines()]
        last = {each["hold"]: each for each in said}
        found = [
            Occupant(each["who"], datetime.fromisoformat(each["since"]), database)
            for hold, each in last.items()
            if each["who"] and hold != but and _is_alive(each["pid"])
        ]
    except (OSError, ValueError, KeyError, TypeError):
        found = []  # the last has just removed it, or somebody else's hand was at it
    return found or [Occupant("", None, database)]


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

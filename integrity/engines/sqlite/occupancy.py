"""Who works in an SQLite database: a lock file beside the database's, removed by the last."""

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from integrity.engines.hold import Hold
from integrity.engines.occupancy import Occupant, refuse
from integrity.engines.target import Target


class _File(Hold):
    """A lock file that is held."""

    def __init__(self, descriptor: int, target: Target, path: Path) -> None:
        self._descriptor = descriptor
        self._target = target
        self._path = path
        self._told: list[str] = []

    def rename(self, who: str) -> None:
        said = json.dumps({"who": who, "pid": os.getpid(), "since": datetime.now(UTC).isoformat()})
        self._told.append(said)
        os.write(self._descriptor, f"{said}\n".encode())

    @contextmanager
    def alone(self, why: str) -> Iterator[None]:
        """Hold it alone for the block."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            said = _last_said(self._path, self._target.file.name, but=self._told)
            raise refuse(self._target, [said], why) from None
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
    try:
        hold = _File(descriptor, target, path)
        hold.rename(who)
        yield hold
    finally:
        with suppress(OSError):  # others hold it still, or the folder is gone
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
        os.close(descriptor)


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
            occupant = _last_said(path, target.file.name)
            os.close(descriptor)
            raise refuse(target, [occupant]) from None
        os.close(descriptor)


def _last_said(path: Path, database: str, but: Sequence[str] = ()) -> Occupant:
    """Return who came last, as the lock file says it.

    Args:
        but: lines of who is not meant.
    """
    try:
        said = json.loads(next(line for line in reversed(path.read_text().splitlines()) if line not in but))
        return Occupant(said["who"], datetime.fromisoformat(said["since"]), database)
    except (OSError, StopIteration, ValueError, KeyError, TypeError):
        return Occupant("", None, database)

"""Lock files: held by a process, and by those that inherited the descriptor, as long as one of them lives."""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

POLL_S = 0.01


class LockedError(Exception):
    """A lock file is held by another process; by one of the holders, where they are known and not ours."""

    def __init__(self, path: Path, holders: Sequence[int] = ()) -> None:
        super().__init__(str(path))
        self.path = path
        self.holders = holders


@contextlib.contextmanager
def hold(path: Path, seconds_max: float) -> Iterator[int]:
    """Hold a lock file; gives its descriptor.

    Raises:
        LockedError: another process holds it for longer than seconds_max.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        deadline = time.monotonic() + seconds_max
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise LockedError(path) from None
            time.sleep(POLL_S)
        yield descriptor
    finally:
        os.close(descriptor)  # a server that inherited it goes on holding the lock

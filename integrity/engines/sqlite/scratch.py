"""Scratch files: in a temporary folder, which is locked while in use, and gone at the end.

What a killed process left behind is removed by the next one that makes such a file.
"""

import fcntl
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from integrity.engines.target import Target

_FOLDER_NAME = re.compile(r"integrity-scratch-[a-z]+-[a-z0-9_]{8}")
_FORGOTTEN_SECONDS = 60.0  # a younger folder may have been made a moment ago, and not be locked yet


@contextmanager
def make_scratch(purpose: str) -> Iterator[Target]:
    """Yield an empty database; see engine.Engine."""
    _remove_forgotten()
    with tempfile.TemporaryDirectory(prefix=f"integrity-scratch-{purpose}-") as folder:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # shows that it is in use
            yield Target.parse(f"sqlite:///{Path(folder) / 'scratch.db'}")
        finally:
            os.close(descriptor)


def _remove_forgotten() -> None:
    """Remove the folders of scratch files that nobody has locked: those of a process that was killed."""
    forgotten_before = time.time() - _FORGOTTEN_SECONDS
    for folder in Path(tempfile.gettempdir()).glob("integrity-scratch-*"):
        if not _FOLDER_NAME.fullmatch(folder.name):
            continue
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:  # gone meanwhile, or somebody else's
            continue
        try:
            found = os.fstat(descriptor)
            if found.st_uid == os.geteuid() and found.st_mtime < forgotten_before:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except BlockingIOError:
            continue  # in use
        finally:
            os.close(descriptor)

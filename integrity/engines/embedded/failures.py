"""Why the embedded server could not be started, stopped or made, in words of its folder, and what to do."""

import contextlib
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from integrity.engines.embedded.lock_file import LockedError
from integrity.engines.embedded.postmaster import name_of
from integrity.errors import EmbeddedError


@contextlib.contextmanager
def explained(home: Path, act: str) -> Iterator[None]:
    """Turn what the system refuses into an EmbeddedError."""
    try:
        yield
    except LockedError as error:
        if error.holders:
            named = ", ".join(f"{pid} ({name_of(pid)})" for pid in error.holders[:3])
            raise EmbeddedError(
                f"{error.path}: the embedded server cannot {act}: this lock is held, and of PostgreSQL is none of the "
                f"processes that have it open: {named}",
                hint="They were left alone. End them, or let go of the file.",
            ) from None
        raise EmbeddedError(
            f"{error.path}: the embedded server cannot {act}: another process holds this lock",
            hint=f"See which with `fuser {error.path}`; it may be a server in another container, or a query of a "
            "crashed one that has not ended.",
        ) from None
    except OSError as error:
        place = error.filename or home
        raise EmbeddedError(
            f"{place}: the embedded server cannot {act}: {error.strerror}",
            hint="Choose a folder that you may write, on a disk with space, or name a database with --database.",
        ) from None


def failure(home: Path, log: Path, what: str, output: str) -> EmbeddedError:
    """Return the error for a program that failed, with the last lines of its output."""
    lines = [line for line in output.splitlines() if line.strip()]
    reasons = [line for line in lines if re.search(r"FATAL:|PANIC:|ERROR:|error:", line)]
    # On a full disk the log may be empty: its size is that of one more segment of the write-ahead log.
    is_disk_full = "No space left on device" in output or (not reasons and shutil.disk_usage(home).free < 2**24)
    reason = reasons[0] if reasons else (lines[-1] if lines else "it said nothing")
    reason = re.sub(r"^.*?(FATAL|PANIC|ERROR|error):\s*", "", reason)
    tail = "".join(f"\n  {line}" for line in lines[-5:])
    hint = "Free some space on that disk, or choose another folder." if is_disk_full else f"The whole log: {log}"
    prefix = "No space left on device: " if is_disk_full and "No space left" not in reason else ""
    return EmbeddedError(f"{home}: {what}: {prefix}{reason}{tail}", hint=hint)

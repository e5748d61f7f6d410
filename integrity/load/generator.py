"""The load generator watches itself: what it uses of the machine that it may share with the system that it loads."""

import os
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from integrity.runs.result import GeneratorUse

_STATM = Path("/proc/self/statm")


@dataclass(frozen=True, slots=True)
class UsedByProcess:
    """What a process, or several together, used of the processors, and of memory at its peak."""

    cpu_s: float
    rss_mb: float


class Generator:
    """This process, from the moment of making."""

    def __init__(self) -> None:
        self._started_s = time.process_time()

    @staticmethod
    def rss_mb() -> float:
        """Return the memory in use now, in millions of bytes; without /proc, the most that there ever was."""
        if not _STATM.exists():
            return _peak_mb()
        pages = int(_STATM.read_text().split()[1])
        return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)

    def used(self) -> UsedByProcess:
        """Return what was used since the making."""
        return UsedByProcess(time.process_time() - self._started_s, _peak_mb())


def use_of(used: UsedByProcess, elapsed_s: float) -> GeneratorUse:
    """Return the share of all cores that was used meanwhile, and the peak of memory."""
    cores = os.cpu_count() or 1
    share = round(used.cpu_s / elapsed_s / cores, 4) if elapsed_s else 0.0
    return GeneratorUse(cpu_share=share, rss_mb=round(used.rss_mb, 1))


def _peak_mb() -> float:
    unit = 1e6 if sys.platform == "darwin" else 1e3  # macOS counts in bytes, Linux in thousands of them
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit, 1)

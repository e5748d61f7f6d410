"""The load generator watches itself: what it uses of the machine that it may share with the system that it loads."""

import os
import resource
import sys
import time
from pathlib import Path

from integrity.runs.result import GeneratorUse

_STATM = Path("/proc/self/statm")


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

    def used(self, elapsed_s: float) -> GeneratorUse:
        """Return the share of all cores that was used since the making, and the peak of memory."""
        cpu_s = time.process_time() - self._started_s
        cores = os.cpu_count() or 1
        share = round(cpu_s / elapsed_s / cores, 4) if elapsed_s else 0.0
        return GeneratorUse(cpu_share=share, rss_mb=_peak_mb())


def _peak_mb() -> float:
    unit = 1e6 if sys.platform == "darwin" else 1e3  # macOS counts in bytes, Linux in thousands of them
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit, 1)

"""Figures of the last seconds of a run, for whoever watches it: as everywhere, a percentile of too few calls is none."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from integrity.load.statistics import STATISTICS
from integrity.measure.distribution import percentiles
from integrity.runs.percentiles import Percentiles


def known_percentiles(latencies_ms: "Sequence[float] | np.ndarray[Any, Any]") -> Percentiles:
    """Return their percentiles; one of fewer than it needs is None."""
    count = len(latencies_ms)
    known = {
        field: value if count >= STATISTICS[field.removesuffix("_ms")].samples_least else None
        for field, value in percentiles(latencies_ms).items()
    }
    return Percentiles(**known)


def known_of_all(by_operation: "Mapping[str, np.ndarray[Any, Any]]") -> Percentiles:
    """Return those of all operations together."""
    return known_percentiles(np.concatenate([*by_operation.values()]) if by_operation else ())

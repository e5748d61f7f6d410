"""Numbers and lengths of time as people write them: finite, within bounds, and refused with those bounds.

Whatever reads one from a command line or a fault's arguments reads it here; settings in TOML have the same bounds
(load/bounds.py). A number without an upper bound is a command that never ends, or a disk that is full.
"""

import math
import re

from integrity.errors import quote

DURATION_S_LEAST = 0.01
DURATION_S_MOST = 30 * 24 * 3600.0
CLIENTS_MOST = 1_000_000
CONNECTIONS_MOST = 10_000
PROCESSES_MOST = 64
FACTOR_LEAST = 0.001
FACTOR_MOST = 1_000_000.0
"""Of what stretches or compresses time, or multiplies arrivals."""

RATE_LEAST = 0.001
RATE_MOST = 1_000_000.0
"""Arrivals a second, of all clients together: more than any one machine makes."""

SEED_MOST = 2**63 - 1
_DIGITS_MOST = 40  # Python refuses to read 4,300; what we take has 19
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def read_number(text: str, *, least: float, most: float) -> float:
    """Return the number that the text says.

    Raises:
        ValueError: it is none, or not from `least` to `most`; the message says what it would have to be.
    """
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not least <= number <= most:
        raise ValueError(f"{quote(text)} is not a number from {least:,g} to {_show(most)}")
    return number


def read_integer(text: str, *, least: int | None, most: int | None) -> int:
    """Return the integer that the text says.

    Args:
        least, most: None: whoever knows what is counted says so.

    Raises:
        ValueError: as read_number says.
    """
    bounds = "" if least is None or most is None else f" from {least:,} to {most:,}"
    try:
        number = int(text) if len(text) <= _DIGITS_MOST else None
    except ValueError:
        number = None
    if number is None or (least is not None and number < least) or (most is not None and number > most):
        raise ValueError(f"{quote(text)} is not an integer{bounds}")
    return number


def read_duration(text: str, *, least_s: float = 0.0, most_s: float = DURATION_S_MOST) -> float:
    """Return the seconds that the text says: "90", "90s", "500ms", "20m", "1h30m" or "2.5s".

    Args:
        least_s: 0: anything above it.

    Raises:
        ValueError: as read_number says.
    """
    seconds = read_seconds(text)
    if not (seconds > 0 and least_s <= seconds <= most_s):
        above = f"from {show_duration(least_s)} to" if least_s else "above 0s, up to"
        raise ValueError(f"{quote(text)} is not a duration {above} {show_duration(most_s)}")
    return seconds


def read_seconds(text: str) -> float:
    """Return the seconds of a length of time or a moment, 0 and without an end: "90", "90s", "500ms", "1.5m", "1h30m".

    Raises:
        ValueError: it says none.
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|[smh]?)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{quote(text)} is no duration; give e.g. 500ms, 90s, 20m or 1h30m")
    return sum(float(number) * _UNITS[unit or "s"] for number, unit in parts)


def show_duration(seconds: float) -> str:
    """Return a bound in the largest unit that divides it: 30 days, 24h, 90s, 10ms."""
    if seconds >= 2 * 86_400 and seconds % 86_400 == 0:
        return f"{seconds / 86_400:g} days"
    if 0 < seconds < 1:
        return f"{1000 * seconds:g}ms"
    unit = "h" if seconds >= 3600 and seconds % 3600 == 0 else "m" if seconds >= 60 and seconds % 60 == 0 else "s"
    return f"{seconds / _UNITS[unit]:g}{unit}"


def show_part(ran_s: float, plan_s: float) -> str:
    """Return the mark of what was shortened, e.g. "20 s of the plan's 4h"."""
    return f"{ran_s:.4g} s of the plan's {show_duration(round(plan_s, 3))}"


def _show(number: float) -> str:
    return f"{int(number):,}" if number == int(number) else f"{number:g}"


def counted(count: float, noun: str, nouns: str = "") -> str:
    """Return e.g. "1 row", "12,000 rows".

    Args:
        nouns: of several, where that is more than an s: counted(1, "session is", "sessions are").
    """
    return f"{count:,.0f} {noun if count == 1 else nouns or f'{noun}s'}"

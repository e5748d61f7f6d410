"""Which statuses of HTTP are meant: 201, "2xx", "200-204", or several of those."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from integrity.errors import UsageError, quote

_KIND = re.compile(r"([1-5])xx", re.IGNORECASE)
_RANGE = re.compile(r"([1-5]\d\d)(?:\s*-\s*([1-5]\d\d))?")


@dataclass(frozen=True, slots=True)
class Statuses:
    """Statuses.

    Args:
        ranges: the first and the last of each.
    """

    ranges: tuple[tuple[int, int], ...]

    def __contains__(self, status: int) -> bool:
        return any(first <= status <= last for first, last in self.ranges)

    def __str__(self) -> str:
        return ", ".join(_spell(first, last) for first, last in self.ranges)


def read_statuses(given: int | str | Sequence[int | str], *, place: str) -> Statuses:
    """Return which statuses are meant.

    Args:
        place: where that stands, e.g. "scenarios/pay.toml:7:1: expected".

    Raises:
        UsageError: it is no status.
    """
    several = [given] if isinstance(given, int | str) else given
    return Statuses(tuple(_read(each, place) for each in several))


def _read(given: int | str, place: str) -> tuple[int, int]:
    text = str(given).strip()
    if kind := _KIND.fullmatch(text):
        hundreds = int(kind[1]) * 100
        return hundreds, hundreds + 99
    if found := _RANGE.fullmatch(text):
        return int(found[1]), int(found[2] or found[1])
    raise UsageError(
        f"{place}: {quote(given)} is no status of HTTP", hint='Write 200, "2xx" or "200-204", or a list of them.'
    )


def _spell(first: int, last: int) -> str:
    if first == last:
        return str(first)
    return f"{first // 100}xx" if first % 100 == 0 and last == first + 99 else f"{first}-{last}"

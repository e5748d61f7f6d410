"""Rows as the database spells them: evidence that no value can spoil.

Python's types are narrower than a server's: there is no infinity among its dates, and no month in its intervals. So the
server writes each value out as text. Two kinds of columns stay what JSON has a word for, by their declared type: integers
(smallint, integer, bigint, oid) and booleans. Text longer than a limit is cut by the server, and says how long it was; so
rows of a gigabyte are not carried either.
"""

from collections.abc import Sequence
from typing import Any

Rows = list[dict[str, Any]]

CHARACTERS_MAX = 20_000  # of a value; some 500 operation ids
CHARACTERS_MIN = 100
CHARACTERS_OF_ALL = 50_000_000


def limit_of_a_value(row_limit: int, column_count: int) -> int:
    """Return how many characters of each value to keep, so that all of the evidence stays within memory."""
    cells = max(1, row_limit * column_count)
    return min(CHARACTERS_MAX, max(CHARACTERS_MIN, CHARACTERS_OF_ALL // cells))


def distinct(names: Sequence[str]) -> list[str]:
    """Return the names, repeated ones numbered: two tables' `id` are the columns `id` and `id_2` of a row."""
    taken = set(names)
    given: set[str] = set()
    made = []
    for name in names:
        number, new = 1, name
        while new in given or (number > 1 and new in taken):
            number += 1
            new = f"{name}_{number}"
        given.add(new)
        made.append(new)
    return made

"""Evidence: which calls the rows of a violation speak of."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID


def operation_ids_of(rows: Iterable[Mapping[str, Any]]) -> list[UUID]:
    """Return the operation ids in the rows, in order, without repeats.

    They are in columns whose names end on `operation_id` or `operation_ids`: one, or a text with blanks between, or a list.
    """
    found: dict[UUID, None] = {}
    for row in rows:
        for name, value in row.items():
            if name.endswith(("operation_id", "operation_ids")) and value is not None:
                words = value if isinstance(value, list) else str(value).replace(",", " ").split()
                found.update({operation_id: None for word in words if (operation_id := _parse(word)) is not None})
    return list(found)


def _parse(word: object) -> UUID | None:
    try:
        return UUID(str(word))
    except ValueError:  # somebody's own table may have operation ids of another kind; no call of ours has one
        return None

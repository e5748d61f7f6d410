"""Evidence: which calls the rows of a violation speak of."""

import re
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

_UUID = re.compile(r"\b[0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12}\b", re.IGNORECASE)


def operation_ids_of(rows: Iterable[Mapping[str, Any]]) -> list[UUID]:
    """Return the operation ids in the rows, in order, without repeats.

    They are in columns whose names end on `operation_id` or `operation_ids`: one, several with blanks or commas between, or
    an array as the server writes it. Somebody's own table may have ids of another kind there; no call of ours has one.
    """
    found: dict[UUID, None] = {}
    for row in rows:
        for name, value in row.items():
            if name.endswith(("operation_id", "operation_ids")) and value is not None:
                found.update({UUID(written): None for written in _UUID.findall(str(value))})
    return list(found)

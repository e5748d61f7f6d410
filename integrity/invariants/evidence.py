"""Evidence: which calls the rows of a violation speak of, and which systems' calls they can be."""

import re
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from integrity.engines.facts import TableName

HISTORY = "integrity"
"""The schema that holds the histories; what a system sees of them are its views there, e.g. ghostpass_calls."""

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


def systems_of(tables: Iterable[TableName]) -> frozenset[str]:
    """Return the systems that the tables belong to: by their schema or, of a system's view of the histories, by its name.

    An empty name is all of them: a table of the histories themselves, or one that nothing says the schema of.
    """
    return frozenset(table.name.rpartition("_")[0] if table.schema == HISTORY else table.schema for table in tables)

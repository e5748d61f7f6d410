"""What our notes in a database say that we made there, by identity; ownership.py writes them.

Reading them takes a plain query and no model of our tables, so that whoever only looks imports none.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from integrity.engines.inventory import Identity
from integrity.engines.places import TableName

FORMAT = "5"
"""Of the bookkeeping tables; a database of another format has to be seeded anew."""

FORMATS_BEFORE = ("3", "4")
"""Their notes are as now: what they say can still be removed."""

FORMAT_OF_NAMES = "2"
"""It noted names: what is proven to be of them can still be removed."""

OURS = "integrity"


KEY = "made:"


@dataclass(frozen=True, slots=True)
class Made:
    """What a note says that we made for a system, or of our own books.

    Args:
        tables: their identities, parents first.
        schemas: the oids of those schemas that were not there before; none on SQLite.
        views: name -> identity, of the views in the schema `integrity` that are for this one.
    """

    tables: Mapping[TableName, Identity] = field(default_factory=dict)
    schemas: Mapping[str, int] = field(default_factory=dict)
    views: Mapping[str, Identity] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The note."""
        tables = [[*place, identity] for place, identity in self.tables.items()]
        return json.dumps({"tables": tables, "schemas": dict(self.schemas), "views": dict(self.views)})


def made_before(rows: Iterable[Any]) -> dict[str, Made]:
    """Return system -> what we made for it, from rows of MADE_WITH_THEIR_NOTE: each had the schema of its name."""
    found: dict[str, Made] = {}
    for schema, table, oid, is_schema_made, schema_oid in rows:
        known = found.get(schema, Made(schemas={schema: schema_oid} if is_schema_made else {}))
        found[schema] = replace(known, tables={**known.tables, (schema, table): oid})
    return found


def find_all_made(notes: Mapping[str, str]) -> dict[str, Made]:
    """Return system -> what the notes say that we made for it; our own books are under the name of their schema."""
    names = sorted(key.removeprefix(KEY) for key in notes if key.startswith(KEY))
    return {name: read_made(notes[f"{KEY}{name}"], name) for name in names}


def read_made(note: str | None, name: str) -> Made:
    """Return what the note about a system says; nothing, when it says nothing that we would write.

    One that was written when each system had the schema of its name holds tables by their names alone.
    """
    try:
        read = json.loads(note or "{}")
        views, tables = dict(read.get("views", {})), read.get("tables", [])
        if isinstance(tables, dict):
            schemas = {} if read.get("schema") is None else {name: read["schema"]}
            return Made({(name, table): identity for table, identity in tables.items()}, schemas, views)
        return Made({(schema, table): identity for schema, table, identity in tables}, dict(read["schemas"]), views)
    except (ValueError, TypeError, AttributeError, KeyError):
        return Made()

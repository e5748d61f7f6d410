"""Where a table stands: the schema's name, as both engines have it.

A table that names no schema stands in `public`: PostgreSQL's default, and by that name everywhere above this folder. SQLite
has no schemas; there the default one is the main file, and each other is a file that is attached (target.py). What an
engine calls a schema is in schemas.py.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Table

DEFAULT_SCHEMA = "public"
MAIN = "main"

TableName = tuple[str, str]
"""A table's schema and its name."""


def schema_of(table: "Table") -> str:
    """Return the schema that a table stands in."""
    return str(table.schema or DEFAULT_SCHEMA)

"""Definitions: what makes the things of a database anew, in another one that is empty."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Definition:
    """What makes one thing of a database.

    Args:
        kind: "schema", "extension", "type", "sequence", "function", "table", "default", "constraint", "index", "view",
            "trigger", ...
        schema: as PostgreSQL or, of SQLite, places.schema_from calls it; empty for what stands in none.
        name: of a constraint, an index or a trigger its own; it is unique within its table only.
        statements: in the engine's SQL, every name with its schema; empty: it is not known how to make it.
        table: that it belongs to, in the same schema; empty: none. A table belongs to itself.
        rests_on: of a foreign key the constraint or index, as "schema.table.name", that makes unique what it refers to.
        is_whole: of a table: its constraints stand within its statement.
    """

    kind: str
    schema: str
    name: str
    statements: tuple[str, ...]
    table: str = ""
    rests_on: str = ""
    is_whole: bool = False

    def __str__(self) -> str:
        place = ".".join(filter(None, (self.schema, self.table if self.table != self.name else "", self.name)))
        return f"{self.kind} {place}"

    @property
    def place(self) -> str:
        """Where a constraint or an index stands: "schema.table.name"."""
        return ".".join((self.schema, self.table, self.name))

"""Which tables have no row: of a query over them that returns nothing there was nothing to judge."""

from collections.abc import Sequence

from integrity.engines.facts import TableName
from integrity.engines.places import DEFAULT_SCHEMA
from integrity.engines.snapshot import QueryFailed, Reader
from integrity.sql.name import in_quotes


class Emptiness:
    """Which tables have no row: asked where a query returned none, of each table once, within the snapshot."""

    def __init__(self) -> None:
        self._known: dict[TableName, bool] = {}

    def are_all_empty(self, session: Reader, tables: Sequence[TableName]) -> bool:
        """Whether there are tables, and none of them has a row.

        Raises:
            QueryFailed: the snapshot was lost.
        """
        return bool(tables) and all(self._is_empty(session, table) for table in tables)

    def _is_empty(self, session: Reader, table: TableName) -> bool:
        """Whether the table has no row; one that cannot be read is not known to be empty."""
        if table not in self._known:
            is_default = table.schema == DEFAULT_SCHEMA
            parts = (session.spelling.default_schema if is_default else table.schema, table.name)
            quoted = ".".join(in_quotes(part) for part in parts if part)
            try:
                self._known[table] = not session.read(f"select 1 as one from {quoted} limit 1")
            except QueryFailed as failed:
                if failed.is_snapshot_lost:
                    raise
                self._known[table] = False
        return self._known[table]

"""What a statement's text says about tables: for choosing what to try, never for what a search may skip."""

from functools import lru_cache

import sqlglot
from sqlalchemy import Table
from sqlglot import exp
from sqlglot.errors import SqlglotError

from integrity.engines.places import DEFAULT_SCHEMA, schema_of


@lru_cache(maxsize=1024)
def tables_of(sql: str) -> frozenset[str]:
    """Return the tables that it names, as "schema.table"; none if it cannot be read."""
    try:
        tree = sqlglot.parse_one(sql, read="postgres")
    except SqlglotError:
        return frozenset()
    return frozenset(f"{table.db or DEFAULT_SCHEMA}.{table.name}".lower() for table in tree.find_all(exp.Table))


@lru_cache(maxsize=1024)
def written_tables(sql: str) -> frozenset[str]:
    """Return the tables that it inserts into, updates or deletes from."""
    try:
        tree = sqlglot.parse_one(sql, read="postgres")
    except SqlglotError:
        return frozenset()
    return frozenset(
        f"{table.db or DEFAULT_SCHEMA}.{table.name}".lower()
        for write in tree.find_all(exp.Insert, exp.Update, exp.Delete)
        for table in [write.this.find(exp.Table)]
        if table is not None
    )


def name_in_text(table: Table) -> str:
    """Return a table's name as `tables_of` and `written_tables` have it."""
    return f"{schema_of(table)}.{table.name}".lower()

"""What a statement's text says about tables: for choosing what to try, never for what a search may skip."""

from collections.abc import Iterable
from functools import lru_cache

from sqlalchemy import Table
from sqlglot import exp

from integrity.engines.places import DEFAULT_SCHEMA, schema_of
from integrity.sql.query import find_tree
from integrity.sql.tokens import tokenize


@lru_cache(maxsize=1024)
def tables_of(sql: str) -> frozenset[str]:
    """Return the tables that it names, as "schema.table"; none if it cannot be read."""
    tree = find_tree(sql)
    return tables_of_tree(tree) if tree is not None else frozenset()


def tables_of_tree(tree: exp.Expr) -> frozenset[str]:
    """Return the tables that a part of a statement names."""
    return _names(tree.find_all(exp.Table))


@lru_cache(maxsize=1024)
def asks_for_order(sql: str) -> bool:
    """Return whether it says in which order rows come; else the server gives them as they lie."""
    return any(token.is_word("order") for token in tokenize(sql))


@lru_cache(maxsize=1024)
def written_tables(sql: str) -> frozenset[str]:
    """Return the tables that it inserts into, updates or deletes from."""
    tree = find_tree(sql)
    writes = tree.find_all(exp.Insert, exp.Update, exp.Delete) if tree is not None else ()
    return _names(table for write in writes if (table := write.this.find(exp.Table)) is not None)


@lru_cache(maxsize=1024)
def filled_tables(sql: str) -> frozenset[str]:
    """Return the tables that it inserts into."""
    tree = find_tree(sql)
    inserts = tree.find_all(exp.Insert) if tree is not None else ()
    return _names(table for insert in inserts if (table := insert.this.find(exp.Table)) is not None)


def _names(tables: Iterable[exp.Table]) -> frozenset[str]:
    return frozenset(f"{table.db or DEFAULT_SCHEMA}.{table.name}".lower() for table in tables)


def name_in_text(table: Table) -> str:
    """Return a table's name as `tables_of` and `written_tables` have it."""
    return f"{schema_of(table)}.{table.name}".lower()

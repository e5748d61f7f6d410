"""How SQLite says that it answers a query."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from integrity.engines.places import DEFAULT_SCHEMA
from integrity.engines.query_plan import QueryPlan
from integrity.engines.snapshot import Reader
from integrity.sql.file import SqlFile
from integrity.sql.name import in_quotes


def read_plan(
    rows: Sequence[Mapping[str, Any]],
    count_of: Callable[[str], int | None],
    *,
    name_of: Callable[[str], str],
    is_limited: bool,
) -> QueryPlan:
    """Return the plan of `explain query plan`.

    Args:
        name_of: what an index that the plan names is called by people.
        count_of: the rows of a table as the plan names it, as SQLite's plan does not say how many it reads; None: no table.
        is_limited: the query stops at a number of rows, so that a scan may, too.
    """
    details = [str(row["detail"]) for row in rows]
    indexes, scanned = set(), {}
    for detail in details:
        words = detail.split()
        if "INDEX" in words and words[words.index("INDEX") - 1] in ("USING", "COVERING"):
            indexes.add(name_of(words[words.index("INDEX") + 1]))
        elif words[0] == "SCAN" and len(words) > 1:
            name = words[2] if words[1] == "TABLE" and len(words) > 2 else words[1]  # up to SQLite 3.35
            count = count_of(name)
            if count is not None:
                scanned[name] = count
    return QueryPlan(" > ".join(details), frozenset(indexes), scanned, is_bounded=is_limited)


def find_constraint(session: Reader, index: str) -> str:
    """Return the name of the constraint that the index stands behind, or its own.

    SQLite calls an index that it made for a constraint after the table, and keeps the constraint's name in its text alone.
    """
    if not index.startswith("sqlite_autoindex_"):
        return index
    for attached in session.read("select name from pragma_database_list"):
        schema = str(attached["name"])
        tables = session.read(
            f"select tables.sql from {in_quotes(schema)}.sqlite_master as indexes "
            f"join {in_quotes(schema)}.sqlite_master as tables on tables.name = indexes.tbl_name and tables.type = 'table' "
            "where indexes.type = 'index' and indexes.name = ?1",
            [index],
        )
        if tables:
            found = session.read("select name from pragma_index_info(?1, ?2) order by seqno", [index, schema])
            columns = [str(row["name"]).lower() for row in found]
            named = _CONSTRAINT.finditer(str(tables[0]["sql"]))
            return next((_bare(each["name"]) for each in named if _columns(each["columns"]) == columns), index)
    return index


_CONSTRAINT = re.compile(
    r"constraint\s+(?P<name>\"[^\"]+\"|\w+)\s+(?:unique|primary\s+key)\s*\((?P<columns>[^)]*)\)", re.IGNORECASE
)


def _columns(text: str) -> list[str]:
    return [_bare(each.strip()).lower() for each in text.split(",")]


def _bare(name: str) -> str:
    return name.strip('"`[]')


def is_limited(query: SqlFile) -> bool:
    """Return whether the query, or one within it, stops at a number of rows."""
    from sqlglot import exp

    return query.tree is not None and any(query.tree.find_all(exp.Limit, exp.Exists))


def count_rows(session: Reader, query: SqlFile, name: str) -> int | None:
    """Return how many rows a table has that a plan names: by its alias in the query, or by its name.

    What is no table (a subquery, a common table expression) has none.
    """
    from sqlglot import exp

    tables = list(query.tree.find_all(exp.Table)) if query.tree is not None else []
    aliased = next((table for table in tables if name in (table.alias, f"{table.db}.{table.name}")), None)
    schema, table_name = (aliased.db, aliased.name) if aliased else ("", name)
    for attached in session.read("select name from pragma_database_list"):
        database = str(attached["name"])
        if schema and database != {DEFAULT_SCHEMA: "main"}.get(schema, schema):
            continue
        found = session.read(
            f"select name from {in_quotes(database)}.sqlite_master where type = 'table' and lower(name) = lower(?1)",
            [table_name],
        )
        if found:
            (row,) = session.read(f"select count(*) as count from {in_quotes(database)}.{in_quotes(table_name)}")
            return int(row["count"])
    return None

"""What plans say: of the tables that they read from end to end, and of the indexes that serve."""

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from integrity.engines.postgresql.query_plan import read_plan
from integrity.engines.sqlite.query_plan import find_constraint


def scan(table: str, rows: float, **more: Any) -> dict[str, Any]:
    return {"Node Type": "Seq Scan", "Relation Name": table, "Plan Rows": 1, "Actual Rows": rows, "Actual Loops": 1, **more}


def test_a_scan_read_what_it_kept_and_threw_away_of_all_processes_that_shared_it_and_the_largest_counts() -> None:
    plan = {
        "Node Type": "Hash Join",
        "Plans": [
            scan("votes", 900, **{"Rows Removed by Filter": 200}),
            scan("votes", 3),
            scan("entries", 600, **{"Parallel Aware": True, "Actual Loops": 3}),
            scan("asked_again", 600, **{"Actual Loops": 3}),
            scan("never_asked", 0, **{"Actual Loops": 0}),
            {"Node Type": "Index Scan", "Index Name": "votes_pkey", "Relation Name": "votes", "Actual Rows": 5000},
        ],
    }
    read = read_plan([{"QUERY PLAN": json.dumps([{"Plan": plan}])}])
    assert read.scanned == {"votes": 1100, "entries": 1800, "asked_again": 600, "never_asked": 0}
    assert read.indexes == {"votes_pkey"}
    assert not read.is_bounded


class Reading:
    """Reads a SQLite database."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def read(self, text: str, values: Sequence[Any] = ()) -> list[dict[str, Any]]:
        cursor = self._connection.execute(text, {str(n): value for n, value in enumerate(values, start=1)})
        return [dict(zip([each[0] for each in cursor.description], row, strict=True)) for row in cursor]


def test_an_index_that_sqlite_made_for_a_constraint_is_called_as_the_constraint_is() -> None:
    """A header names the constraint, as on PostgreSQL, and was told that "its index is not used"."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("attach ':memory:' as \"live show\"")
        for schema in ("main", '"live show"'):
            connection.execute(f"""
                create table {schema}.options (
                    a integer, "B" integer, c integer unique,
                    constraint options_pkey primary key (a, "B"),
                    constraint "options a key" UNIQUE ("B", a))
            """)
        reading: Any = Reading(connection)
        names = [find_constraint(reading, f"sqlite_autoindex_options_{number}") for number in (1, 2, 3, 4)]
        assert names[1:] == ["options_pkey", "options a key", "sqlite_autoindex_options_4"]
        assert names[0] == "sqlite_autoindex_options_1", "nobody named it"
        assert find_constraint(reading, "options_a_idx") == "options_a_idx"

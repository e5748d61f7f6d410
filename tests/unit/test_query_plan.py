"""What PostgreSQL's plans say of the tables that they read from end to end."""

import json
from typing import Any

from integrity.engines.postgresql.query_plan import read_plan


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

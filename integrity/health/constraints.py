"""Constraints that are declared and that rows need not keep: what an audit takes for proved is not, there.

A constraint added `not valid` holds for what comes and says nothing of what was there; one that is not enforced, or whose
triggers were switched off for a load, says nothing at all.
"""

from collections.abc import Iterator
from itertools import groupby

from integrity.health.check import HealthCheck, ok, some, warning
from integrity.health.server import Server

NAME = "valid constraints"
STATEMENTS_MOST = 3


def check_constraints(server: Server) -> Iterator[HealthCheck]:
    """Yield that there is no constraint that rows need not keep; else which are, and the statements that make them kept."""
    rows = server.ask("constraints-not-validated")
    if not rows:
        yield ok(NAME, "none that rows need not keep")
        return
    by_state = sorted(rows, key=lambda row: row["state"])
    said = [
        f"{state}: {some([row['constraint_name'] for row in group])}"
        for state, group in groupby(by_state, key=lambda row: row["state"])
    ]
    statements = [row["statement"] for row in by_state]
    rest = f"; and {len(statements) - STATEMENTS_MOST} more" if len(statements) > STATEMENTS_MOST else ""
    yield warning(NAME, "; ".join(said), f"{'; '.join(statements[:STATEMENTS_MOST])}{rest}")

"""What an audit costs grows as what it judges does: no invariant goes through a table again for every call."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from integrity.engines.embedded.server import EmbeddedServer
from integrity.project import find_project
from integrity.registry import SYSTEMS
from integrity.systems.system import System
from tests.detection.worlds import hammer, invariants_of, make_seeded

CALLS = 1000
TIMES_MOST = 8
"""Rows that a plan's steps may handle for each row of the database: each table a few times, in a few joins."""


@pytest.mark.slow
@pytest.mark.parametrize("system", SYSTEMS.values(), ids=SYSTEMS)
def test_no_invariant_handles_more_rows_than_a_multiple_of_those_there_are(
    system: System, server: EmbeddedServer, tmp_path: Path
) -> None:
    target, project = make_seeded(server, system, f"{system.name}_work"), find_project(tmp_path)
    for seed in (1, 2):
        hammer(target, project, system, seed=seed, bug=None, calls=CALLS)
    handled = {}
    with target.open_snapshot(connections=1, timeout_s=60) as snapshot:
        session = snapshot.sessions[0]
        counts = [session.read(f"select count(*) as number from {name}") for name in tables_of(system)]
        for file in invariants_of(project, system):
            values = file.values({}, now=snapshot.taken_at)
            shown = session.read(
                f"explain (analyze, timing off, format json) {file.numbered}",
                [values[name] for name in file.parameter_names],
            )
            (plan,) = shown[0].values()
            handled[file.name] = sum(map(rows_of, nodes(plan[0]["Plan"])))
    rows = sum(int(count[0]["number"]) for count in counts)
    assert {name: number for name, number in handled.items() if number > TIMES_MOST * rows} == {}, f"of {rows} rows"


def tables_of(system: System) -> list[str]:
    return [f"{table.schema}.{table.name}" for table in system.metadata.sorted_tables]


def nodes(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from nodes(child)


def rows_of(node: Mapping[str, Any]) -> float:
    """Return the rows that a step of a plan took in its hand, in all its loops."""
    kinds = ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Join Filter")
    return float(node["Actual Loops"]) * sum(float(node.get(kind, 0)) for kind in kinds)

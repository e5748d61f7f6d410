"""The scheduler agrees with a plain server on who waits, who is refused with what, and which rows come of it.

The specs beside this are in isolationtester's form; each permutation of each is played by both. A server that is driven
directly is the measure: spec_plain.py knows nothing of the scheduler.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.target import Target
from integrity.race.play.scheduler import Scheduler
from integrity.race.program.program import Standing
from integrity.systems.script.spec import Permutation, load_spec
from tests.detection.race_tables import new_database
from tests.detection.spec_plain import PlainServer, connect, laid_out, read_tables
from tests.detection.spec_race import RacedPermutation

SPECS = {path.stem: load_spec(path) for path in sorted((Path(__file__).parent / "specs").glob("*.spec"))}
CASES = [
    (name, number, permutation)
    for number in range(max(len(spec.permutations) for spec in SPECS.values()))
    for name, spec in SPECS.items()
    for permutation in spec.permutations[number : number + 1]
]


@pytest.fixture(scope="module")
def database(server: EmbeddedServer) -> Iterator[Target]:
    with new_database(server.target) as database:
        yield database


@pytest.fixture(scope="module")
def scheduler(database: Target) -> Iterator[Scheduler]:
    with Scheduler(database) as scheduler:
        yield scheduler


@pytest.fixture(scope="module")
def standings() -> dict[str, Standing]:
    """What the actors of each spec meet, once one of its permutations was played."""
    return {}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{case[1]}")
def test_a_permutation_comes_out_as_on_a_plain_server(
    database: Target, scheduler: Scheduler, standings: dict[str, Standing], case: tuple[str, int, Permutation]
) -> None:
    name, _, permutation = case
    spec = SPECS[name]
    expected = PlainServer(database).play(spec, permutation)
    with connect(database) as control:
        if name not in standings:
            standings[name] = Standing()
            with laid_out(control, spec):
                RacedPermutation(spec, permutation, standings[name]).acquaint(scheduler)
        with laid_out(control, spec):
            results = RacedPermutation(spec, permutation, standings[name]).play(scheduler)
            tables = read_tables(control)
    assert results == expected.results
    assert tables == expected.tables


def test_the_set_has_at_least_40_specs_and_400_permutations() -> None:
    assert len(SPECS) >= 40
    assert len(CASES) >= 400

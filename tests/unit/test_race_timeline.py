"""The timeline of a schedule: at which level each transaction was begun."""

import pytest

from integrity.operation import Isolation
from integrity.race.judge.timeline import timeline
from integrity.race.program.trace import StepPhase, TraceEvent

ONE, OTHER = Isolation.READ_COMMITTED, Isolation.SERIALIZABLE


@pytest.mark.parametrize(
    ("levels", "begun"),
    [
        ((ONE, ONE), ["begin; select 1", "begin; select 1"]),
        ((OTHER, OTHER), ["begin isolation level serializable; select 1"] * 2),
        ((ONE, OTHER), ["begin isolation level read committed; select 1", "begin isolation level serializable; select 1"]),
    ],
)
def test_a_begin_is_told_with_its_level_where_that_is_not_read_committed_for_all(
    levels: tuple[Isolation, Isolation], begun: list[str]
) -> None:
    events = [
        TraceEvent(actor, 0, StepPhase.DONE, "select 1", {}, level, opens=True, tag="SELECT 0")
        for actor, level in zip("AB", levels, strict=True)
    ]
    told = [line[4:].strip() for line in timeline(events, {}, width=200) if "select 1" in line]
    assert told == begun
    engine_of_one_level = [line for line in timeline(events, {}, width=200, has_levels=False) if "select 1" in line]
    assert all("begin; select 1" in line for line in engine_of_one_level)

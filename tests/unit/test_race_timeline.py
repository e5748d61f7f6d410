"""The timeline of a schedule: at which level each transaction was begun, and that it fits a screen."""

import pytest

from integrity.operation import Isolation
from integrity.race.judge.timeline import timeline
from integrity.race.program.trace import StepPhase, TraceEvent
from integrity.report.layout import fit_timeline

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


@pytest.mark.parametrize("actors", [1, 2, 3, 5, 12])
def test_a_timeline_fits_a_screen_however_many_actors_there_are_and_a_narrower_one_too(actors: int) -> None:
    said = "update accounts set balance_minor = balance_minor - 25 where accounts.id = 17 and is_open"
    events = [
        TraceEvent(chr(ord("A") + n % actors), n, StepPhase.DONE, said, {}, ONE, opens=n < actors, tag="UPDATE 1")
        for n in range(2 * actors)
    ]
    lines = timeline(events, {}, left_out=range(2, 3))
    margins = [len(line) - len(line[3:].lstrip()) for line in lines if line[:3].strip()]
    assert len(set(margins)) == actors, "each has a column of its own"
    assert max(map(len, lines)) <= 80
    for width in (60, 80, 120):
        fitted = fit_timeline(lines, width=width)
        assert [" ".join(line.split()) for line in fitted] == [" ".join(line.split()) for line in lines]
        assert max(map(len, fitted)) <= (width if actors > 1 else 80)
        starts = {line.index("b") for line in fitted if "begin" in line}
        assert len(starts) == len({line.index("b") for line in lines if "begin" in line})
    assert fit_timeline(lines, width=120) == lines

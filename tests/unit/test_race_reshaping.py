"""A call that changes the tables is blamed for what is then refused, and no statement of ours is told to be run."""

from typing import Any

import pytest

from integrity.errors import UsageError
from integrity.race.play.reshaping import Reshaping
from integrity.race.program.program import Actor, Program
from integrity.race.program.trace import StepPhase, TraceEvent
from integrity.race.program.wire import StatementRefused
from integrity.systems.stage import Stage

DELETE, DROP = "delete from public.cards", "drop table\n  cards"


def _nothing(*_: object) -> Any: ...


PROGRAM = Program((Actor("pay", _nothing), Actor("drop", _nothing)), lambda: Stage((), {}))


def refuse(events: list[TraceEvent], *, of_row: bool) -> tuple[str, str | None]:
    """Return what is told of a refusal behind a schedule, and the hint."""
    reshaping = Reshaping()
    reshaping.note(PROGRAM, "AB", events)
    refused = StatementRefused("there is no table cards", sql=DELETE)
    told: StatementRefused | UsageError = refused
    if of_row:
        told = UsageError("pay.sql:1: row 'card' was refused: there is no table cards")
        told.__context__ = refused
    with pytest.raises((UsageError, StatementRefused)) as raised, reshaping.telling():
        raise told
    return raised.value.message, raised.value.hint


@pytest.mark.parametrize("of_row", [False, True])
def test_what_is_refused_behind_a_call_that_changed_the_tables_is_its_doing(of_row: bool) -> None:
    pay = TraceEvent("A", 0, StepPhase.DONE, "update cards set left = 0", {}, tag="UPDATE 1")
    drop = TraceEvent("B", 0, StepPhase.DONE, DROP, {}, tag="DROP TABLE", place="operations/drop.sql:4")

    message, hint = refuse([pay, drop], of_row=of_row)

    said = "operations/drop.sql:4: drop changes the tables themselves by 'drop table cards', and behind it: "
    assert message == f"{said}there is no table cards"
    assert hint is not None
    assert "leave that statement out of the operation" in hint
    message, hint = refuse([pay], of_row=of_row)
    assert ("changes the tables" in message, hint) == (False, None), "a statement of ours is nothing to be run"

"""A terminal or gateway that there is not is declined, by a system and by each of its bugs: a bug forgets one thing."""

from uuid import UUID

import pytest

from integrity.operation import Declined, Operation, Statement
from integrity.registry import SYSTEMS
from integrity.systems.system import Bug

SYSTEM = SYSTEMS["ghostpass"]
PLACES = {"terminal_id": "unknown_terminal", "gateway_id": "unknown_gateway"}
ROW = {"id": 1, "balance_minor": 5, "is_inside": False, "entry_count": 0}


def ends(operation: Operation) -> object:
    """Return what an operation comes to where every row is found but a terminal or a gateway."""
    steps = operation.start(operation_id=UUID(int=1), **dict.fromkeys(operation.arguments, 1))
    answer: object = None
    try:
        while True:
            step = steps.send(answer)
            is_place = isinstance(step, Statement) and (
                "from ghostpass.terminals" in step.sql or "from ghostpass.gateways" in step.sql
            )
            answer = () if is_place else (ROW,)
    except StopIteration as stop:
        return stop.value


@pytest.mark.parametrize("bug", [None, *SYSTEM.bugs.values()], ids=lambda bug: bug.name if bug else "sound")
def test_a_place_that_there_is_not_is_declined(bug: Bug | None) -> None:
    replaced = SYSTEM.operations_with(bug)
    for name in ("sell", "scan_in"):
        operation = replaced[name]
        reason = next(PLACES[each] for each in operation.arguments if each in PLACES)
        assert ends(operation) == Declined(reason), name

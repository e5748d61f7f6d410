"""What cannot be raced is told before it is searched: each call is made alone, and what comes of it says why."""

from typing import Any

import pytest

from integrity.errors import UsageError
from integrity.jobs.warming import warm_up
from integrity.operation import Declined, Ok
from integrity.race.play.scheduler import PlayedSchedule
from integrity.race.program.program import Actor, Program
from integrity.race.program.trace import Failed, Return, StepPhase, Trace, TraceEvent
from integrity.systems.stage import Stage

SEEN = TraceEvent("A", 0, StepPhase.DONE, "select 1", {})


def not_ours(*_: object) -> Any:
    raise AssertionError("an actor that is not ours to step")


BUY, PAY = Actor("POST /buy", not_ours), Actor("POST /pay", not_ours)


class Scheduler:
    """Plays what a call comes to alone: its return, whether a statement is seen, why it is cut."""

    def __init__(self, **alone: tuple[Return, bool, str]) -> None:
        self.alone = {f"POST /{name}": came for name, came in alone.items()}

    def play(self, program: Program) -> PlayedSchedule:
        returned, is_seen, cut = self.alone[program.actors[0].operation]
        return PlayedSchedule(Trace("A", (SEEN,) * is_seen, {"A": returned}), (), {}, (), cut)


def warmed(scheduler: Scheduler, *actors: Actor) -> list[str]:
    program = Program(actors, lambda: Stage((), {}), is_captured=True)
    return [each.text for each in warm_up(scheduler, program, pointing="Start it at 127.0.0.1:6543")]  # type: ignore[arg-type]  # stands for one


FINE: tuple[Return, bool, str] = (Ok({"status": 200}), True, "")


@pytest.mark.parametrize(
    ("came", "told"),
    [
        ((Failed(None, "no answer: no connection: Connection refused"), False, ""), "/buy: no answer: no connection"),
        ((Declined("404 Not Found"), False, ""), "answered with 404, without a statement"),
        ((Declined("501 Unsupported method"), False, ""), "answered with 501, without a statement"),
        (
            (Ok({"status": 200}), False, ""),
            r"POST /buy was made, and answered with 200; no statement of the application was seen: its connections",
        ),
        ((Ok({"status": 308, "location": "/buy/"}), False, ""), "answered with 308; .*: it is sent on to /buy/"),
        ((Declined("403 CSRF"), False, ""), "answered with 403 CSRF; .*: it is not let in"),
        ((Declined("422 field required"), False, ""), "answered with 422 field required; .*: it is not understood"),
        ((Declined("429 slow down"), False, ""), "answered with 429 slow down; .*: it is asked too often"),
        ((Failed(None, "500 oops"), False, ""), "answered with 500 oops; .*: it failed before, or its connections"),
        (
            (Ok({"status": 200}), True, "more than 400 letters"),
            "not come to its end, though it is made alone: more than 400",
        ),
    ],
)
def test_what_cannot_be_raced_at_all_is_refused(came: tuple[Return, bool, str], told: str) -> None:
    with pytest.raises(UsageError, match=told) as refused:
        warmed(Scheduler(buy=came), BUY, BUY)
    assert refused.value.hint


def test_a_call_that_meets_nobody_is_refused_and_one_that_meets_others_is_told() -> None:
    scheduler = Scheduler(buy=FINE, pay=(Ok({"status": 200}), False, ""))
    with pytest.raises(UsageError, match="only one call makes a statement, POST /buy"):
        warmed(scheduler, BUY, PAY)
    assert warmed(scheduler, BUY, BUY, PAY) == ["POST /pay makes no statement: it meets nobody"]


@pytest.mark.parametrize(
    ("returned", "told"),
    [
        (Ok({"status": 201}), []),
        (Declined("401 Unauthorized"), ["POST /buy is answered with 401 Unauthorized, also alone: is there a [login]?"]),
        (Declined("409 sold out"), ["POST /buy is answered with 409 sold out, also alone: is that what is to be raced?"]),
        (Failed(None, "500 oops"), ["POST /buy is answered with 500 oops, also alone: is that what is to be raced?"]),
        (
            Ok({"status": 302, "location": "/login?next=/buy"}),
            ["POST /buy is sent on to /login?next=/buy, also alone: is there a [login]?"],
        ),
    ],
)
def test_an_answer_that_is_no_success_alone_is_told(returned: Return, told: list[str]) -> None:
    assert warmed(Scheduler(buy=(returned, True, "")), BUY, BUY) == told

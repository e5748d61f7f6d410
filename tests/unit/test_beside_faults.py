"""While something is broken on purpose, calls end and say how, and what does not need the broken part keeps its limits."""

from collections.abc import Mapping
from typing import Any

import pytest

from integrity.faults.catalogue import FAULTS
from integrity.faults.player import PlayedFault
from integrity.faults.reach import Reliance, needs_broken
from integrity.faults.schedule import Window, read_window
from integrity.history import Outcome, Returned
from integrity.load.beside_faults import judge_endings, judge_spared
from integrity.load.fault_windows import JudgedPart
from integrity.load.judging import judge
from integrity.load.result import _recoveries
from integrity.load.thresholds import Grade, Threshold
from integrity.measure.calls import Measures
from integrity.measure.trends import Recovery
from integrity.runs.effects import EffectPhase, EffectPhases, FaultEffect
from integrity.runs.result import LeftOut

OK = Returned(Outcome.OK, {}, "", 1)
UNAVAILABLE = Returned(Outcome.UNAVAILABLE, {"reason": "mint_did_not_answer"}, "", 1)
RELIANCES = {"pay": Reliance(services=("mint",)), "read": Reliance()}


def limit(operation: str | None, statistic: str, most: float) -> Threshold:
    return Threshold.model_validate({"operation": operation, "statistic": statistic, "most": most, "source": "a plan"})


LIMITS = [limit("pay", "p50", 50), limit("read", "p50", 50), limit(None, "p50", 5), limit(None, "failure_share", 0.1)]


def window(text: str) -> Window:
    return read_window(f"{text}@10%-20%", duration_s=10)


def measures(**calls: list[tuple[Returned, float]]) -> Measures:
    made = Measures()
    for operation, returns in calls.items():
        for returned, latency_ms in returns:
            made.of(operation).add(returned, latency_ms)
    return made


def beside(*parts: tuple[str, Measures], thresholds: list[Threshold] = LIMITS) -> list[tuple[str | None, str, Grade]]:
    """Return how the limits stand of runs in which those faults were in force, one after the other."""
    played = [PlayedFault(window(fault), at * 100, at * 100 + 50, at * 100 + 50, {}) for at, (fault, _) in enumerate(parts)]
    left_out = tuple(LeftOut(from_us=each.from_us, to_us=each.to_us + 10) for each in played)
    part = JudgedPart(Measures(), 5.0, left_out, tuple(of for _, of in parts))
    found = judge_spared(thresholds, part, played, RELIANCES, None)
    return [(each.threshold.operation, each.threshold.statistic, each.state) for each in found.judgements]


BROKEN = [(UNAVAILABLE, 0.0)] * 20
QUICK, SLOW = [(OK, 10.0)] * 20, [(OK, 90.0)] * 20


def test_what_needs_the_broken_part_is_left_out_and_what_does_not_keeps_its_limits() -> None:
    passed = [("read", "p50", Grade.PASSED), (None, "failure_share", Grade.PASSED)]
    assert beside(("service_timeout:service=mint", measures(pay=BROKEN, read=QUICK))) == passed
    slow = beside(("service_timeout:service=mint", measures(pay=BROKEN, read=SLOW)))
    assert slow[0] == ("read", "p50", Grade.FAILED)
    fails = beside(("service_error:service=mint", measures(pay=BROKEN, read=[*QUICK, *BROKEN])))
    assert fails[1] == (None, "failure_share", Grade.FAILED)


def test_it_is_asked_of_all_windows_that_leave_an_operation_alone_together() -> None:
    half = measures(pay=QUICK[:6], read=QUICK[:6])
    assert beside(("service_timeout", half)) == []
    found = beside(("service_timeout", half), ("client_crash", half), ("db_latency", measures(read=SLOW * 9)))
    assert ("read", "p50", Grade.PASSED) in found
    assert not [each for each in found if each[0] == "pay"], "six calls beside client_crash are too few for a median"


def test_limits_that_too_few_calls_came_for_are_told() -> None:
    part = JudgedPart(Measures(), 5.0, (LeftOut(from_us=0, to_us=60),), (measures(read=QUICK[:4]),))
    played = [PlayedFault(window("service_latency"), 0, 50, 50, {})]
    found = judge_spared(LIMITS, part, played, RELIANCES, None)
    assert found.judgements == ()
    assert found.too_few == (
        "read p50 (4 of 10 calls that it needs)",
        "all failure share (4 of 10 calls that it needs)",
    )


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_every_fault_says_what_it_leaves_alone(fault: Any) -> None:
    reliance = Reliance(("mint",), ("terminal_id",), keeps_stream=True)
    is_on_database = fault.name not in {
        *(name for name in FAULTS if name.startswith(("service_", "webhook_"))),
        "stream_disconnect",
        "client_crash",
        "device_offline",
    }
    assert needs_broken(window(fault.name), Reliance()) == (is_on_database or fault.name == "device_offline")
    assert needs_broken(window(fault.name), reliance) == (fault.name != "client_crash")


def test_a_service_and_a_device_are_needed_by_those_who_name_them() -> None:
    mint, door = Reliance(services=("mint",)), Reliance(arguments=("door_id",))
    assert not needs_broken(window("webhook_drop:service=relay"), mint)
    assert needs_broken(window("webhook_drop:service=mint"), mint)
    assert not needs_broken(window("device_offline:argument=terminal_id"), door)
    assert needs_broken(window("device_offline:argument=door_id"), door)


def effect(unended: Mapping[str, int] = {}, unexplained: Mapping[str, int] = {}, **more: Any) -> FaultEffect:
    phase = EffectPhase.model_construct(calls=100)
    phases = EffectPhases.model_construct(before=phase, during=phase, after=phase)
    return FaultEffect.model_construct(
        fault="half_open", phases=phases, unended=unended, unexplained=unexplained, cut_off=more.get("cut_off", 0)
    )


def test_a_call_that_hangs_or_ends_without_a_word_fails_the_run() -> None:
    def endings(*effects: FaultEffect) -> tuple[str, float | None, str]:
        judged = judge_endings(effects)
        assert judged is not None
        return judged.state, judged.measured, judged.reason

    assert endings(effect()) == ("passed", 1.0, "")
    assert endings(effect(unended={"sell": 2})) == (
        "failed",
        0.98,
        "half_open: 2 calls of sell had not ended 10 s after it was healed",
    )
    assert endings(effect(), effect(unexplained={"sell": 1}))[:2] == ("failed", 0.995)
    state, measured, reason = endings(effect(cut_off=1))
    assert (state, measured) == ("not measured", None)
    assert "1 call was cut off at the end of the run" in reason
    assert judge_endings([]) is None


@pytest.mark.parametrize(
    ("recoveries", "state", "measured", "why"),
    [
        ([], Grade.NOT_MEASURED, None, "neither a spike nor a fault that met anything"),
        ([Recovery(2.0, looked_s=30), Recovery(10.0, looked_s=30)], Grade.PASSED, 10.0, ""),
        ([Recovery(2.0, looked_s=30), Recovery(10.25, looked_s=30)], Grade.FAILED, 10.25, "after 1"),
        ([Recovery(None, looked_s=30)], Grade.FAILED, 30.0, "not as before in the time"),
        ([Recovery(None, looked_s=8)], Grade.NOT_MEASURED, None, "not as before in the 8.0 s behind it"),
        ([Recovery(None, "nothing before it", looked_s=30)], Grade.NOT_MEASURED, None, "nothing before it"),
        ([Recovery(None, "nothing before it"), Recovery(20.0, looked_s=30)], Grade.FAILED, 20.0, "after 1"),
    ],
)
def test_a_limit_on_recovery_passes_fails_and_is_not_measured(
    recoveries: list[Recovery], state: Grade, measured: float | None, why: str
) -> None:
    named = [(str(number), each) for number, each in enumerate(recoveries)]
    (found,) = judge([limit(None, "recovery_s", 10)], Measures(), None, seconds=9, recoveries=named)
    assert (found.state, found.measured) == (state, measured)
    assert why in found.reason


def test_a_fault_that_met_nothing_is_nothing_to_recover_from() -> None:
    met, unmet = (
        effect().model_copy(update={"did": did, "from_s": 1.0, "recovery_s": 2.0 if did else None, "looked_s": 9.0})
        for did in ({"connections half open": 3}, {})
    )
    assert _recoveries({}, [met, unmet]) == [("half_open at 1 s", Recovery(2.0, looked_s=9.0))]

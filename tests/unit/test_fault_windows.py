"""A run does not fail for what a fault did while it lasted; it fails for what stayed broken."""

from collections.abc import Sequence

from integrity.faults.catalogue import FAULTS
from integrity.faults.player import PlayedFault
from integrity.faults.schedule import Window
from integrity.history import Outcome, Returned
from integrity.load.fault_windows import SETTLING_US, FaultWindows
from integrity.load.judging import judge
from integrity.load.thresholds import Grade, Threshold
from integrity.measure.calls import Measures
from integrity.runs.result import LeftOut

OK = Returned(Outcome.OK, {}, "", 1)
FAILED = Returned(Outcome.FAILED, None, "57P01 terminating connection", 1)
SHARE = Threshold.model_validate({"statistic": "failure_share", "most": 0.01, "source": "a plan"})
P95 = Threshold.model_validate({"statistic": "p95", "most": 50, "source": "a plan"})
S = 1_000_000


def add(measures: Measures, *returns: Returned, latency_ms: float = 10.0) -> None:
    for returned in returns:
        measures.of("sell").add(returned, latency_ms)


def played(*spans_s: tuple[float, float], healed_s: float | None = None) -> list[PlayedFault]:
    window = Window("db_latency", FAULTS["db_latency"], {}, 0, 1)
    return [
        PlayedFault(window, round(from_s * S), round(to_s * S), round((healed_s or to_s) * S), {})
        for from_s, to_s in spans_s
    ]


def grades(windows: FaultWindows, elapsed_s: float, faults: Sequence[PlayedFault] = ()) -> list[Grade]:
    part = windows.judged(elapsed_s, faults)
    return [each.state for each in judge([SHARE, P95], part.measures, None, seconds=part.seconds)]


def test_what_a_fault_did_is_judged_apart_and_what_stayed_broken_fails() -> None:
    measures = Measures()
    windows = FaultWindows(measures)
    add(measures, *[OK] * 60)
    windows.begin(2 * S)
    add(measures, *[FAILED] * 20)
    add(measures, *[OK] * 20, latency_ms=900.0)
    windows.end(4 * S)
    windows.settle(4 * S + SETTLING_US - 1)
    add(measures, *[FAILED] * 5)  # its last ones, which come in a little later
    windows.settle(4 * S + SETTLING_US)
    add(measures, *[OK] * 60)

    assert grades(windows, 10.0) == [Grade.PASSED, Grade.PASSED]
    part = windows.judged(10.0, played((2, 4)))
    assert (part.left_out, part.seconds) == ((LeftOut(from_us=2 * S, to_us=5 * S),), 7.0)
    assert part.measures.of("sell").errors == {}
    add(measures, *[FAILED] * 5)
    assert grades(windows, 10.0)[0] is Grade.FAILED


def test_a_window_over_most_of_a_run_is_the_run() -> None:
    measures = Measures()
    windows = FaultWindows(measures)
    windows.begin(0)
    add(measures, *[FAILED] * 20)
    windows.close(6 * S)

    for faults in (played((0, 6)), played((0, 3), (2, 4)), played((0, 2), (4, 5.5))):
        assert grades(windows, 6.0, faults)[0] is Grade.FAILED
        assert windows.judged(6.0, faults).left_out == ()
    assert windows.judged(6.0, played((0, 3), (1, 3))).left_out, "those that overlap are in force once"


def test_a_server_that_takes_long_to_come_back_is_not_what_was_run() -> None:
    """A fifth of a run was to be without its server, which took as long again to start: the run failed for its death."""
    measures = Measures()
    windows = FaultWindows(measures)
    add(measures, *[OK] * 100)
    windows.begin(3 * S)
    add(measures, *[FAILED] * 8)
    windows.end(9 * S)
    windows.close(10 * S)
    assert grades(windows, 10.0, played((3, 5), healed_s=9))[0] is Grade.PASSED
    assert windows.judged(10.0, played((3, 5), healed_s=9)).left_out == (LeftOut(from_us=3 * S, to_us=10 * S),)


def test_a_short_run_of_many_faults_is_not_judged_by_what_settles_behind_them() -> None:
    """A minute of chaos is faults in force for 44% of it, and failed for what they did: 63% with a second behind each."""
    measures = Measures()
    windows = FaultWindows(measures)
    for number in range(11):
        windows.begin(number * 5 * S)
        add(measures, FAILED)
        windows.end(number * 5 * S + 2_200_000)
        windows.settle(number * 5 * S + 3_400_000)
        add(measures, *[OK] * 10)
    faults = played(*((number * 5, number * 5 + 2.2) for number in range(11)))
    assert grades(windows, 60.0, faults)[0] is Grade.PASSED
    assert len(windows.judged(60.0, faults).apart) == 11


def test_what_was_under_way_when_a_fault_was_healed_is_what_it_did_however_late_it_returns() -> None:
    measures = Measures()
    windows = FaultWindows(measures)
    windows.begin(1 * S)
    windows.end(2 * S)
    windows.settle(3 * S, under_way_since_us=1_900_000)
    add(measures, *[FAILED] * 20)
    windows.settle(5 * S, under_way_since_us=2_100_000)
    add(measures, *[OK] * 100)
    assert grades(windows, 100.0)[0] is Grade.PASSED
    windows.begin(20 * S)
    windows.end(21 * S)
    windows.settle(31 * S, under_way_since_us=1)  # it hangs, and nobody waits for ever
    assert windows.judged(100.0, []).left_out[-1].to_us == 31 * S


def test_a_fault_that_begins_while_the_one_before_settles_goes_on_with_its_window() -> None:
    measures = Measures()
    windows = FaultWindows(measures)
    for from_s in (1, 2):
        windows.begin(from_s * S)
        add(measures, FAILED)
        windows.end(from_s * S + S // 2)
    windows.settle(10 * S)
    add(measures, *[OK] * 100)

    assert windows.judged(100.0, []).left_out == (LeftOut(from_us=1 * S, to_us=10 * S),)
    assert grades(windows, 100.0)[0] is Grade.PASSED

"""A run that several processes share is the run of one: shares add up, figures are of all calls, nobody waits in vain."""

import asyncio
import pickle
import socket
from collections.abc import Callable, Coroutine, Sequence
from itertools import count, islice
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrity.chain import Chain
from integrity.errors import HistoryError, UsageError
from integrity.history import Call, Outcome, Requested, Returned, encode_invoked, encode_requested, encode_returned
from integrity.load.arrivals import schedule
from integrity.load.fault_windows import Cut, merge_cuts
from integrity.load.generator import UsedByProcess
from integrity.load.phases import Phase, PlayedSchedule
from integrity.load.profile import Burst, OpenProfile, Stream, load_profile
from integrity.load.shape import Pace
from integrity.load.shards.door import Door, DoorClosed
from integrity.load.shards.gathering import Gathering
from integrity.load.shards.sharing import check_sharing
from integrity.load.share import Share
from integrity.load.work_done import WorkPart, merge_parts
from integrity.measure.calls import ERRORS_MOST, Measures, summarize
from integrity.measure.dependencies import Dependencies
from integrity.measure.distribution import Distribution
from integrity.measure.live import LiveMeasures, take_news
from integrity.measure.marks import merge_measures
from integrity.reference.ghostpass.system import GHOSTPASS
from integrity.reference.streamvote.system import STREAMVOTE
from integrity.runs.call_logs import CallLogs
from integrity.runs.draining import Drain
from integrity.runs.folder import Recorder, RunFolder
from integrity.runs.histories import open_calls, open_requests
from integrity.runs.result import LeftOut, Owed
from integrity.systems.system import System
from tests.documents import make_settings

SHARES = [Share(number, 3) for number in range(3)]


@given(st.integers(0, 500), st.integers(1, 64))
def test_shares_add_up_and_differ_by_one_at_most(total: int, processes: int) -> None:
    shares = [Share(number, processes) for number in range(processes)]
    assert sorted(number for share in shares for number in share.numbers(total)) == list(range(total))
    assert all(share.has(number) for share in shares for number in share.numbers(total))
    counts = [share.of(total) for share in shares]
    assert (sum(counts), max(counts) - min(counts) <= 1) == (total, True)


def test_the_arrivals_of_all_processes_are_those_of_one() -> None:
    streams = (
        Stream(name="door", operations=("a", "b"), per_minute=600),
        Stream(name="bar", operations=("c",), per_minute=90),
    )
    bursts = (Burst(name="at once", operation="c", count=7, every_s=2.0),)
    profile = OpenProfile(title="", model="open", duration_s=60, clients=9, connections=3, streams=streams, bursts=bursts)
    shared = [list(islice(schedule(profile, 1, share), 100)) for share in SHARES]
    assert [arrival for turn in zip(*shared, strict=True) for arrival in turn] == list(islice(schedule(profile, 1), 300))


RETURNS = st.tuples(
    st.sampled_from(["sell", "scan_in"]),
    st.sampled_from(list(Outcome)),
    st.floats(0.01, 60_000),
    st.integers(0, 2),
    st.integers(1, 3),
)


@given(st.lists(RETURNS, max_size=60))
def test_figures_of_all_processes_are_those_of_all_their_calls_together(
    returns: Sequence[tuple[str, Outcome, float, int, int]],
) -> None:
    whole, shares, live = (
        Measures({"sell": "bar"}),
        [Measures({"sell": "bar"}) for _ in SHARES],
        LiveMeasures({"sell": "bar"}),
    )
    asked, asked_by = Dependencies(), [Dependencies() for _ in SHARES]
    for operation, outcome, latency_ms, process, attempts in returns:
        returned = Returned(outcome, {"reason": "no"}, "", attempts, writes_ms=(latency_ms,))
        for measures, dependencies in ((whole, asked), (shares[process], asked_by[process])):
            measures.add(operation, returned, latency_ms)
            dependencies.of("mint", operation).add({"status": outcome.value}, latency_ms)
    for process, measures in enumerate(shares):
        live.take(process, take_news(measures))

    crossed = pickle.loads(pickle.dumps((shares, asked_by)))  # noqa: S301  our own
    merged, merged_asked = merge_measures(crossed[0]), Dependencies.merged(crossed[1])

    by_name = {row.operation: row for row in summarize(whole, 2.0)}
    for row in summarize(merged, 2.0):
        assert row.mean_ms == pytest.approx(by_name[row.operation].mean_ms, abs=0.002)
        assert row.model_copy(update={"mean_ms": None}) == by_name[row.operation].model_copy(update={"mean_ms": None})
    for name, measure in whole.operations.items():
        assert (merged.operations[name].errors, merged.operations[name].reasons) == (measure.errors, measure.reasons)
        assert merged.operations[name].writes_ms.percentile(90) == measure.writes_ms.percentile(90)
    assert {row.asked: row.answers for row in merged_asked.summarize()} == {r.asked: r.answers for r in asked.summarize()}
    assert live.measures.counts() == whole.counts()
    assert live.measures.sample(1.0, at_us=0, rss_mb=0).p95_ms == whole.sample(1.0, at_us=0, rss_mb=0).p95_ms


def test_no_more_kinds_of_error_are_listed_than_of_one_process_and_none_is_lost() -> None:
    shares = []
    for process in range(2):
        measures = Measures()
        for kind in range(ERRORS_MOST):
            for _ in range(kind + 1):
                measures.add("sell", Returned(Outcome.FAILED, None, f"{process} {kind}", 1), 0)
        shares.append(measures)
    errors = merge_measures(shares).operations["sell"].errors
    assert (len(errors), errors.total()) == (ERRORS_MOST + 1, 2 * sum(range(ERRORS_MOST + 1)))


def part(ok: int, *, settled_at_us: int | None = None, cut: Sequence[Cut] = (), phases: Sequence[Phase] = ()) -> WorkPart:
    measures, pace = Measures(), Pace()
    for _ in range(ok):
        measures.add("sell", Returned(Outcome.OK, None, "", 1), float(ok))
    lags_ms = Distribution()
    lags_ms.append(float(ok))
    return WorkPart(
        was_stopped=False,
        elapsed_s=float(ok),
        owed=Owed(webhooks=ok, open={"settle": ok}, of_services={"mint": ok}),
        settled_at_us=settled_at_us,
        drain=Drain(seconds=float(ok), calls={"sell": ok}, awaited={"mint": ok}),
        measures=measures,
        dependencies=Dependencies(),
        cut=cut,
        reconnects=ok,
        loop_lags_ms=[float(ok)],
        schedule=PlayedSchedule(ok, ok, lags_ms, phases, pace, None),
        used=UsedByProcess(ok, ok),
        settled_us=[(ok, ok)],
        relied_on={"sell": {f"service {ok}"}},
    )


def test_what_processes_came_to_adds_up_and_the_longest_counts_where_they_waited_for_each_other() -> None:
    whole = merge_parts([part(2), part(3, settled_at_us=9)], ())
    assert (whole.elapsed_s, whole.reconnects, whole.settled_at_us, whole.loop_lags_ms) == (3.0, 5, 9, [2.0, 3.0])
    assert whole.owed == Owed(webhooks=5, open={"settle": 5}, of_services={"mint": 5})
    assert whole.drain == Drain(seconds=3.0, calls={"sell": 5}, awaited={"mint": 5})
    assert whole.used == UsedByProcess(5, 5)
    assert (whole.measures.operations["sell"].ok, whole.settled_us) == (5, [(2, 2), (3, 3)])
    assert whole.relied_on == {"sell": {"service 2", "service 3"}}
    assert whole.schedule is not None
    assert (whole.schedule.offered, len(whole.schedule.lags_ms)) == (5, 2)


def test_a_phase_is_of_all_processes_and_one_that_not_all_came_to_the_end_of_is_none() -> None:
    first, second = (
        [Phase("steady", "", 1.0, 0.0, 0.0, to_s=5.0, offered=n, measures=part(n).measures) for _ in range(phases)]
        for n, phases in ((2, 2), (3, 1))
    )
    schedule = merge_parts([part(1, phases=first), part(1, phases=second)], ()).schedule
    assert schedule is not None
    (phase,) = schedule.phases
    assert (phase.offered, phase.answered) == (5, 5)


def test_windows_of_faults_that_processes_cut_out_a_little_apart_are_one() -> None:
    def cut(from_us: int, to_us: int) -> Cut:
        return LeftOut(from_us=from_us, to_us=to_us), part(2).measures

    merged = merge_cuts([cut(0, 10), cut(30, 40), cut(1, 12), cut(29, 38)])
    assert [(window.from_us, window.to_us, measures.operations["sell"].ok) for window, measures in merged] == [
        (0, 12, 4),
        (29, 40, 4),
    ]


def call(number: int, *, returned: bool = True) -> tuple[bytes, ...]:
    identity = UUID(int=number)
    made = Call(identity, "sell", {}, number, number, number, number + 5, Outcome.OK, {})
    return (encode_invoked(made), encode_returned(made)) if returned else (encode_invoked(made),)


@pytest.fixture
def shared(tmp_path: Path) -> RunFolder:
    """Return the folder of a run whose calls two processes made, the second of which was killed."""
    recorder = Recorder(RunFolder(tmp_path), make_settings(processes=2))
    logs = [CallLogs(tmp_path, process) for process in (1, 2)]
    for number, process in zip(range(1, 7), (1, 2, 2, 1, 2, 1), strict=True):
        for line in call(number):
            logs[process - 1].append(line)
        request = Requested(UUID(int=number), "mint", {}, {}, number, number)
        logs[process - 1].append_request(encode_requested(request))
    logs[1].append(*call(7, returned=False))
    assert RunFolder(tmp_path).is_alive()
    for each in (recorder, logs[0]):
        each.end()
    recorder.close()
    assert RunFolder(tmp_path).is_alive()  # as long as any process writes to it
    for log in logs:
        log.close()
    return RunFolder(tmp_path)


def test_what_two_processes_wrote_is_one_history_in_the_order_of_its_returns(shared: RunFolder) -> None:
    assert not shared.is_alive()
    with open_calls(shared) as history:
        calls = list(history)
        assert (history.is_whole, history.tell()) == (False, history.size)
    assert [each.operation_id.int for each in calls] == [1, 2, 3, 4, 5, 6, 7]
    assert [each.outcome for each in calls] == [Outcome.OK] * 6 + [Outcome.UNKNOWN]
    with open_requests(shared) as requests:
        numbered = [number for number, _ in requests]
    assert len(set(numbered)) == 6
    assert not shared.is_whole


def test_a_history_of_one_of_the_processes_that_is_not_there_is_missed(shared: RunFolder) -> None:
    (shared.path / "history-2.jsonl").unlink()
    with open_calls(shared) as history:
        assert ([each.operation_id.int for each in history], history.is_whole) == ([1, 4, 6], False)
    (shared.path / "history-1.jsonl").write_bytes(Chain().seal(b'{"event":"x"}\n'))
    with open_calls(shared) as history, pytest.raises(HistoryError, match=r"history-1\.jsonl:1: "):
        list(history)


THIN = [{"name": "viewers", "operation": "open_stream", "count": 9, "connections": 2}]


@pytest.mark.parametrize(
    ("system", "profile", "given", "processes", "said"),
    [
        (GHOSTPASS, "hammer", {"clients": 3}, 4, "the profile has 3 clients, and each process needs its own"),
        (GHOSTPASS, "pilot", {"connections": 1}, 2, "the profile has 1 connection, and"),
        (STREAMVOTE, "fan-out", {"subscribers": THIN}, 3, "the profile has 2 connections of the subscribers viewers, and"),
    ],
)
def test_more_processes_than_there_is_to_share_are_refused(
    system: System, profile: str, given: dict[str, Any], processes: int, said: str
) -> None:
    chosen = load_profile(system, profile, {}, given)
    check_sharing(system, chosen, 1)
    with pytest.raises(UsageError, match=f"--processes {processes}: {said}") as refused:
        check_sharing(system, chosen, processes)
    assert "at most" in (refused.value.hint or "")


def test_a_system_that_only_this_process_has_is_refused() -> None:
    own = System(name="own", title="made here", operations=dict(GHOSTPASS.operations))
    with pytest.raises(UsageError, match="passed as an object"):
        check_sharing(own, load_profile(GHOSTPASS, "hammer", {}), 2)


def test_those_that_are_gone_are_waited_for_no_more() -> None:
    async def gather() -> tuple[dict[int, Any], Any, dict[int, Any]]:
        gathering = Gathering(range(3))
        first = gathering.reach(0, "drawn", "a")
        waiting = asyncio.ensure_future(gathering.all_at("drawn"))
        gathering.reach(1, "drawn", "b")
        await asyncio.sleep(0)
        assert not waiting.done()
        gathering.lose(2)
        said = await waiting
        gathering.let_go("drawn", lambda number: number == 0)
        gathering.lose(0)
        gathering.lose(1)
        return said, await first, await gathering.all_at("ended")

    assert asyncio.run(gather()) == ({0: "a", 1: "b"}, True, {})


class Unpicklable(Exception):
    """An exception of a user's, which cannot be made again of what it says."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(first + second)


def at_both_sides(act: Callable[[Door, list[str]], Coroutine[Any, Any, None]]) -> list[str]:
    """Return what was noted at the other side of a door while something was done at this one."""

    async def run() -> list[str]:
        noted: list[str] = []
        numbers = count(1)

        async def later(what: str) -> str:
            await asyncio.sleep(0)
            return f"{what} {next(numbers)}"

        def breaks(what: str) -> None:
            raise Unpicklable(what, "!")

        handlers: dict[str, Callable[..., Any]] = {"note": noted.append, "later": later, "breaks": breaks}
        ours, theirs = socket.socketpair()
        loop = asyncio.get_running_loop()

        def door(handled: dict[str, Callable[..., Any]]) -> Door:
            return Door(handled, closed=lambda: noted.append("closed"), failed=lambda error: noted.append(str(error)))

        here, there = door({}), door(handlers)
        await loop.create_unix_connection(lambda: here, sock=ours)
        await loop.create_unix_connection(lambda: there, sock=theirs)
        await act(here, noted)
        return noted

    return asyncio.run(run())


def test_a_door_answers_raises_where_it_was_asked_and_says_when_nobody_is_there() -> None:
    async def act(door: Door, noted: list[str]) -> None:
        door.tell("note", "x" * 300_000)
        first, second = door.ask("later", "a"), door.ask("later", "b")
        assert (await first, await second) == ("a 1", "b 2")
        with pytest.raises(RuntimeError, match="Unpicklable: no!"):
            await door.ask("breaks", "no")
        door.tell("breaks", "nobody asked")
        await door.ask("later", "c")
        door.close()
        with pytest.raises(DoorClosed):
            await door.ask("later", "d")
        noted[0] = str(len(noted[0]))

    assert at_both_sides(act)[:3] == ["300000", "nobody asked!", "closed"]


def test_errors_that_differ_by_the_id_of_their_request_are_one_kind() -> None:
    measures = Measures()
    for each in range(2 * ERRORS_MOST):
        error = (
            f'HTTP 404: {{"error":"there is no /x here","request_id":"{each:032x}"}} of 01a22f93-c89b-754e-99dd-{each:012x}'
        )
        measures.add("sell", Returned(Outcome.FAILED, None, error, 1), 0)
    assert list(measures.operations["sell"].errors.values()) == [2 * ERRORS_MOST]

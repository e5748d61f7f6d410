"""On SQLite, with a write-ahead log and without: what can go wrong is found, what cannot is silent, and why is seen."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from integrity.race.judge.anomaly import Anomaly
from integrity.race.judge.explain import explain
from integrity.race.judge.judge import Judge
from integrity.race.play.scheduler import PlayedSchedule, Scheduler
from integrity.race.program.trace import Failed, StepPhase
from integrity.race.search.exploration import Exploration
from integrity.race.search.explore import Budget, explore
from integrity.race.search.shrink import shrink
from integrity.verdict import Verdict
from tests.detection.race_bench_sqlite import CASES, Case, new_file

ALL_ORDERS = Budget(preemptions=12)


class Watching:
    """A scheduler that remembers what it played."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.runs: list[PlayedSchedule] = []
        self._play = scheduler.play
        scheduler.play = self.play  # type: ignore[method-assign]
        self._scheduler = scheduler

    def play(self, *given: object, **options: object) -> PlayedSchedule:
        run = self._play(*given, **options)  # type: ignore[arg-type]
        self.runs.append(run)
        return run

    def stop(self) -> None:
        self._scheduler.play = self._play  # type: ignore[method-assign]

    @property
    def refusals(self) -> set[str]:
        """Why calls were refused, without the words: "SQLITE_BUSY"."""
        returns = [each for run in self.runs for each in run.trace.returns.values()]
        return {each.reason.rpartition("(")[2].rstrip(")") for each in returns if isinstance(each, Failed)}

    @property
    def has_waited(self) -> bool:
        return any(event.phase is StepPhase.WAITS for run in self.runs for event in run.trace.events)


@pytest.fixture(scope="module", params=["wal", "delete"])
def journal_mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def scheduler(journal_mode: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scheduler]:
    folder: Path = tmp_path_factory.mktemp("bench")
    with Scheduler(new_file(folder, journal_mode)) as scheduler:
        yield scheduler


@pytest.fixture
def watching(scheduler: Scheduler) -> Iterator[Watching]:
    watching = Watching(scheduler)
    yield watching
    watching.stop()


def search(scheduler: Scheduler, case: Case, *, is_pruned: bool) -> Exploration:
    return explore(scheduler, case.program, budget=ALL_ORDERS, is_pruned=is_pruned, stops_at_first=False)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_can_go_wrong_is_found_and_what_cannot_is_silent_in_every_order(
    scheduler: Scheduler, watching: Watching, journal_mode: str, case: Case
) -> None:
    found = search(scheduler, case, is_pruned=False)
    assert found.coverage.is_exhaustive
    assert found.verdict is (Verdict.VIOLATED if case.schedule else Verdict.HOLDS)
    assert watching.refusals <= set(dict(case.refused).values())
    assert not case.refused or dict(case.refused)[journal_mode] in watching.refusals
    if case.schedule:
        hit = explore(scheduler, case.program, budget=ALL_ORDERS).hits[0]
        assert hit.is_repeatable
        assert shrink(scheduler, case.program, hit).schedule == case.schedule


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_pruned_search_comes_to_the_same(scheduler: Scheduler, case: Case) -> None:
    pruned, unpruned = (search(scheduler, case, is_pruned=each) for each in (True, False))
    assert pruned.outcomes == unpruned.outcomes
    assert {hit.fingerprint for hit in pruned.hits} == {hit.fingerprint for hit in unpruned.hits}
    assert pruned.coverage.bound_completed == unpruned.coverage.bound_completed == ALL_ORDERS.preemptions
    assert pruned.coverage.played + pruned.coverage.spared == unpruned.coverage.played


def test_two_that_begin_with_the_lock_wait_for_each_other_and_are_not_refused(
    scheduler: Scheduler, watching: Watching
) -> None:
    case = next(case for case in CASES if case.name == "lost update, immediate")
    assert search(scheduler, case, is_pruned=False).verdict is Verdict.HOLDS
    assert watching.has_waited
    assert watching.refusals == set()


def test_an_update_lost_between_two_transactions_is_a_stale_check_explained_by_who_read_what(scheduler: Scheduler) -> None:
    case = next(case for case in CASES if case.name == "lost update, two transactions")
    explanation = explain(Judge(scheduler, case.program), scheduler.play(case.program, "AB"))
    assert explanation.anomaly is Anomaly.STALE_CHECK
    assert [str(order) for order in explanation.orders] == [
        "A before B: B read balance 1000, not 900",
        "B before A: A read balance 1000, not 900",
    ]

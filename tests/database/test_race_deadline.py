"""The deadline of a reproduction and of cures, by a clock that goes on by one with each look at it: at every schedule and
every database that is made. So what was done behind it is counted, and no machine is too slow for that.
"""

from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from random import Random

import pytest

from integrity.engines.target import Target
from integrity.events import listen
from integrity.history import Call, Outcome, make_operation_id
from integrity.invariants.load import load_invariants
from integrity.project import Project, Settings
from integrity.race.play.deadline import Deadline
from integrity.race.reproduce import reproduce
from integrity.race.reproduction.reproduction import Reproduction, Violation
from integrity.race.search.explore import Budget
from integrity.race.study import open_study
from integrity.reference.ghostpass.system import GHOSTPASS
from integrity.sql.file import SqlFile

RULE = "ghostpass/balance-not-negative"
START_US = int(datetime(2026, 1, 17, 12, tzinfo=UTC).timestamp()) * 1_000_000
LOOKS_BEHIND_MOST = 20
"""What was found is played again, in both serial orders, and explained."""


class Looks:
    def __init__(self, at: float) -> None:
        self._count = count(1)
        self.taken = 0
        self.deadline = Deadline(at, self._look)

    def _look(self) -> float:
        self.taken = next(self._count)
        return self.taken


def sale(number: int) -> Call:
    return Call(
        operation_id=make_operation_id(START_US // 1000, Random(number)),
        operation="sell",
        arguments={"wallet_id": 41, "terminal_id": 3, "amount_minor": 1_999},
        client=number,
        intended_at_us=START_US + number,
        invoked_at_us=START_US + number,
        returned_at_us=START_US + 5_000,
        outcome=Outcome.OK,
        reply={},
    )


@pytest.fixture(scope="module")
def files() -> list[SqlFile]:
    return [file for file in load_invariants(Project(Path(), Settings())).values() if file.name.startswith("ghostpass/")]


@pytest.fixture
def target(tmp_path: Path) -> Target:
    return Target.parse(f"sqlite:///{tmp_path}/venue.db")


def reproduced(target: Target, files: list[SqlFile], looks: Looks) -> Reproduction:
    calls = [sale(number) for number in (1, 2)]
    row = {"wallet_id": 41, "operation_ids": " ".join(str(call.operation_id) for call in calls)}
    violation = Violation(RULE, row, calls)
    bug = GHOSTPASS.bugs["overdraw"]
    job = reproduce(target, GHOSTPASS, violation, files, bug=bug, budget=Budget(), seed=0, deadline=looks.deadline)
    return listen(job)


def test_whatever_a_deadline_comes_upon_ends_and_what_was_found_by_then_is_told(
    target: Target, files: list[SqlFile]
) -> None:
    looks = Looks(float("inf"))
    found = reproduced(target, files, looks).finding
    assert found is not None
    whole = looks.taken
    kinds = set()
    for at in (0, 4, whole // 2, whole - 2):
        looks = Looks(at)
        back = reproduced(target, files, looks)
        kinds.add(back.kind)
        assert back.is_over or back.kind == "race", at
        assert back.is_over == bool(back.untried), at
        assert looks.taken <= at + LOOKS_BEHIND_MOST, at
        if back.finding is not None:  # not as small, perhaps, and as well explained
            assert back.finding.fingerprint == found.fingerprint
            assert back.finding.explanation
    assert kinds == {"", "race"}


@pytest.mark.exhaustive
def test_cures_that_were_not_tried_to_their_end_by_the_deadline_are_not_told(target: Target, files: list[SqlFile]) -> None:
    found = reproduced(target, files, Looks(float("inf"))).finding
    assert found is not None
    looks = Looks(float("inf"))
    with open_study(target, GHOSTPASS, found, files, deadline=looks.deadline) as study:
        all_cures = study.with_cures().cures
    tried = set()
    for at in (0, looks.taken * 2 // 3):
        looks = Looks(at)
        with open_study(target, GHOSTPASS, found, files, deadline=looks.deadline) as study:
            cures = study.with_cures().cures
        tried.add(len(cures))
        assert {cure.name for cure in cures} <= {cure.name for cure in all_cures}
        assert all(cure in all_cures for cure in cures), "none is told that was not tried to its end"
        assert looks.taken <= at + LOOKS_BEHIND_MOST, at
    assert min(tried) == 0 < max(tried)

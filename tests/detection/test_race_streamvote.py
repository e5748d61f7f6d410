"""Races of streamvote that the pairs do not meet: votes that share no key, only one, or all of them but the answer.

A pair is searched with the same keys for both calls, and two votes with the same key are one. Here they are two.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from integrity.engines.embedded.server import EmbeddedServer
from integrity.operation import Isolation
from integrity.project import Project, Settings
from integrity.race.judge.contest import Ground, survey
from integrity.race.program.planned_calls import PlannedCall
from integrity.race.search.explore import Budget, explore
from integrity.race.trial.arena import Arena
from integrity.reference.streamvote.system import STREAMVOTE
from integrity.verdict import Verdict
from tests.detection.worlds import invariants_of

PROJECT = Project(Path(__file__).parent, Settings())


def votes(wallet: int, *, event: int = 1, choice: int = 1, key: int = 1) -> PlannedCall:
    arguments: dict[str, int | str] = {
        "wallet_id": f"wallets_{wallet}",
        "live_event_id": f"live_events_{event}",
        "choice": choice,
        "idempotency_key": f"keys_{key}",
    }
    return PlannedCall("vote", arguments)


def credit_of(invoice: int) -> PlannedCall:
    return PlannedCall("credit_invoice", {"invoice_id": f"invoices_{invoice}"})


MEETINGS = {
    "two wallets of one budget in two events": (votes(1, event=1), votes(2, event=2)),
    "two wallets of one budget in one event": (votes(1), votes(2)),
    "one wallet of a budget, two votes": (votes(1, key=1), votes(1, key=2)),
    "stars for one vote, two votes": (votes(3, key=1), votes(3, event=2, key=2)),
    "room for one vote in the window, two votes": (votes(4, key=1), votes(4, choice=2, key=2)),
    "a window to be begun, two votes": (votes(3, key=1), votes(3, key=2)),
    "one option, two wallets": (votes(3), votes(4)),
    "one key, two options": (votes(4, choice=1), votes(4, choice=2)),
    "one key, two events": (votes(4, event=1), votes(4, event=2)),
    "a credit that pays for the vote": (credit_of(2), votes(4, key=2)),
    "two jobs for one payment": (credit_of(2), credit_of(2)),
}


@pytest.fixture(scope="module")
def arena(server: EmbeddedServer) -> Iterator[Arena]:
    with Arena(server.target, STREAMVOTE) as arena:
        yield arena


@pytest.fixture(scope="module")
def ground(arena: Arena) -> Ground:
    return survey(arena.scheduler(), STREAMVOTE, invariants_of(PROJECT, STREAMVOTE))


@pytest.mark.slow
@pytest.mark.parametrize("level", Isolation, ids=lambda level: level.value)
@pytest.mark.parametrize("calls", MEETINGS.values(), ids=MEETINGS)
def test_votes_that_meet_are_exhausted_at_two_preemptions_without_alarm(
    arena: Arena, ground: Ground, calls: tuple[PlannedCall, ...], level: Isolation
) -> None:
    program = replace(ground.contest(calls, isolation=level), is_strict=True).program()
    exploration = explore(arena.scheduler(), program, budget=Budget(preemptions=2))
    assert exploration.verdict is Verdict.HOLDS
    assert exploration.coverage.bound_completed == 2
    assert exploration.coverage.played > 2


def test_every_invariant_can_be_asked_of_a_race(ground: Ground) -> None:
    assert ground.left_out == ()

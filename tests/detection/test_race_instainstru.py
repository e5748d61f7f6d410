"""Races of instainstru that the pairs do not meet: calls of different participants, a message and its retry, three at once.

A pair is searched with the same keys for both calls first, and nobody's own message is unread to its sender.
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
from integrity.reference.instainstru.system import INSTAINSTRU
from integrity.verdict import Verdict
from tests.detection.worlds import invariants_of

PROJECT = Project(Path(__file__).parent, Settings())


def sends(participant: int, client_message_id: str) -> PlannedCall:
    arguments = {
        "participant_id": f"participants_{participant}",
        "client_message_id": client_message_id,
        "body": "Hello",
    }
    return PlannedCall("send_message", arguments)


def reads(participant: int) -> PlannedCall:
    return PlannedCall("mark_read", {"participant_id": f"participants_{participant}", "sequence": 60})


def listens(participant: int) -> PlannedCall:
    return PlannedCall("open_stream", {"participant_id": f"participants_{participant}", "last_sequence": 1})


def opens(newcomer: int) -> PlannedCall:
    return PlannedCall("open_conversation", {"participant_id": f"newcomers_{newcomer}"})


def lists(user: int) -> PlannedCall:
    return PlannedCall("list_conversations", {"user_id": f"users_{user}"})


RACES = {
    "one writes while another reads": (sends(1, "m-1"), reads(2)),
    "two write": (sends(1, "m-1"), sends(2, "m-1")),
    "a message and its retry": (sends(1, "m-1"), sends(1, "m-1")),
    "both sides open the conversation": (opens(1), opens(2)),
    "one writes while another listens": (sends(1, "m-1"), listens(2)),
    "one writes while another looks at the inbox": (sends(1, "m-1"), lists(2)),
    "two write while a third reads": (sends(1, "m-1"), sends(2, "m-1"), reads(3)),
    "two write while a third listens": (sends(1, "m-1"), sends(2, "m-1"), listens(3)),
}


@pytest.fixture(scope="module")
def arena(server: EmbeddedServer) -> Iterator[Arena]:
    with Arena(server.target, INSTAINSTRU) as arena:
        yield arena


@pytest.fixture(scope="module")
def ground(arena: Arena) -> Ground:
    return survey(arena.scheduler(), INSTAINSTRU, invariants_of(PROJECT, INSTAINSTRU))


@pytest.mark.slow
@pytest.mark.parametrize("name", RACES)
@pytest.mark.parametrize("level", Isolation, ids=lambda level: level.value)
def test_a_race_is_exhausted_without_alarm(arena: Arena, ground: Ground, level: Isolation, name: str) -> None:
    calls = RACES[name]
    contest = replace(ground.contest(calls, isolation=level), is_strict=True)
    preemptions = 2 if len(calls) == 2 else 1
    exploration = explore(arena.scheduler(), contest.program(), budget=Budget(preemptions=preemptions))
    assert exploration.verdict is Verdict.HOLDS, exploration.hits
    assert exploration.coverage.bound_completed == preemptions


def test_every_invariant_is_asked_in_a_race(ground: Ground) -> None:
    files = invariants_of(PROJECT, INSTAINSTRU)
    assert {check.name for check in ground.checks} == {file.name for file in files}

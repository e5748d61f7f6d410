"""Each operation of ghostpass, played alone: what it answers and exactly the rows that it makes or changes.

And each planted bug, played by its own schedule: exactly the invariants that it names are violated, and none when the sound
operations take the same turns.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any
from uuid import UUID

import pytest
from psycopg.rows import dict_row

from integrity.database.constraints import plant
from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.target import Target
from integrity.operation import Declined, Ok, Reply
from integrity.reference.ghostpass.operations import share
from integrity.reference.ghostpass.schema import METADATA
from integrity.reference.ghostpass.system import GHOSTPASS
from integrity.systems.system import Bug
from tests.database.ghostpass.calls import PLAYED
from tests.database.ghostpass.player import STEPS_MAX, call, find_violated, operation_ids, play
from tests.database.ghostpass.world import WORLD
from tests.database.worlds import postgres_world

Contents = dict[str, dict[Any, dict[str, Any]]]


@pytest.fixture(scope="module")
def template(server: EmbeddedServer) -> Iterator[str]:
    """The name of a database with the world in it, that nobody is connected to."""
    with postgres_world(server, f"venue_{os.getpid()}", METADATA, WORLD) as connection:
        name = connection.info.dbname
        connection.close()
        yield name


@pytest.fixture
def venue(make_database: Any, template: str) -> Target:
    """A database of its own with the world in it."""
    target: Target = make_database(template)
    return target


@pytest.mark.parametrize("name", PLAYED)
def test_an_operation_alone_makes_exactly_its_rows_and_breaks_nothing(venue: Target, name: str) -> None:
    played = PLAYED[name]
    ids = operation_ids()
    for operation, arguments in played.before:
        assert isinstance(_call(venue, operation, arguments, next(ids)), Ok)
    operation_id = next(ids)
    before = _read(venue)
    assert _call(venue, played.operation, played.arguments, operation_id) == played.reply
    assert _changes(before, _read(venue), operation_id) == played.changes
    assert find_violated(venue) == set()


def test_every_operation_is_played_with_both_answers() -> None:
    answers = {(played.operation, type(played.reply)) for played in PLAYED.values()}
    both = {(name, kind) for name in GHOSTPASS.operations for kind in (Ok, Declined)}
    assert answers == both - {("request_funding", Declined)}, "a request is always taken"


@pytest.mark.parametrize("amount_minor", [1, 39, 40, 150, 999, 1_020, 1_999])
def test_shares_are_rounded_down_and_the_vendor_gets_what_is_left(amount_minor: int) -> None:
    shares = share(amount_minor, {"platform_fee_bps": 250, "venue_share_bps": 1_000})
    assert shares["platform"] == amount_minor * 25 // 1_000
    assert shares["venue"] == amount_minor // 10
    assert sum(shares.values()) == amount_minor


RACED: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {
    "double_credit": ({"event_id": "evt-4", "funding_id": 4, "kind": "payment_succeeded"},) * 2,
    "lost_update": ({"wallet_id": 2, "terminal_id": 1, "amount_minor": 1_500},) * 2,
    "overdraw": ({"wallet_id": 2, "terminal_id": 1, "amount_minor": 1_500},) * 2,
    "posted_first": ({"wallet_id": 1, "terminal_id": 1, "amount_minor": 4_000}, {"sale_id": 1}),
    "duplicate_entry": ({"wallet_id": 3, "gateway_id": 1},) * 2,
}

# The bugs' own schedules, written out for the player here, whose letters are finer: every step is one.
SCHEDULES: Mapping[str, str] = {
    "double_credit": "AABBBBBBBBAAAAAA",
    "lost_update": "AABBBBBBBBBAAAAAAA",
    "overdraw": "AABBBBBBBBBBAAAAAAAA",
    "posted_first": "AAAAABBBBBBBAAA",
    "duplicate_entry": "AABBBBBBBAAAAA",
}


def test_every_bug_that_needs_an_interleaving_is_played() -> None:
    assert set(RACED) == set(SCHEDULES) == {bug.name for bug in GHOSTPASS.bugs.values() if bug.race}


@pytest.mark.parametrize("name", RACED)
def test_a_bug_s_schedule_breaks_exactly_what_it_names(venue: Target, name: str) -> None:
    bug = GHOSTPASS.bugs[name]
    replies, left = _race(venue, bug, is_planted=True)
    assert [type(reply) for reply in replies] == [Ok, Ok]
    assert left == 0, "the schedule is whole"
    assert find_violated(venue) == set(bug.violates)


@pytest.mark.parametrize("name", RACED)
def test_the_sound_operations_stand_the_same_schedule(venue: Target, name: str) -> None:
    _race(venue, GHOSTPASS.bugs[name], is_planted=False)
    assert find_violated(venue) == set()


@pytest.mark.parametrize("name", RACED)
def test_a_bug_s_operations_are_sound_one_after_the_other(venue: Target, name: str) -> None:
    """What is wrong is their interleaving, and nothing else."""
    bug = GHOSTPASS.bugs[name]
    plant(venue, GHOSTPASS, bug.dropped, bug=bug.name)
    operations = GHOSTPASS.operations_with(bug)
    for operation, arguments, operation_id in zip(bug.race, RACED[name], operation_ids(), strict=False):
        call(venue, operations[operation], {"operation_id": operation_id, **arguments})
    assert find_violated(venue) == set()


def test_an_unlogged_sale_is_left_by_a_client_that_dies_after_the_commit(venue: Target) -> None:
    bug = GHOSTPASS.bugs["unlogged_sale"]
    sale = {"wallet_id": 1, "terminal_id": 1, "amount_minor": 500}
    assert isinstance(_call(venue, "sell", sale, UUID(int=100), bug), Ok)
    assert find_violated(venue) == set()
    assert _call(venue, "sell", sale, UUID(int=101), bug, dies_after=7) is None
    assert find_violated(venue) == set(bug.violates)


def test_a_reentry_logged_as_an_entry_is_told_from_a_first_one(venue: Target) -> None:
    bug = GHOSTPASS.bugs["reentry_as_entry"]
    door = {"wallet_id": 3, "gateway_id": 2}  # asks for no fee
    assert isinstance(_call(venue, "scan_in", door, UUID(int=100), bug), Ok)
    assert find_violated(venue) == set()
    assert isinstance(_call(venue, "scan_out", door, UUID(int=101), bug), Ok)
    assert isinstance(_call(venue, "scan_in", door, UUID(int=102), bug), Ok)
    assert find_violated(venue) == set(bug.violates)


def test_splits_rounded_by_themselves_are_not_the_sale(venue: Target) -> None:
    bug = GHOSTPASS.bugs["split_rounding"]
    arguments = {"wallet_id": 1, "terminal_id": 1, "amount_minor": 1_020}  # 25.5, 102 and 892.5: 26 + 102 + 893 = 1021
    assert isinstance(_call(venue, "sell", arguments, UUID(int=100), bug), Ok)
    assert find_violated(venue) == set(bug.violates)


def test_a_sale_dated_by_its_terminal_is_right_but_for_its_day(venue: Target) -> None:
    bug = GHOSTPASS.bugs["terminal_clock"]
    sale = {"wallet_id": 1, "terminal_id": 1, "amount_minor": 1_020}
    assert isinstance(_call(venue, "sell", sale, UUID(int=100), bug), Ok)
    assert find_violated(venue) == set(bug.violates)


def test_an_orphaned_funding_is_left_by_a_handler_that_dies_and_not_mended_by_the_retry(venue: Target) -> None:
    bug = GHOSTPASS.bugs["orphaned_funding"]
    event = {"event_id": "evt-4", "funding_id": 4, "kind": "payment_succeeded"}
    assert _call(venue, "receive_funding_webhook", event, UUID(int=100), bug, dies_after=4) is None
    retried = _call(venue, "receive_funding_webhook", event, UUID(int=101), bug)
    assert retried == Declined("event_already_applied")
    stuck = {"ghostpass/funding-not-stuck"}  # once its run has ended, or a quarter of an hour later
    assert find_violated(venue) == set(bug.violates) - stuck


def test_a_handler_that_does_not_die_leaves_no_orphan(venue: Target) -> None:
    event = {"event_id": "evt-4", "funding_id": 4, "kind": "payment_succeeded"}
    bug = GHOSTPASS.bugs["orphaned_funding"]
    assert _call(venue, "receive_funding_webhook", event, UUID(int=100), bug) == Ok({"funding_id": 4})
    assert find_violated(venue) == set()


def _call(
    venue: Target,
    operation: str,
    arguments: Mapping[str, Any],
    operation_id: UUID,
    bug: Bug | None = None,
    *,
    dies_after: int = STEPS_MAX,
) -> Reply | None:
    operations = GHOSTPASS.operations_with(bug)
    return call(venue, operations[operation], {"operation_id": operation_id, **arguments}, dies_after=dies_after)


def _race(venue: Target, bug: Bug, *, is_planted: bool) -> tuple[list[Reply | None], int]:
    if is_planted:
        plant(venue, GHOSTPASS, bug.dropped, bug=bug.name)
    operations = GHOSTPASS.operations_with(bug if is_planted else None)
    calls = [
        operations[operation].steps(operation_id=operation_id, **arguments)
        for operation, arguments, operation_id in zip(bug.race, RACED[bug.name], operation_ids(), strict=False)
    ]
    return play(venue, calls, SCHEDULES[bug.name])


def _read(venue: Target) -> Contents:
    """Return every row of ghostpass by table and key."""
    contents: Contents = {}
    with closing(venue.connect()) as connection:
        for table in METADATA.sorted_tables:
            key = next(iter(table.primary_key)).name
            cursor = connection.cursor(row_factory=dict_row)
            rows = cursor.execute(f"select * from {table.fullname} order by {key}".encode())
            contents[table.name] = {row[key]: row for row in rows}
    return contents


def _changes(before: Contents, after: Contents, operation_id: UUID) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of `after` that `before` has not, without times; a call's own operation_id is "this"."""
    changes: dict[str, list[dict[str, Any]]] = {}
    for table, rows in after.items():
        assert before[table].keys() <= rows.keys(), "nothing is ever deleted"
        for key, row in rows.items():
            if before[table].get(key) == row:
                continue
            shown = {name: value for name, value in row.items() if not name.endswith("_at")}
            if "operation_id" in shown:
                shown["operation_id"] = "this" if shown["operation_id"] == operation_id else str(shown["operation_id"])
            changes.setdefault(table, []).append(shown)
    return changes

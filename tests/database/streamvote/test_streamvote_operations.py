"""Each operation of streamvote, played alone: what it answers and exactly the rows that it makes or changes.

And what is hard about votes: the same key gets the same answer whatever became of the first call, and a vote that meets the
closing of its event is counted or declined, never both. Bugs without a race are played here, the others where races are.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any
from uuid import UUID

import pytest
from psycopg.rows import dict_row

from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.target import Target
from integrity.operation import Commit, Declined, Ok, Request, Step, Unavailable
from integrity.reference.streamvote.operations import EVENT_TTL_MS
from integrity.reference.streamvote.schema import METADATA
from integrity.reference.streamvote.system import STREAMVOTE
from integrity.systems import service
from integrity.systems.service import ServiceSettings
from tests.database.streamvote.calls import PLAYED, voting
from tests.database.streamvote.player import Player
from tests.database.streamvote.world import WORLD
from tests.database.worlds import postgres_world

Contents = dict[str, dict[Any, dict[str, Any]]]

THIS, NEXT = UUID(int=100), UUID(int=101)


class Clock:
    """Stands in for the module `time` that a service's context reads the clock of."""

    def __init__(self) -> None:
        self.now_ms = 7

    def monotonic_ns(self) -> int:
        return self.now_ms * 1_000_000


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(service, "time", clock)
    return clock


@pytest.fixture(scope="module")
def template(server: EmbeddedServer) -> Iterator[str]:
    """The name of a database with the world in it, that nobody is connected to."""
    with postgres_world(server, f"votes_{os.getpid()}", METADATA, WORLD) as connection:
        name = connection.info.dbname
        connection.close()
        yield name


@pytest.fixture
def player(make_database: Any, template: str, clock: Clock) -> Player:
    """A database of its own with the world in it, and services that know nothing yet."""
    target: Target = make_database(template)
    return Player(target)


@pytest.mark.parametrize("name", PLAYED)
def test_an_operation_alone_makes_exactly_its_rows_and_breaks_nothing(player: Player, name: str) -> None:
    played = PLAYED[name]
    player.execute(*played.prepared)
    before = _read(player.target)
    assert player.call(played.operation, played.arguments, THIS) == played.reply
    assert _changes(before, _read(player.target)) == played.changes
    assert tuple(player.asked) == played.asked
    assert player.violated() == set()


def test_every_operation_is_played_with_both_answers() -> None:
    answers = {(played.operation, type(played.reply)) for played in PLAYED.values()}
    both = {(name, kind) for name in STREAMVOTE.operations for kind in (Ok, Declined)}
    always_taken = {("list_streamers", Declined), ("create_invoice", Declined), ("open_event", Declined)}
    assert answers == both - always_taken - {("tap", Ok), ("tap", Declined)}


def test_a_tap_is_sent_by_the_app_with_a_key_of_its_own(player: Player) -> None:
    arguments = {"wallet_id": 1, "live_event_id": 2, "choice": 1}
    assert [player.call("tap", arguments, call) for call in (THIS, NEXT)] == [Ok(), Ok()]
    assert [(service, payload["wallet_id"], payload["choice"]) for service, payload in player.asked] == [("app", 1, 1)] * 2
    first, second = (payload["idempotency_key"] for _, payload in player.asked)
    assert first != second


def test_a_stream_brings_what_was_missed_in_order(player: Player) -> None:
    assert player.call("open_stream", {"live_event_id": 1, "last_sequence": 2}, THIS) == Ok({"last_sequence": 4})
    assert [(event["stream"], event["sequence"], event["event_id"]) for event in player.pushed] == [(1, 3, 4), (1, 4, 5)]


def test_the_cache_answers_until_its_time_is_over(player: Player, clock: Clock) -> None:
    polls = {"live_event_id": 2}
    before = player.call("poll_event", polls, THIS)
    player.call("vote", voting(1, 2, 1, "tap-9"), NEXT)
    clock.now_ms += EVENT_TTL_MS - 1
    assert player.call("poll_event", polls, THIS) == before
    clock.now_ms += 1
    assert player.call("poll_event", polls, THIS) == Ok({"state": "open", "sequence": 2, "vote_count": 1, "stars": 2})


def test_what_took_long_to_read_is_not_kept_for_longer(player: Player, clock: Clock) -> None:
    """Its time counts from the miss, not from the put: the value is as old as the question at most."""

    def be_slow(_number: int, step: Step) -> None:
        if isinstance(step, Request) and step.payload["command"] == "put":
            clock.now_ms += EVENT_TTL_MS

    player.call("poll_event", {"live_event_id": 2}, THIS, before=be_slow)
    player.call("vote", voting(1, 2, 1, "tap-9"), NEXT)
    assert player.call("poll_event", {"live_event_id": 2}, THIS) != Ok(
        {"state": "open", "sequence": 1, "vote_count": 0, "stars": 0}
    )


def test_what_was_read_earlier_does_not_take_the_place_of_what_was_read_later(player: Player, clock: Clock) -> None:
    polls = {"live_event_id": 2}

    def be_overtaken(_number: int, step: Step) -> None:
        if isinstance(step, Request) and step.payload["command"] == "put":
            clock.now_ms += 1
            player.memory["cache"].clear()
            player.call("vote", voting(1, 2, 1, "tap-9"), NEXT)
            player.call("poll_event", polls, NEXT)

    player.call("poll_event", polls, THIS, before=be_overtaken)
    assert player.call("poll_event", polls, THIS) == Ok({"state": "open", "sequence": 2, "vote_count": 1, "stars": 2})


def test_a_cache_in_trouble_is_gone_without(player: Player) -> None:
    player.settings = ServiceSettings(error_share=1.0)
    standing = Ok({"state": "open", "sequence": 1, "vote_count": 0, "stars": 0})
    assert [player.call("poll_event", {"live_event_id": 2}, call) for call in (THIS, NEXT)] == [standing] * 2
    assert {payload["command"] for _, payload in player.asked} == {"get"}


def test_an_invoice_whose_payment_is_under_way_does_not_expire(player: Player) -> None:
    player.memory["provider"] = {"4": "paid"}
    assert player.call("check_invoice", {"invoice_id": 4}, THIS) == Declined("payment_under_way")
    player.settings = ServiceSettings(timeout_share=1.0)
    assert player.call("check_invoice", {"invoice_id": 4}, NEXT) == Unavailable("provider_did_not_answer")


@pytest.mark.parametrize("settings", [ServiceSettings(timeout_share=1.0), ServiceSettings(error_share=1.0)])
def test_an_invoice_that_the_provider_does_not_take_is_unavailable_and_stays_open(
    player: Player, settings: ServiceSettings
) -> None:
    player.settings = settings
    assert player.call("create_invoice", {"wallet_id": 1, "stars": 60}, THIS) == Unavailable("provider_did_not_answer")
    assert _read(player.target)["invoices"][6]["status"] == "open"


def test_an_invoice_that_was_cancelled_is_not_paid_any_more(player: Player) -> None:
    """The request of a client that was slow comes after the sweeper asked."""

    def be_overtaken(_number: int, step: Step) -> None:
        if isinstance(step, Request) and step.payload["command"] == "create":
            player.call("check_invoice", {"invoice_id": 6}, NEXT)

    assert player.call("create_invoice", {"wallet_id": 3, "stars": 60}, THIS, before=be_overtaken) == Ok({"invoice_id": 6})
    assert player.memory["provider"] == {"6": "cancelled"}
    assert _read(player.target)["invoices"][6]["status"] == "expired"


@pytest.mark.parametrize("dies_after", range(1, 14))
def test_a_vote_whose_answer_was_lost_is_answered_when_it_comes_again(player: Player, dies_after: int) -> None:
    """Whichever step the first call got to: it has happened whole, or not at all, and then the second one makes it."""
    assert player.call("vote", voting(1, 2, 1, "tap-9"), THIS, dies_after=dies_after) is None
    vote = player.call("vote", voting(1, 2, 1, "tap-9"), NEXT)
    votes = [row for row in _read(player.target)["votes"].values() if row["idempotency_key"] == "tap-9"]
    assert isinstance(vote, Ok)
    assert [row["id"] for row in votes] == [vote.value["vote_id"]]
    assert votes[0]["operation_id"] in (THIS, NEXT)
    assert player.violated() == set()


def test_a_vote_dies_after_its_commit_in_that_test(player: Player) -> None:
    steps: list[Step] = []
    player.call("vote", voting(1, 2, 1, "tap-9"), THIS, before=lambda _number, step: steps.append(step))
    assert isinstance(steps[-1], Commit)
    assert len(steps) == 14, "13 steps are all but the commit; the range above goes one short of it"


def test_a_no_is_remembered_when_the_stars_are_there(player: Player) -> None:
    assert player.call("vote", voting(3, 2, 1, "tap-9"), THIS) == Declined("insufficient_stars")
    assert player.call("credit_invoice", {"invoice_id": 5}, NEXT) == Ok({"stars": 40})
    assert player.call("vote", voting(3, 2, 1, "tap-9"), UUID(int=102)) == Declined("insufficient_stars")
    assert player.call("vote", voting(3, 2, 1, "tap-10"), UUID(int=103)) == Ok({"vote_id": 6})
    assert player.violated() == set()


def test_a_vote_that_was_limited_may_come_again(player: Player) -> None:
    player.execute("update streamvote.rate_windows set ends_at = now() + interval '1 hour' where id = 3")
    assert player.call("vote", voting(3, 2, 1, "tap-9"), THIS) == Declined("rate_limited")
    player.execute("update streamvote.rate_windows set ends_at = now() where id = 3")
    assert player.call("vote", voting(3, 2, 1, "tap-9"), NEXT) == Declined("insufficient_stars")


def test_a_vote_whose_event_is_closed_under_it_is_declined_and_remembers_it(player: Player) -> None:
    is_closed = False

    def close(_number: int, step: Step) -> None:
        nonlocal is_closed
        if not is_closed and "set sequence" in getattr(step, "sql", ""):
            is_closed = True
            assert player.call("close_event", {"live_event_id": 2}, NEXT) == Ok({"sequence": 2})

    assert player.call("vote", voting(1, 2, 1, "tap-9"), THIS, before=close) == Declined("event_closed")
    contents = _read(player.target)
    assert contents["votes"][6]["reason"] == "event_closed", "the first one was rolled back"
    assert contents["wallets"][1]["balance_stars"] == 90
    assert player.violated() == set()


def test_a_poll_that_is_kept_for_ever_is_stale(player: Player, clock: Clock) -> None:
    bug = STREAMVOTE.bugs["stale_poll"]
    player.call("poll_event", {"live_event_id": 2}, THIS, bug=bug)
    player.call("vote", voting(1, 2, 1, "tap-9"), NEXT)
    clock.now_ms += 60_000
    reply = player.call("poll_event", {"live_event_id": 2}, THIS, bug=bug)
    assert reply == Ok({"state": "open", "sequence": 1, "vote_count": 0, "stars": 0})


@pytest.mark.parametrize(("name", "status"), [(None, "credited"), ("job_before_commit", "paid")])
def test_a_job_that_runs_as_soon_as_it_is_queued(player: Player, name: str | None, status: str) -> None:
    bug = STREAMVOTE.bugs[name] if name else None

    def run_jobs(_number: int, step: Step) -> None:
        if isinstance(step, Request) and step.service == "jobs":
            player.call("credit_invoice", {"invoice_id": 4}, NEXT)

    event = {"event_id": "evt-4", "invoice_id": 4, "kind": "paid"}
    assert player.call("receive_payment_webhook", event, THIS, bug=bug, before=run_jobs) == Ok({"invoice_id": 4})
    assert _read(player.target)["invoices"][4]["status"] == status


def test_a_webhook_that_died_before_it_queued_its_job_is_made_good_by_the_next(player: Player) -> None:
    event = {"event_id": "evt-4", "invoice_id": 4, "kind": "paid"}
    assert player.call("receive_payment_webhook", event, THIS, dies_after=4) is None
    assert player.asked == []
    assert player.call("receive_payment_webhook", event, NEXT) == Declined("event_already_applied")
    assert player.asked == [("jobs", {"job": "credit_invoice", "invoice_id": 4})]


def test_a_webhook_whose_job_was_not_queued_is_unavailable_and_the_next_queues_it(player: Player) -> None:
    event = {"event_id": "evt-4", "invoice_id": 4, "kind": "paid"}
    player.settings = ServiceSettings(error_share=1.0)
    assert player.call("receive_payment_webhook", event, THIS) == Unavailable("queue_did_not_answer")
    assert player.call("receive_payment_webhook", event, NEXT) == Unavailable("queue_did_not_answer")
    player.settings = ServiceSettings()
    assert player.call("receive_payment_webhook", event, NEXT) == Declined("event_already_applied")
    assert player.asked == [("jobs", {"job": "credit_invoice", "invoice_id": 4})] * 3


def _read(target: Target) -> Contents:
    """Return every row of streamvote by table and key."""
    contents: Contents = {}
    with closing(target.connect()) as connection:
        for table in METADATA.sorted_tables:
            key = next(iter(table.primary_key)).name
            cursor = connection.cursor(row_factory=dict_row)
            found = cursor.execute(f"select * from {table.fullname} order by {key}".encode())
            contents[table.name] = {row[key]: row for row in found}
    return contents


def _changes(before: Contents, after: Contents) -> Mapping[str, list[dict[str, Any]]]:
    """Return the rows of `after` that `before` has not, without times; the call's own operation_id is "this"."""
    changes: dict[str, list[dict[str, Any]]] = {}
    for table, found in after.items():
        assert before[table].keys() <= found.keys(), "nothing is ever deleted"
        for key, row in found.items():
            if before[table].get(key) == row:
                continue
            shown = {name: value for name, value in row.items() if not name.endswith("_at")}
            if "operation_id" in shown:
                shown["operation_id"] = "this" if shown["operation_id"] == THIS else str(shown["operation_id"])
            changes.setdefault(table, []).append(shown)
    return changes

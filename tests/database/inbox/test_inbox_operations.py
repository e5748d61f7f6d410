"""Each operation of inbox, played alone: what it answers and exactly the rows that it makes or changes.

Then what happens when outside services lose answers and clients die, with the sound operations and with each bug that shows
without an interleaving.
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
from integrity.operation import Commit, Declined, Ok, Request, Statement, Unavailable
from integrity.reference.inbox.schema import METADATA
from integrity.reference.inbox.system import INBOX
from tests.database.inbox.calls import CALLS, DELIVERED, HELLO
from tests.database.inbox.player import DONE, FAILING, LOST, REFUSED, REJECTING, Outside, Played, find_violated
from tests.database.inbox.world import WORLD
from tests.database.worlds import op, postgres_world

Contents = dict[str, dict[Any, dict[str, Any]]]

ONLY_OK = {
    "load_dashboard",
    "count_conversations",
    "load_messages",
    "search_messages",
    "resend_queued",
    "settle_uploads",
    "create_checkout",
    "check_subscription",
}
SAME_STORY = {"send_email", "send_sms"}  # as send_whatsapp


@pytest.fixture(scope="module")
def template(server: EmbeddedServer) -> Iterator[str]:
    """The name of a database with the world in it, that nobody is connected to."""
    with postgres_world(server, f"inbox_{os.getpid()}", METADATA, WORLD) as connection:
        name = connection.info.dbname
        connection.close()
        yield name


@pytest.fixture
def inbox(make_database: Any, template: str) -> Target:
    """A database of its own with the world in it."""
    target: Target = make_database(template)
    return target


@pytest.fixture
def outside() -> Outside:
    return Outside()


@pytest.mark.parametrize("name", CALLS)
def test_an_operation_alone_makes_exactly_its_rows_and_breaks_nothing(inbox: Target, outside: Outside, name: str) -> None:
    call, number = CALLS[name], 100
    for operation, arguments in call.before:
        assert isinstance(Played(inbox, outside, operation, arguments, number).finish(), Ok)
        number += 1
    before = _read(inbox)
    assert Played(inbox, outside, call.operation, call.arguments, number).finish() == call.reply
    assert _changes(before, _read(inbox), UUID(int=number)) == call.changes
    assert find_violated(inbox) == set()


def test_every_operation_is_played_with_all_its_answers() -> None:
    answers = {(call.operation, type(call.reply)) for call in CALLS.values()}
    both = {(name, kind) for name in INBOX.operations for kind in (Ok, Declined)}
    assert answers == both - {(name, Declined) for name in ONLY_OK | SAME_STORY}


def test_a_message_whose_answer_was_lost_is_sent_once_however_often_it_is_sent_again(
    inbox: Target, outside: Outside
) -> None:
    sent = Played(inbox, outside, "send_sms", {"conversation_id": 3, "body": "Hello"}, 100, mood=DONE).finish()
    assert sent == Unavailable("provider_did_not_answer")
    assert _message(inbox, 8) == ("queued", None)
    for number in (101, 102):
        Played(inbox, outside, "resend_queued", {"business_id": 2}, number).finish()
    assert _message(inbox, 8) == ("sent", f"sms-{op(100)}")
    assert [answer["provider_message_id"] for answer in outside.memory["sms"].values()].count(f"sms-{op(100)}") == 1
    assert find_violated(inbox) == set()


@pytest.mark.parametrize("mood", [LOST, REFUSED], ids=["lost", "refused"])
def test_a_message_that_the_provider_did_not_take_is_sent_later(inbox: Target, outside: Outside, mood: Any) -> None:
    Played(inbox, outside, "send_whatsapp", HELLO, 100, mood=mood).finish()
    assert _message(inbox, 8) == ("queued", None)
    Played(inbox, outside, "resend_queued", {"business_id": 1}, 101).finish()
    assert _message(inbox, 8) == ("sent", f"whatsapp-{op(100)}")


def test_a_message_that_the_provider_rejects_has_failed_and_is_not_sent_again(inbox: Target, outside: Outside) -> None:
    sent = Played(inbox, outside, "send_whatsapp", HELLO, 100, mood=REJECTING).finish()
    assert sent == Ok({"message_id": 8, "status": "failed"})
    asked = len(outside.asked)
    Played(inbox, outside, "resend_queued", {"business_id": 1}, 101).finish()
    assert len(outside.asked) == asked
    assert find_violated(inbox) == set()


def test_a_sender_who_dies_before_writing_the_answer_down_leaves_nothing_lost(inbox: Target, outside: Outside) -> None:
    sender = Played(inbox, outside, "send_whatsapp", HELLO, 100)
    _step_over(sender, Request)
    sender.die()
    assert _message(inbox, 8) == ("queued", None)
    Played(inbox, outside, "resend_queued", {"business_id": 1}, 101).finish()
    assert _message(inbox, 8) == ("sent", f"whatsapp-{op(100)}")


def test_an_event_that_is_faster_than_the_answer_is_not_taken_back_by_it(inbox: Target, outside: Outside) -> None:
    sender = Played(inbox, outside, "send_whatsapp", HELLO, 100)
    _step_over(sender, Request)
    event = {"event_id": "e", "message_id": 8, "provider_message_id": f"whatsapp-{op(100)}", "kind": "delivered"}
    assert Played(inbox, outside, "receive_provider_event", event, 101).finish() == Ok({"is_changed": True})
    sender.finish()
    assert _message(inbox, 8) == ("delivered", f"whatsapp-{op(100)}")


def test_an_event_about_another_sending_is_kept_and_shown_but_not_followed(inbox: Target, outside: Outside) -> None:
    event = {**DELIVERED, "provider_message_id": "email-6-again"}
    assert Played(inbox, outside, "receive_provider_event", event, 100).finish() == Ok({"is_changed": False})
    assert _message(inbox, 6) == ("sent", "email-6")
    assert find_violated(inbox) == {"inbox/message-sent-once"}


def test_an_upload_that_died_after_its_object_was_stored_is_finished(inbox: Target, outside: Outside) -> None:
    upload = Played(inbox, outside, "upload_media", {"conversation_id": 1, "size_bytes": 9}, 100)
    _step_over(upload, Request)
    upload.die()
    Played(inbox, outside, "settle_uploads", {"business_id": 1}, 101).finish()
    assert _read(inbox)["media"][4]["status"] == "stored"


def test_an_upload_that_was_given_up_can_store_nothing_any_more(inbox: Target, outside: Outside) -> None:
    upload = Played(inbox, outside, "upload_media", {"conversation_id": 1, "size_bytes": 9}, 100)
    _step_over(upload, Statement)
    Played(inbox, outside, "settle_uploads", {"business_id": 1}, 101).finish()
    assert upload.finish() == Declined("upload_took_too_long")
    assert outside.memory["store"] == {f"conversations/1/{op(100)}": "revoked"}
    assert _read(inbox)["media"][4]["status"] == "abandoned"


def test_a_checkout_that_was_given_up_cannot_be_paid_any_more(inbox: Target, outside: Outside) -> None:
    checkout = Played(inbox, outside, "create_checkout", {"business_id": 1}, 100)
    _step_over(checkout, Statement)
    assert Played(inbox, outside, "settle_checkout", {"business_id": 1}, 101).finish() == Ok({"checkout_id": 6})
    assert checkout.finish() == Ok({"checkout_id": 6, "session_reference": None})
    assert outside.memory["processor"] == {"checkout-6": "session_expired"}


ASKING: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "send_whatsapp": ("provider", HELLO),
    "create_checkout": ("processor", {"business_id": 1}),
    "settle_checkout": ("processor", {"business_id": 2}),
    "upload_media": ("store", {"conversation_id": 1, "size_bytes": 9}),
}


@pytest.mark.parametrize("mood", [LOST, DONE, REFUSED], ids=["lost", "done", "refused"])
@pytest.mark.parametrize("operation", ASKING)
def test_what_an_outside_party_does_not_give_is_unavailable_and_what_is_left_is_right(
    inbox: Target, outside: Outside, operation: str, mood: Any
) -> None:
    party, arguments = ASKING[operation]
    asked = Played(inbox, outside, operation, arguments, 100, mood=mood).finish()
    assert asked == Unavailable(f"{party}_did_not_answer")
    assert find_violated(inbox) == set()


def test_a_processor_that_does_not_answer_leaves_the_checkout_open(inbox: Target, outside: Outside) -> None:
    settled = Played(inbox, outside, "settle_checkout", {"business_id": 2}, 100, mood=LOST).finish()
    assert settled == Unavailable("processor_did_not_answer")
    assert _read(inbox)["checkouts"][3]["status"] == "open"


def test_a_payment_that_failed_begins_no_subscription_however_it_is_learnt(inbox: Target, outside: Outside) -> None:
    Played(inbox, outside, "create_checkout", {"business_id": 1}, 100, mood=FAILING).finish()
    Played(inbox, outside, "settle_checkout", {"business_id": 1}, 101).finish()
    contents = _read(inbox)
    assert contents["checkouts"][6]["status"] == "failed"
    assert contents["subscriptions"].keys() == {1, 2}


# The bugs that show without an interleaving.


def test_double_send_is_shown_by_what_the_provider_tells_of_the_first_sending(inbox: Target, outside: Outside) -> None:
    bug = INBOX.bugs["double_send"]
    Played(inbox, outside, "send_whatsapp", HELLO, 100, mood=DONE).finish()
    Played(inbox, outside, "resend_queued", {"business_id": 1}, 101, bug=bug).finish()
    assert _message(inbox, 8) == ("sent", f"whatsapp-{op(101)}-8")
    event = {"event_id": "e", "message_id": 8, "provider_message_id": f"whatsapp-{op(100)}", "kind": "sent"}
    Played(inbox, outside, "receive_provider_event", event, 102).finish()
    assert len(outside.memory["whatsapp"]) == 2, "the provider has sent it twice"
    assert find_violated(inbox) == {"inbox/message-sent-once"}, "the requests are not loaded here"


def test_status_regression_is_left_by_an_event_that_was_held_back(inbox: Target, outside: Outside) -> None:
    bug = INBOX.bugs["status_regression"]
    late = {**DELIVERED, "event_id": "email-6-sent", "kind": "sent"}
    Played(inbox, outside, "receive_provider_event", DELIVERED, 100, bug=bug).finish()
    assert find_violated(inbox) == set()
    Played(inbox, outside, "receive_provider_event", late, 101, bug=bug).finish()
    assert find_violated(inbox) == set(bug.violates)


def test_cross_tenant_is_left_by_a_member_of_an_agency_and_by_nobody_else(inbox: Target, outside: Outside) -> None:
    bug = INBOX.bugs["cross_tenant"]
    plant(inbox, INBOX, bug.dropped, bug=bug.name)
    Played(inbox, outside, "send_whatsapp", HELLO, 100, bug=bug).finish()
    assert find_violated(inbox) == set()
    Played(inbox, outside, "send_email", {"conversation_id": 2, "body": "Hello"}, 101, bug=bug).finish()
    assert find_violated(inbox) == set(bug.violates)


def test_orphaned_media_is_left_by_a_client_that_dies_before_the_row(inbox: Target, outside: Outside) -> None:
    upload = Played(
        inbox,
        outside,
        "upload_media",
        {"conversation_id": 1, "size_bytes": 9},
        100,
        bug=INBOX.bugs["orphaned_media"],
    )
    _step_over(upload, Request)
    upload.die()
    assert outside.memory["store"] == {f"conversations/1/{op(100)}": "stored"}
    assert _read(inbox)["media"].keys() == {1, 2, 3}


def test_uncounted_message_is_left_by_a_handler_that_dies_and_not_mended_by_the_retry(
    inbox: Target, outside: Outside
) -> None:
    bug = INBOX.bugs["uncounted_message"]
    message = {"conversation_id": 2, "provider_message_id": "email-in-8", "body": "Thank you"}
    handler = Played(inbox, outside, "receive_message", message, 100, bug=bug)
    _step_over(handler, Commit)
    handler.die()
    again = Played(inbox, outside, "receive_message", message, 101, bug=bug).finish()
    assert again == Declined("message_already_received")
    assert find_violated(inbox) == set(bug.violates)


def test_sent_before_commit_is_left_by_a_sender_that_dies_before_its_commit(inbox: Target, outside: Outside) -> None:
    sender = Played(inbox, outside, "send_whatsapp", HELLO, 100, bug=INBOX.bugs["sent_before_commit"])
    _step_over(sender, Request)
    sender.die()
    assert list(outside.memory["whatsapp"]) == [op(100)]
    assert max(_read(inbox)["messages"]) == 7


def _step_over(played: Played, kind: type) -> None:
    """Take steps up to the first of that kind, and that one too."""
    while not isinstance(played.next_step, kind):
        played.step()
    played.step()


def _message(inbox: Target, message_id: int) -> tuple[str, str | None]:
    """Return a message's status and its provider's id."""
    row = _read(inbox)["messages"][message_id]
    return row["status"], row["provider_message_id"]


def _read(inbox: Target) -> Contents:
    """Return every row of inbox by table and id."""
    contents: Contents = {}
    with closing(inbox.connect()) as connection:
        for table in METADATA.sorted_tables:
            cursor = connection.cursor(row_factory=dict_row)
            rows = cursor.execute(f"select * from {table.fullname} order by id".encode())
            contents[table.name] = {row["id"]: row for row in rows}
    return contents


def _changes(before: Contents, after: Contents, operation_id: UUID) -> Mapping[str, list[dict[str, Any]]]:
    """Return the rows of `after` that `before` has not, without times; a call's own operation_id is "this"."""
    changes: dict[str, list[dict[str, Any]]] = {}
    for table, rows in after.items():
        assert before[table].keys() <= rows.keys(), "nothing is ever deleted"
        for key, row in rows.items():
            if before[table].get(key) == row:
                continue
            shown = {name: value for name, value in row.items() if not name.endswith("_at") and name != "hour"}
            if "operation_id" in shown:
                shown["operation_id"] = "this" if shown["operation_id"] == operation_id else str(shown["operation_id"])
            changes.setdefault(table, []).append(shown)
    return changes

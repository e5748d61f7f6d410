"""Each operation of safebox, played alone: what it answers and exactly the rows that it makes or changes.

And what its life cycles promise: a payment that the mint did not answer is ended by whoever comes across it, once.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from random import Random
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.rows import dict_row

from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.target import Target
from integrity.operation import Begin, Commit, Declined, Ok, Reply, Request, Rollback, Statement, Unavailable
from integrity.reference.safebox.ledger import denominations
from integrity.reference.safebox.schema import METADATA
from integrity.reference.safebox.system import SAFEBOX
from integrity.sql.parameters import number_parameters
from integrity.systems.service import Context, ServiceSettings
from integrity.systems.system import Bug
from tests.database.safebox.calls import ADDRESS, PLAYED, REFUSING, SALE_OF_20, SILENT, TAP
from tests.database.safebox.world import FILES, NOW, WORLD
from tests.database.worlds import PostgresEngine, postgres_world

Contents = dict[str, dict[Any, dict[str, Any]]]


class Played:
    """A database with the world in it, the services beside it, and calls that are made one after the other."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.mint = self.relay = ServiceSettings()
        self.requests: list[Mapping[str, Any]] = []
        self._memories: dict[str, dict[str, Any]] = {name: {} for name in SAFEBOX.services}
        self._number = 100

    def call(
        self, operation: str, arguments: Mapping[str, Any], *, bug: Bug | None = None, dies_after: int | None = None
    ) -> tuple[Reply | None, UUID]:
        """Return the reply, None when the client dies after so many steps, and the call's operation_id."""
        self._number += 1
        operation_id = UUID(int=self._number)
        steps = SAFEBOX.operations_with(bug)[operation].steps(operation_id=operation_id, **arguments)
        answer: Any = None
        with closing(self.target.connect()) as connection:
            for number in range(1000):
                if dies_after is not None and number >= dies_after:
                    return None, operation_id
                try:
                    step = steps.send(answer)
                except StopIteration as stop:
                    return stop.value, operation_id
                answer = self._carry_out(connection, step)
        raise AssertionError("the operation does not end")

    def _carry_out(self, connection: "psycopg.Connection[Any]", step: Any) -> Any:
        match step:
            case Statement():
                text, names = number_parameters(step.sql)
                cursor = psycopg.RawCursor(connection, row_factory=dict_row)
                cursor.execute(text.encode(), [step.parameters[name] for name in names])
                return cursor.fetchall() if cursor.description else []
            case Request():
                settings = {"mint": self.mint, "relay": self.relay}[step.service]
                context = Context(Random(0), settings, self._memories[step.service])
                self.requests.append(step.payload)
                return SAFEBOX.services[step.service](step.payload, context).answer
            case Begin() | Commit() | Rollback():
                connection.execute(type(step).__name__.lower().encode())
        return None

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        with closing(self.target.connect()) as connection:
            return connection.execute(query.encode()).fetchall()

    def read(self) -> Contents:
        """Return every row of safebox by table and key."""
        contents: Contents = {}
        with closing(self.target.connect()) as connection:
            for table in METADATA.sorted_tables:
                cursor = connection.cursor(row_factory=dict_row)
                found = cursor.execute(f"select * from {table.fullname} order by id".encode())
                contents[table.name] = {row["id"]: row for row in found}
        return contents

    def find_violated(self) -> set[str]:
        """Return the names of the invariants that the database violates."""
        with closing(self.target.connect()) as connection:
            engine = PostgresEngine(connection)
            return {file.name for file in FILES.values() if engine.run(file, file.values({}, now=NOW))}


@pytest.fixture(scope="module")
def template(server: EmbeddedServer) -> Iterator[str]:
    """The name of a database with the world in it, that nobody is connected to."""
    with postgres_world(server, f"safebox_{os.getpid()}", METADATA, WORLD) as connection:
        name = connection.info.dbname
        connection.close()
        yield name


@pytest.fixture
def box(make_database: Callable[[str], Target], template: str) -> Played:
    """A database of its own with the world in it."""
    return Played(make_database(template))


@pytest.mark.parametrize("name", PLAYED)
def test_an_operation_alone_makes_exactly_its_rows_and_breaks_nothing(box: Played, name: str) -> None:
    played = PLAYED[name]
    for operation, arguments in played.before:
        assert isinstance(box.call(operation, arguments)[0], Ok)
    before = box.read()
    box.mint = played.mint
    reply, operation_id = box.call(played.operation, played.arguments)
    assert reply == played.reply
    assert _changes(before, box.read(), operation_id) == played.changes
    assert box.find_violated() == set()


def test_every_operation_is_played_with_both_answers() -> None:
    answers = {(played.operation, type(played.reply)) for played in PLAYED.values()}
    both = {(name, kind) for name in SAFEBOX.operations for kind in (Ok, Declined)}
    never = {("settle_pending", Declined), ("create_invoice", Declined), ("create_pos_sale", Declined)}
    assert answers - {(name, Unavailable) for name in ASKING} == both - never, "these say no to nobody"


ASKING: Mapping[str, Mapping[str, Any]] = {
    "create_invoice": {"wallet_id": 3, "amount_minor": 50},
    "create_pos_sale": {"wallet_id": 3, "amount_minor": 50},
    "confirm_invoice": {"invoice_id": 3},
    "pay_invoice": {"wallet_id": 1, "invoice_id": 4},
    "pay_address": ADDRESS,
    "request_nfc_payment": {"wallet_id": 1, "card_id": 1, "amount_minor": 30},
    "answer_nfc_request": {"nfc_request_id": 3},
    "pay_to_nfc_tag": {"wallet_id": 1, "card_id": 1, "amount_minor": 10, "key": 9},
    "tap_sale": TAP,
}


@pytest.mark.parametrize("settings", [SILENT, REFUSING], ids=["silent", "refusing"])
@pytest.mark.parametrize("operation", ASKING)
def test_what_the_mint_or_the_relay_does_not_give_is_unavailable_and_what_is_left_is_right(
    box: Played, operation: str, settings: ServiceSettings
) -> None:
    box.call(*SALE_OF_20)
    box.mint = box.relay = settings
    party = "relay" if operation == "request_nfc_payment" else "mint"
    assert box.call(operation, ASKING[operation])[0] == Unavailable(f"{party}_did_not_answer")
    assert box.find_violated() == set()


@pytest.mark.parametrize("amount_minor", [0, 1, 2, 3, 64, 1_000, 20_000])
def test_denominations_are_the_powers_of_two_of_an_amount(amount_minor: int) -> None:
    found = denominations(amount_minor)
    assert sum(found) == amount_minor
    assert found == sorted(set(found), reverse=True)
    assert all(each & (each - 1) == 0 for each in found)


LATER: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "a retry": ("pay_address", ADDRESS),
    "the next payment": ("pay_address", {**ADDRESS, "key": 8, "amount_minor": 1}),
    "a poll": ("poll_status", {"wallet_id": 2}),
    "a sweep": ("settle_pending", {"wallet_id": 1}),
}


@pytest.mark.parametrize("later", LATER)
@pytest.mark.parametrize("address", ["shop@example.org", "gone@example.org"])
def test_a_payment_that_the_mint_did_not_answer_is_ended_by_whoever_comes_across_it(
    box: Played, later: str, address: str
) -> None:
    box.mint = SILENT
    reply, _ = box.call("pay_address", {**ADDRESS, "address": address})
    assert reply == Unavailable("mint_did_not_answer")
    box.mint = ServiceSettings()
    operation, arguments = LATER[later]
    box.call(operation, {**arguments, "address": address} if "address" in arguments else arguments)
    expected = "settled" if address == "shop@example.org" else "failed"
    assert box.ask("select status from safebox.payments where id = 5") == [(expected,)]
    assert box.find_violated() == set()


@pytest.mark.parametrize("dies_after", range(1, 21))
def test_a_client_that_dies_at_any_step_leaves_nothing_that_a_sweep_does_not_end(box: Played, dies_after: int) -> None:
    """Whatever the mint was asked by then, it is asked for the same thing again, and pays at most once."""
    reply, _ = box.call("pay_address", ADDRESS, dies_after=dies_after)
    assert (reply is None) == (dies_after < 20), "its last step is its 19th"
    assert box.find_violated() == set()
    box.call("settle_pending", {"wallet_id": 1})
    paid = box.ask("select status from safebox.payments where key = 'address-7'")
    assert paid in ([], [("settled",)])
    assert box.find_violated() == set()


def test_an_invoice_is_credited_by_a_poll_when_the_webhook_s_handler_died(box: Played) -> None:
    box.call("confirm_invoice", {"invoice_id": 3}, dies_after=5)
    assert box.ask("select status from safebox.invoices where id = 3") == [("paid",)]
    assert box.call("poll_status", {"wallet_id": 3})[0] == Ok({"notification_count": 2, "worth_minor": 14})
    assert box.find_violated() == set()


def test_a_confirmation_first_ends_the_payment_that_pays_the_invoice(box: Played) -> None:
    box.call("confirm_invoice", {"invoice_id": 4})
    assert box.ask("select id, kind from safebox.notifications where id > 5 order by id") == [(6, "SENT"), (7, "RECD")]
    assert [request["do"] for request in box.requests] == ["melt", "issue"]
    assert box.find_violated() == set()


def test_a_confirmation_does_not_wait_for_a_payment_that_the_mint_does_not_answer(box: Played) -> None:
    box.mint = SILENT
    assert box.call("confirm_invoice", {"invoice_id": 4})[0] == Unavailable("mint_did_not_answer")
    assert box.ask("select status from safebox.invoices where id = 4") == [("paid",)]
    assert box.ask("select status from safebox.payments where id = 4") == [("processing",)]
    assert box.find_violated() == set()


def test_a_sale_is_left_behind_by_a_handler_that_dies_and_not_mended_by_the_retry(box: Played) -> None:
    bug = SAFEBOX.bugs["pos_desync"]
    assert box.call("confirm_invoice", {"invoice_id": 3}, bug=bug, dies_after=3) == (None, UUID(int=101))
    assert box.call("confirm_invoice", {"invoice_id": 3}, bug=bug)[0] == Declined("already_confirmed")
    assert box.find_violated() == set(bug.violates)


def test_a_handler_that_does_not_die_marks_its_sale(box: Played) -> None:
    bug = SAFEBOX.bugs["pos_desync"]
    assert box.call("confirm_invoice", {"invoice_id": 3}, bug=bug)[0] == Ok({"invoice_id": 3, "status": "credited"})
    assert box.find_violated() == set()


@pytest.mark.parametrize("bug", [None, SAFEBOX.bugs["expired_card"]], ids=["sound", "bug"])
def test_a_card_that_has_expired_is_refused_but_where_only_revoked_ones_are(box: Played, bug: Bug | None) -> None:
    box.call("create_pos_sale", {"wallet_id": 1, "amount_minor": 20})
    given = {"wallet_id": 1, "amount_minor": 10, "key": 10, "invoice_id": 6}
    for operation in ("check_card", "request_nfc_payment", "pay_to_nfc_tag", "tap_sale"):
        asked = {name: value for name, value in given.items() if name in SAFEBOX.operations[operation].arguments}
        replies = [box.call(operation, {**asked, "card_id": card_id}, bug=bug)[0] for card_id in (1, 2, 3)]
        reasons = [reply.reason for reply in replies if isinstance(reply, Declined) and reply.reason.startswith("card_")]
        assert reasons == (["card_revoked"] if bug else ["card_revoked", "card_expired"]), operation


@pytest.mark.parametrize("bug", [None, SAFEBOX.bugs["tap_leaves_open"]], ids=["sound", "bug"])
def test_who_scans_a_sale_that_a_tap_has_paid_pays_again_only_where_the_tap_leaves_it_open(
    box: Played, bug: Bug | None
) -> None:
    if bug:
        with closing(box.target.connect()) as connection:
            connection.execute("alter table safebox.payments drop constraint payments_destination_by_kind")
    box.call(*SALE_OF_20)
    assert isinstance(box.call("tap_sale", TAP, bug=bug)[0], Ok)
    box.call("confirm_invoice", {"invoice_id": 6}, bug=bug)  # the mint was paid: in ecash too, by somebody outside
    received = box.ask("select sum(amount_minor) from safebox.entries where wallet_id = 3")
    assert received == [(40 if bug else 20,)]
    assert box.find_violated() == (set(bug.violates) if bug else set())


def test_a_timeout_taken_for_a_failure_gives_back_what_the_mint_may_have_paid(box: Played) -> None:
    box.mint = SILENT
    assert box.call("pay_address", ADDRESS, bug=SAFEBOX.bugs["timeout_means_failed"])[0] == Declined("payment_failed")
    assert box.ask("select status from safebox.payments where id = 5") == [("failed",)]


def test_a_payment_that_nobody_takes_up_again_stays_processing(box: Played) -> None:
    bug = SAFEBOX.bugs["stuck_processing"]
    box.mint = SILENT
    box.call("pay_address", ADDRESS, bug=bug)
    box.mint = ServiceSettings()
    for operation, arguments in LATER.values():
        box.call(operation, arguments, bug=bug)
    assert box.ask("select status from safebox.payments where id = 5") == [("processing",)]


def _changes(before: Contents, after: Contents, operation_id: UUID) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of `after` that `before` has not, without times and secrets; a call's own operation_id is "this"."""
    changes: dict[str, list[dict[str, Any]]] = {}
    for table, found in after.items():
        assert before[table].keys() <= found.keys(), "nothing is ever deleted"
        for key, row in found.items():
            if before[table].get(key) == row:
                continue
            changes.setdefault(table, []).append(
                {
                    name: ("this" if value == operation_id else str(value)) if isinstance(value, UUID) else value
                    for name, value in row.items()
                    if not name.endswith("_at") and name != "secret"
                }
            )
    return changes

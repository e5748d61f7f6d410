"""Bugs of safebox: what a developer forgot, each beside the sound operation that it replaces, made of the same parts.

A schedule is the shortest text that plays it (race/program/schedule.py): "AB" lets A do its first read, then B all it
does, and A goes on with what it had read.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import UUID

from integrity.operation import (
    Begin,
    Commit,
    Declined,
    Ok,
    Operation,
    Reply,
    Request,
    Rollback,
    Row,
    Rows,
    Statement,
    Step,
    Steps,
    Unavailable,
    Value,
)
from integrity.reference.safebox.cards import read_card, read_sale, refuse_card, refuse_tap
from integrity.reference.safebox.ledger import Side, credit, credit_and_notify, issue_proofs, lock_wallets
from integrity.reference.safebox.listening import OPEN_NOTIFICATIONS, open_notifications
from integrity.reference.safebox.operations import (
    OPERATIONS,
    confirm_again,
    credit_invoice,
    mark_credited,
    mark_sale_paid,
    post_receipt,
    read_invoice,
    set_paid,
)
from integrity.reference.safebox.payments import (
    SILENCE,
    Order,
    ask_mint,
    close_request,
    end,
    fail,
    find_proofs,
    finish_payment,
    give_back,
    hold_payment,
    make_payment,
    pay_once,
    post_hold,
    settle,
    take_proofs,
    told,
)
from integrity.systems.repeating import keep_trying
from integrity.systems.system import Bug, instead


def hold_what_was_read(order: Order, operation_id: UUID, refusal: str | None) -> Generator[Step, Any, Row | Declined]:
    """Read which proofs are unspent without locking the wallet, and take them later, whatever they have become."""
    if refusal:
        return Declined(refusal)
    yield Begin()
    proofs: Rows = yield find_proofs(order)
    held_minor = sum(proof["amount_minor"] for proof in proofs)
    if held_minor < order.needed_minor:
        yield Rollback()
        return Declined("insufficient_balance")
    payment: Rows = yield make_payment(order, held_minor, operation_id)
    if not payment:
        yield Rollback()
        return Declined("invoice_closed")
    yield credit(order.wallet_id, -held_minor)
    yield take_proofs(proofs, payment[0]["id"], is_unspent=False)
    yield post_hold(payment[0])
    yield Commit()
    return payment[0]


def pay_and_forget(order: Order, operation_id: UUID, *, refusal: str | None = None) -> Generator[Step, Any, Reply]:
    """Ask the mint once: a payment that it did not answer is left for somebody else, and nobody takes it up."""
    payment = yield from keep_trying(partial(hold_payment, order, operation_id, refusal))
    if isinstance(payment, Declined):
        return payment
    if payment["key"] != order.key:
        return Declined("payment_under_way")
    if str(payment["operation_id"]) == str(operation_id):
        return told(payment, (yield from finish_payment(payment)))
    if payment["status"] == "processing":  # somebody is at it, so all is well
        return Ok({"payment_id": payment["id"], "status": "processing"})
    return told(payment, payment["status"])


def leave_processing(payment: Row) -> Generator[Step, Any, str]:
    """A payment that is under way is its caller's business, and not of who polls."""
    return str(payment["status"])
    yield  # it is a generator


def finish_and_return_again(payment: Row) -> Generator[Step, Any, str]:
    """Return what a failed payment held, without asking whether somebody else has done so meanwhile."""
    if payment["status"] != "processing":
        return str(payment["status"])
    answer: Mapping[str, Value] = yield ask_mint(payment)
    if answer["status"] == "settled":
        return (yield from end(payment, "settled", partial(settle, payment, int(str(answer["fee_minor"])))))
    if answer["status"] == "failed":
        yield from keep_trying(partial(_fail_again, payment))
        return "failed"
    return "processing"


def _fail_again(payment: Row) -> Generator[Step, Any, None]:
    yield Begin()
    yield lock_wallets(payment["wallet_id"])
    yield Statement(
        "update safebox.payments set status = 'failed', ended_at = current_timestamp where id = :payment_id",
        {"payment_id": payment["id"]},
    )
    if payment["nfc_request_id"] is not None:
        yield close_request(payment["nfc_request_id"], "rejected")
    yield from give_back(payment)
    yield Commit()


def finish_or_take_silence_for_no(payment: Row) -> Generator[Step, Any, str]:
    """Take a timeout for a failure, and give the money back: the mint may have paid, or pay yet."""
    if payment["status"] != "processing":
        return str(payment["status"])
    answer: Mapping[str, Value] = yield ask_mint(payment)
    if answer["status"] == "settled":
        return (yield from end(payment, "settled", partial(settle, payment, int(str(answer["fee_minor"])))))
    return (yield from end(payment, "failed", partial(fail, payment)))


def finish_and_keep_the_reserve(payment: Row) -> Generator[Step, Any, str]:
    """Book the reserve as the fee, although the mint took less: the change is short by the difference."""
    if payment["status"] != "processing":
        return str(payment["status"])
    answer: Mapping[str, Value] = yield ask_mint(payment)
    if answer["status"] == "settled":
        return (yield from end(payment, "settled", partial(settle, payment, payment["fee_reserve_minor"])))
    if answer["status"] == "failed":
        return (yield from end(payment, "failed", partial(fail, payment)))
    return "processing"


def pay_for_each_delivery(order: Order, operation_id: UUID, *, refusal: str | None = None) -> Generator[Step, Any, Reply]:
    """Pay for whatever the relay delivers: that the request was open was read before, and is not asked again."""
    order = replace(order, key=f"{order.key}-{operation_id}")
    return (yield from pay_once(order, operation_id, refusal=refusal, hold=partial(hold_payment, answer=_answer_again)))


def _answer_again(nfc_request_id: int, status: str) -> Statement:
    return Statement(
        """
        update safebox.nfc_requests set status = :status, answered_at = current_timestamp
        where id = :nfc_request_id
        returning id
        """,
        {"nfc_request_id": nfc_request_id, "status": status},
    )


def refuse_revoked_card(card: Rows, wallet_id: int) -> str | None:
    """Ask whether the card was revoked, and not whether it has expired."""
    is_expired = bool(card) and card[0]["status"] == "expired"
    return refuse_card([{**card[0], "status": "active"}] if is_expired else card, wallet_id)


def tap_sale_in_ecash(*, operation_id: UUID, card_id: int, invoice_id: int) -> Steps:
    """Pay the merchant in ecash, which is quicker, and tell neither the sale nor its invoice: it can still be scanned."""
    card: Rows = yield read_card(card_id)
    sale: Rows = yield read_sale(invoice_id)
    refusal = refuse_tap(card, sale, refuse_card)
    if refusal:
        return Declined(refusal)
    payer, payee, amount_minor = card[0]["wallet_id"], sale[0]["wallet_id"], sale[0]["amount_minor"]
    order = Order(payer, "ecash", f"tap-{invoice_id}", amount_minor, invoice_id=invoice_id, payee_wallet_id=payee)
    return (yield from pay_once(order, operation_id))


def confirm_invoice_before_its_sale(*, operation_id: UUID, invoice_id: int) -> Steps:
    """Mark the invoice paid and commit, then mark its sale: who dies in between leaves a sale that no retry marks."""
    yield Begin()
    paid: Rows = yield set_paid(invoice_id, operation_id)
    if not paid:
        yield Rollback()
        return (yield from confirm_again(invoice_id))
    yield Commit()
    yield mark_sale_paid(invoice_id)
    status = yield from credit_invoice(paid[0])
    return Ok({"invoice_id": invoice_id, "status": status}) if status == "credited" else Unavailable(SILENCE)


def confirm_invoice_announced(*, operation_id: UUID, invoice_id: int) -> Steps:
    """Write the notification first, in a transaction of its own, and take it back where another delivery was faster."""
    yield Begin()
    paid: Rows = yield set_paid(invoice_id, operation_id)
    if paid:
        yield mark_sale_paid(invoice_id)
        yield Commit()
        status = yield from _credit_announced(paid[0])
        return Ok({"invoice_id": invoice_id, "status": status}) if status == "credited" else Unavailable(SILENCE)
    yield Rollback()
    invoice: Rows = yield read_invoice(invoice_id)
    if invoice and invoice[0]["status"] == "paid" and (yield from _credit_announced(invoice[0])) != "credited":
        return Unavailable(SILENCE)
    return Declined("already_confirmed" if invoice else "unknown_invoice")


def _credit_announced(invoice: Row) -> Generator[Step, Any, str]:
    answer: Mapping[str, Value] = yield Request("mint", {"do": "issue", "invoice_id": invoice["id"]})
    if answer["status"] != "issued":
        return "paid"
    yield from keep_trying(partial(_announce, invoice))
    if not (yield from keep_trying(partial(_credit_in_silence, invoice))):
        yield Statement("delete from safebox.notifications where invoice_id = :invoice_id", {"invoice_id": invoice["id"]})
    return "credited"


def _announce(invoice: Row) -> Generator[Step, Any, None]:
    """Notify, unless that was done."""
    yield Begin()
    yield lock_wallets(invoice["wallet_id"])
    told: Rows = yield Statement(
        "select id from safebox.notifications where invoice_id = :invoice_id", {"invoice_id": invoice["id"]}
    )
    if told:
        yield Rollback()
        return
    side = Side(invoice["wallet_id"], 0, "RECD", invoice["amount_minor"])
    yield from credit_and_notify([side], invoice["confirmed_by"], invoice_id=invoice["id"])
    yield Commit()


def _credit_in_silence(invoice: Row) -> Generator[Step, Any, bool]:
    """Credit, and return whether this did it."""
    wallet_id, amount_minor = invoice["wallet_id"], invoice["amount_minor"]
    yield Begin()
    yield lock_wallets(wallet_id)
    credited: Rows = yield mark_credited(invoice["id"])
    if not credited:
        yield Rollback()
        return False
    yield issue_proofs({wallet_id: amount_minor}, invoice["confirmed_by"])
    yield credit(wallet_id, amount_minor)
    yield post_receipt(invoice)
    yield Commit()
    return True


def _paying(pay: Callable[..., Any], *names: str) -> dict[str, Operation]:
    """Return these operations with a way to pay of the bug's own."""
    return {name: replace(OPERATIONS[name], steps=partial(OPERATIONS[name].steps, pay=pay)) for name in names}


def _finishing(finish: Callable[[Row], Generator[Step, Any, str]], *names: str) -> dict[str, Operation]:
    """Return these operations, which carry on what others began, with a way to finish of the bug's own."""
    return {name: replace(OPERATIONS[name], steps=partial(OPERATIONS[name].steps, finish=finish)) for name in names}


def open_notifications_after_the_newest(*, operation_id: UUID, wallet_id: int, last_sequence: int | None) -> Steps:
    """Go on after the newest notification, also for a client that comes back: what was told meanwhile it never sees."""
    return (yield from open_notifications(operation_id=operation_id, wallet_id=wallet_id, last_sequence=None))


TAPPING = ("check_card", "request_nfc_payment", "pay_to_nfc_tag", "tap_sale")
PAYING = ("pay_invoice", "pay_address", "answer_nfc_request", "pay_to_nfc_tag", "tap_sale")
CARRYING_ON = ("poll_status", "settle_pending")

BUGS: dict[str, Bug] = {
    bug.name: bug
    for bug in (
        Bug(
            name="double_spend",
            forgotten="Proofs are read as unspent without a lock, and taken without asking for that in the where clause.",
            operations=_paying(partial(pay_once, hold=hold_what_was_read), "pay_invoice", "pay_address", "pay_to_nfc_tag"),
            dropped=("payments.payments_one_under_way",),
            violates=("safebox/balance-equals-proofs", "safebox/proof-spent-once"),
            race=("pay_invoice", "pay_to_nfc_tag"),
            schedule="AAB",
        ),
        Bug(
            name="stuck_processing",
            forgotten="A payment that the mint did not answer in time is taken up again by nobody, its proofs pending.",
            operations={**_paying(pay_and_forget, *PAYING), **_finishing(leave_processing, *CARRYING_ON)},
            violates=(
                "safebox/payment-ended-by-poll",
                "safebox/payment-not-stuck",
                "safebox/proof-not-pending-for-long",
            ),
        ),
        Bug(
            name="refund_twice",
            forgotten="A failed payment is compensated by its caller and by a poll; neither asks whether the other has.",
            operations={
                **_paying(partial(pay_once, finish=finish_and_return_again), *PAYING),
                **_finishing(finish_and_return_again, *CARRYING_ON),
            },
            dropped=("entries.entries_one_leg_per_wallet", "entries.entries_one_leg_per_account"),
            violates=(
                "safebox/balance-equals-proofs",
                "safebox/call-at-most-once",
                "safebox/failed-call-left-nothing",
                "safebox/failed-payment-returned",
                "safebox/in-flight-equals-processing",
            ),
            race=("pay_address", "poll_status"),
            schedule="AAAAAAAAB",
        ),
        Bug(
            name="pos_desync",
            forgotten="The point of sale is updated in a transaction after the one that marks its invoice paid.",
            operations=instead(OPERATIONS, confirm_invoice_before_its_sale, "confirm_invoice"),
            violates=("safebox/pos-matches-invoice",),
            may_violate=("safebox/told-sale-is-paid",),  # where a socket of that till is open
        ),
        Bug(
            name="lost_notification",
            forgotten="The notification is committed before what it announces, and taken back alone.",
            operations=instead(OPERATIONS, confirm_invoice_announced, "confirm_invoice"),
            violates=("safebox/notification-sequence-has-no-gap", "safebox/notified-exactly-once"),
            may_violate=("safebox/told-is-stored", "safebox/socket-misses-nothing"),  # where a socket was quick enough
            race=("confirm_invoice", "confirm_invoice"),
            schedule="AB",
        ),
        Bug(
            name="missed_on_reconnect",
            forgotten="A socket that comes back goes on after the newest notification, not after the last one seen.",
            operations=instead(OPERATIONS, open_notifications_after_the_newest, OPEN_NOTIFICATIONS.name),
            violates=("safebox/socket-misses-nothing",),
        ),
        Bug(
            name="double_accept",
            forgotten="An NFC request is read as open and not asked again; each delivery of it pays under its own key.",
            operations=_paying(pay_for_each_delivery, "answer_nfc_request"),
            dropped=("payments.payments_one_per_nfc_request",),
            violates=("safebox/nfc-request-moved-money-once",),
            race=("answer_nfc_request", "answer_nfc_request"),
            schedule="AB",
        ),
        Bug(
            name="expired_card",
            forgotten="A card is refused when it was revoked; that one has had its time is seen by nobody who taps it.",
            operations={
                name: replace(OPERATIONS[name], steps=partial(OPERATIONS[name].steps, refuse=refuse_revoked_card))
                for name in TAPPING
            },
            violates=("safebox/card-decides-answer",),
        ),
        Bug(
            name="tap_leaves_open",
            forgotten="A tap pays the merchant in ecash; the sale's invoice stays open, to be paid again by who scans it.",
            operations=instead(OPERATIONS, tap_sale_in_ecash, "tap_sale"),
            dropped=("payments.payments_destination_by_kind",),
            violates=("safebox/sale-paid-once",),
        ),
        Bug(
            name="timeout_means_failed",
            forgotten="A timeout of the mint is taken for a failure; the money goes back, although the mint may have paid.",
            operations=_paying(partial(pay_once, finish=finish_or_take_silence_for_no), *PAYING),
            violates=("safebox/payment-ended-by-mint",),
        ),
        Bug(
            name="kept_reserve",
            forgotten="The fee reserve is booked as the fee; what the mint did not take of it is never given back.",
            operations=_paying(partial(pay_once, finish=finish_and_keep_the_reserve), *PAYING),
            violates=("safebox/payment-ended-by-mint",),
        ),
    )
}

"""What a safebox does: it asks for money and is paid, pays over Lightning and in ecash, taps cards, says how it stands.

Sound under concurrency at read committed. A transaction that moves money locks its wallets first, in the order of their
ids; a row whose state decides (invoice, payment, request) is changed only from the state that it must have. The mint and
the relay are asked between transactions: what they are asked about is written down before, and everybody who polls or
sweeps the wallet later carries on from there. The life of a payment is told in payments.py, what cards do in cards.py, what
a bug forgets in bugs.py; where an operation takes `pay` or `finish`, that is for a bug to put its own in place.
"""

from collections.abc import Generator, Mapping
from functools import partial
from typing import Any, Protocol
from uuid import UUID

from integrity.domain import IntegerIn, KeyOf, OneOf
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
from integrity.reference.safebox.cards import (
    answer_nfc_request,
    check_card,
    pay_to_nfc_tag,
    request_nfc_payment,
    tap_sale,
)
from integrity.reference.safebox.ledger import (
    Side,
    credit_and_notify,
    issue_proofs,
    lock_wallets,
    post,
)
from integrity.reference.safebox.listening import OPEN_NOTIFICATIONS
from integrity.reference.safebox.payments import (
    SILENCE,
    Finish,
    Order,
    Pay,
    find_payment_for,
    find_payment_of,
    finish_payment,
    pay_once,
    read_payment,
)
from integrity.systems.repeating import alone, keep_trying

SWEPT_WALLETS = 1_000
SWEPT_THINGS = 50
"""So much a sweep takes on at most: another one takes the rest."""


def access(*, operation_id: UUID, wallet_id: int) -> Steps:
    """The owner opens the wallet, and sees what it is worth."""
    wallet: Rows = yield read_standing(wallet_id)
    if not wallet:
        return Declined("unknown_wallet")
    return Ok({"handle": wallet[0]["handle"], "worth_minor": int(wallet[0]["worth_minor"])})


def create_invoice(*, operation_id: UUID, wallet_id: int, amount_minor: int) -> Steps:
    """Ask for money over Lightning: the mint gives a payment request, and says by webhook that it was paid."""
    invoice: Rows = yield make_invoice(wallet_id, amount_minor, operation_id)
    invoice_id = invoice[0]["id"]
    answer: Mapping[str, Value] = yield quote(invoice_id, amount_minor)
    if answer["status"] != "unpaid":
        return Unavailable(SILENCE)  # the invoice expires; should it be paid after all, it is credited
    return Ok({"invoice_id": invoice_id, "payment_request": answer["payment_request"]})


def create_pos_sale(*, operation_id: UUID, wallet_id: int, amount_minor: int) -> Steps:
    """A merchant shows a customer an invoice at the point of sale."""
    yield Begin()
    invoice: Rows = yield make_invoice(wallet_id, amount_minor, operation_id)
    invoice_id = invoice[0]["id"]
    sale: Rows = yield Statement(
        """
        insert into safebox.pos_sales (wallet_id, invoice_id, status, operation_id)
        values (:wallet_id, :invoice_id, 'awaiting', :operation_id)
        returning id
        """,
        {"wallet_id": wallet_id, "invoice_id": invoice_id, "operation_id": operation_id},
    )
    yield Commit()
    answer: Mapping[str, Value] = yield quote(invoice_id, amount_minor)
    if answer["status"] != "unpaid":
        return Unavailable(SILENCE)
    return Ok({"pos_sale_id": sale[0]["id"], "invoice_id": invoice_id, "payment_request": answer["payment_request"]})


def confirm_invoice(*, operation_id: UUID, invoice_id: int) -> Steps:
    """The mint says, perhaps more than once, that an invoice was paid: it is paid, its sale with it, and then credited.

    Also one that has expired here: the mint has taken the money, and its word is the last. If it is being paid from a
    wallet here, that payment is brought to its end first: who pays is told before who is paid.
    """
    paid = yield from after_its_payer(partial(mark_paid, invoice_id, operation_id))
    if paid is None:
        return (yield from confirm_again(invoice_id))
    status = yield from credit_invoice(paid)
    # Until it is credited the mint's word is not heard: it comes again, if nobody polls before.
    return Ok({"invoice_id": invoice_id, "status": status}) if status == "credited" else Unavailable(SILENCE)


def pay_invoice(*, operation_id: UUID, wallet_id: int, invoice_id: int, pay: Pay = pay_once) -> Steps:
    """Pay somebody's invoice over Lightning: from one wallet once, and never from two."""
    invoice: Rows = yield Statement(
        "select amount_minor from safebox.invoices where id = :invoice_id", {"invoice_id": invoice_id}
    )
    if not invoice:
        return Declined("unknown_invoice")
    order = Order(wallet_id, "invoice", f"invoice-{invoice_id}", invoice[0]["amount_minor"], invoice_id=invoice_id)
    return (yield from pay(order, operation_id))


def pay_address(
    *, operation_id: UUID, wallet_id: int, address: str, amount_minor: int, key: int, pay: Pay = pay_once
) -> Steps:
    """Pay to a Lightning address outside; the client's key makes its retries one payment."""
    return (yield from pay(Order(wallet_id, "address", f"address-{key}", amount_minor, address=address), operation_id))


def poll_status(*, operation_id: UUID, wallet_id: int, finish: Finish = finish_payment) -> Steps:
    """The owner asks how things stand: what is under way in the wallet is carried on, as far as the mint answers."""
    yield from carry_on(wallet_id, wallet_id, finish)
    wallet: Rows = yield from keep_trying(partial(alone, read_standing(wallet_id)))
    if not wallet:
        return Declined("unknown_wallet")
    return Ok({"notification_count": wallet[0]["notification_count"], "worth_minor": int(wallet[0]["worth_minor"])})


def settle_pending(*, operation_id: UUID, wallet_id: int, finish: Finish = finish_payment) -> Steps:
    """The service's own job sweeps a range of wallets, from this one on, for what nobody polls."""
    yield from carry_on(wallet_id, wallet_id + SWEPT_WALLETS - 1, finish)
    return Ok()


# The parts that several operations, and their bugs, are made of.


def read_standing(wallet_id: int) -> Statement:
    """Read what a wallet is worth, in one statement and so at one moment.

    Pending proofs count: until the mint has spent them they are the wallet's. So the sum does not fall and rise again when
    a payment begins and fails.
    """
    return Statement(
        """
        select
            wallets.handle,
            wallets.notification_count,
            coalesce(
                (select sum(amount_minor) from safebox.proofs where wallet_id = :wallet_id and status <> 'spent'), 0
            ) as worth_minor
        from safebox.wallets
        where wallets.id = :wallet_id
        """,
        {"wallet_id": wallet_id},
    )


def make_invoice(wallet_id: int, amount_minor: int, operation_id: UUID) -> Statement:
    return Statement(
        """
        insert into safebox.invoices (wallet_id, amount_minor, status, operation_id)
        values (:wallet_id, :amount_minor, 'unpaid', :operation_id)
        returning id
        """,
        {"wallet_id": wallet_id, "amount_minor": amount_minor, "operation_id": operation_id},
    )


def quote(invoice_id: int, amount_minor: int) -> Request:
    """Ask the mint for a payment request, once the invoice is committed: its webhook may be quicker than its answer."""
    return Request("mint", {"do": "quote", "invoice_id": invoice_id, "amount_minor": amount_minor})


class Change(Protocol):
    """Changes an invoice, unless it waits for the payment that is paying it here; returns that one, or what it changed."""

    def __call__(self, *, waits: bool) -> Generator[Step, Any, tuple[Row | None, Row | None]]: ...


def after_its_payer(change: Change, finish: Finish = finish_payment) -> Generator[Step, Any, Row | None]:
    """Change an invoice once the payment that is paying it here has ended; return it, if it was changed.

    If the mint does not say how that payment ended, the invoice does not wait any longer.
    """
    payer, changed = yield from keep_trying(partial(change, waits=True))
    if payer is not None:
        yield from finish(payer)
        _, changed = yield from keep_trying(partial(change, waits=False))
    return changed


def mark_paid(invoice_id: int, operation_id: UUID, *, waits: bool) -> Generator[Step, Any, tuple[Row | None, Row | None]]:
    """Mark an invoice and its sale paid."""
    yield Begin()
    paid: Rows = yield set_paid(invoice_id, operation_id)
    if not paid:
        yield Rollback()
        return None, None
    payers: Rows = yield find_payment_of(invoice_id)
    if payers and waits:
        yield Rollback()
        return payers[0], None
    yield mark_sale_paid(invoice_id)
    yield Commit()
    return None, paid[0]


def set_paid(invoice_id: int, operation_id: UUID) -> Statement:
    return Statement(
        """
        update safebox.invoices set status = 'paid', paid_at = current_timestamp, confirmed_by = :operation_id
        where id = :invoice_id and status in ('unpaid', 'expired')
        returning id, wallet_id, amount_minor, confirmed_by
        """,
        {"invoice_id": invoice_id, "operation_id": operation_id},
    )


def mark_sale_paid(invoice_id: int) -> Statement:
    """Of the sale that the invoice belongs to, if it belongs to one."""
    return Statement(
        "update safebox.pos_sales set status = 'paid' where invoice_id = :invoice_id", {"invoice_id": invoice_id}
    )


def read_invoice(invoice_id: int) -> Statement:
    return Statement(
        "select id, wallet_id, amount_minor, status, confirmed_by from safebox.invoices where id = :invoice_id",
        {"invoice_id": invoice_id},
    )


def confirm_again(invoice_id: int) -> Generator[Step, Any, Reply]:
    """Somebody was told before; what that one may have left undone is done now."""
    invoice: Rows = yield from keep_trying(partial(alone, read_invoice(invoice_id)))
    if not invoice:
        return Declined("unknown_invoice")
    if invoice[0]["status"] == "paid" and (yield from credit_invoice(invoice[0])) != "credited":
        return Unavailable(SILENCE)
    return Declined("already_confirmed")


def credit_invoice(invoice: Row) -> Generator[Step, Any, str]:
    """Have the mint issue the proofs of a paid invoice, and credit them; return its status."""
    answer: Mapping[str, Value] = yield Request("mint", {"do": "issue", "invoice_id": invoice["id"]})
    if answer["status"] != "issued":
        return "paid"
    yield from keep_trying(partial(credit_once, invoice))
    return "credited"


def credit_once(invoice: Row) -> Generator[Step, Any, None]:
    wallet_id, amount_minor, operation_id = invoice["wallet_id"], invoice["amount_minor"], invoice["confirmed_by"]
    yield Begin()
    yield lock_wallets(wallet_id)
    credited: Rows = yield mark_credited(invoice["id"])
    if not credited:  # somebody else carried it on
        yield Rollback()
        return
    yield issue_proofs({wallet_id: amount_minor}, operation_id)
    side = Side(wallet_id, amount_minor, "RECD", amount_minor)
    yield from credit_and_notify([side], operation_id, invoice_id=invoice["id"])
    yield post_receipt(invoice)
    yield Commit()


def mark_credited(invoice_id: int) -> Statement:
    return Statement(
        "update safebox.invoices set status = 'credited' where id = :invoice_id and status = 'paid' returning id",
        {"invoice_id": invoice_id},
    )


def post_receipt(invoice: Row) -> Statement:
    wallet_id, amount_minor = invoice["wallet_id"], invoice["amount_minor"]
    legs = [("wallet", wallet_id, amount_minor), ("mint", None, -amount_minor)]
    return post("receipt", invoice["id"], invoice["confirmed_by"], legs)


def carry_on(first_wallet_id: int, last_wallet_id: int, finish: Finish) -> Generator[Step, Any, None]:
    """Bring what is under way in these wallets to its end: payments, paid invoices, and what has had its time."""
    under_way: Rows = yield find_under_way(first_wallet_id, last_wallet_id)
    for thing in under_way:
        if thing["thing"] == "payment":
            payment: Rows = yield from keep_trying(partial(alone, read_payment(thing["id"])))
            yield from finish(payment[0])
        elif thing["thing"] == "paid invoice":
            invoice: Rows = yield from keep_trying(partial(alone, read_invoice(thing["id"])))
            yield from credit_invoice(invoice[0])
        elif thing["thing"] == "unpaid invoice":
            yield from after_its_payer(partial(expire_invoice, thing["id"]), finish)
        else:
            yield from expire_request(thing["id"], finish)


def find_under_way(first_wallet_id: int, last_wallet_id: int) -> Statement:
    return Statement(
        """
        select 'payment' as thing, id from safebox.payments
        where wallet_id between :first and :last and status = 'processing'
        union all
        select 'paid invoice' as thing, id from safebox.invoices
        where wallet_id between :first and :last and status = 'paid'
        union all
        select 'unpaid invoice' as thing, id from safebox.invoices
        where wallet_id between :first and :last and status = 'unpaid' and expires_at < current_timestamp
        union all
        select 'request' as thing, id from safebox.nfc_requests
        where wallet_id between :first and :last and status = 'open' and expires_at < current_timestamp
        order by thing, id
        limit :most
        """,
        {"first": first_wallet_id, "last": last_wallet_id, "most": SWEPT_THINGS},
    )


def expire_invoice(invoice_id: int, *, waits: bool) -> Generator[Step, Any, tuple[Row | None, Row | None]]:
    """Show that an invoice had its time, and its sale; if the mint was paid all the same, its word will come."""
    yield Begin()
    expired: Rows = yield Statement(
        "update safebox.invoices set status = 'expired' where id = :invoice_id and status = 'unpaid' returning id",
        {"invoice_id": invoice_id},
    )
    if not expired:
        yield Rollback()
        return None, None
    payers: Rows = yield find_payment_of(invoice_id)
    if payers and waits:
        yield Rollback()
        return payers[0], None
    yield Statement(
        "update safebox.pos_sales set status = 'expired' where invoice_id = :invoice_id", {"invoice_id": invoice_id}
    )
    yield Commit()
    return None, expired[0]


def expire_request(nfc_request_id: int, finish: Finish) -> Generator[Step, Any, None]:
    """Let a request expire that nobody has answered; if its card's wallet just did, bring that payment to its end."""
    expired: Rows = yield from keep_trying(
        partial(
            alone,
            Statement(
                """
                update safebox.nfc_requests set status = 'expired'
                where id = :nfc_request_id and status = 'open' and answered_at is null
                returning id
                """,
                {"nfc_request_id": nfc_request_id},
            ),
        )
    )
    if not expired:
        payments: Rows = yield from keep_trying(partial(alone, find_payment_for(nfc_request_id)))
        for payment in payments:
            yield from finish(payment)


ADDRESSES = ("gone@example.org", "shop@example.org", "tips@example.org", "rent@example.org", "aid@example.org")
"""Lightning addresses outside; nobody can be reached under the first."""

KEYS = IntegerIn(1, 1_000_000)

OPERATIONS = {
    operation.name: operation
    for operation in (
        Operation("access", access, {"wallet_id": KeyOf("wallets")}),
        Operation("create_invoice", create_invoice, {"wallet_id": KeyOf("wallets"), "amount_minor": IntegerIn(100, 5_000)}),
        Operation("confirm_invoice", confirm_invoice, {"invoice_id": KeyOf("invoices")}),
        Operation("pay_invoice", pay_invoice, {"wallet_id": KeyOf("wallets"), "invoice_id": KeyOf("invoices")}),
        Operation(
            "pay_address",
            pay_address,
            {
                "wallet_id": KeyOf("wallets"),
                "address": OneOf(ADDRESSES),
                "amount_minor": IntegerIn(10, 1_000),
                "key": KEYS,
            },
        ),
        Operation("check_card", check_card, {"wallet_id": KeyOf("wallets"), "card_id": KeyOf("cards")}),
        Operation(
            "request_nfc_payment",
            request_nfc_payment,
            {"wallet_id": KeyOf("wallets"), "card_id": KeyOf("cards"), "amount_minor": IntegerIn(10, 500)},
        ),
        Operation("answer_nfc_request", answer_nfc_request, {"nfc_request_id": KeyOf("nfc_requests")}),
        Operation(
            "pay_to_nfc_tag",
            pay_to_nfc_tag,
            {
                "wallet_id": KeyOf("wallets"),
                "card_id": KeyOf("cards"),
                "amount_minor": IntegerIn(10, 500),
                "key": KEYS,
            },
        ),
        Operation(
            "create_pos_sale", create_pos_sale, {"wallet_id": KeyOf("wallets"), "amount_minor": IntegerIn(100, 2_000)}
        ),
        Operation("tap_sale", tap_sale, {"card_id": KeyOf("cards"), "invoice_id": KeyOf("invoices")}),
        Operation("poll_status", poll_status, {"wallet_id": KeyOf("wallets")}),
        Operation("settle_pending", settle_pending, {"wallet_id": KeyOf("wallets")}),
        OPEN_NOTIFICATIONS,
    )
}

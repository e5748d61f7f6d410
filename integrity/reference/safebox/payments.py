"""The life of a payment: its proofs are held, the mint is asked to melt or swap them, and its answer is written down.

    processing, proofs pending -> settled, proofs spent, change issued
                               -> failed, proofs unspent again

Between the two stands the mint, which may take long, or never answer. No lock is held meanwhile, and nothing is concluded
from silence: a melt that timed out may have been done. So a payment without an answer stays processing, and everybody who
comes across it can bring it to its end: a mint does the same melt once, and gives the same answer whenever it is asked.
Four do: its own call, a retry of it, the next payment from that wallet, and who polls or sweeps the wallet.

A wallet's payments follow one another: one that is under way is ended before the next one begins. Else the next one could
be refused for want of money that is on its way back as change.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol
from uuid import UUID

from integrity.operation import (
    Begin,
    Commit,
    Declined,
    Ok,
    Reply,
    Request,
    Rollback,
    Row,
    Rows,
    Statement,
    Step,
    Unavailable,
    Value,
)
from integrity.reference.safebox.ledger import (
    Side,
    credit,
    credit_and_notify,
    issue_proofs,
    lock_wallets,
    post,
)
from integrity.systems.repeating import alone, keep_trying

SILENCE = "mint_did_not_answer"

TURNS_MOST = 10
"""So many payments of others are brought to their end before one's own is put off."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be paid.

    Args:
        kind: "invoice" or "address" over Lightning, "ecash" to another wallet of this service.
        key: names the payment: asked for again, it is not paid again.
    """

    wallet_id: int
    kind: str
    key: str
    amount_minor: int
    invoice_id: int | None = None
    address: str | None = None
    payee_wallet_id: int | None = None
    nfc_request_id: int | None = None

    @property
    def fee_reserve_minor(self) -> int:
        """The most that routing may cost: 2%, at least 2. Within the service it costs nothing."""
        return 0 if self.kind == "ecash" else max(2, self.amount_minor // 50)

    @property
    def needed_minor(self) -> int:
        return self.amount_minor + self.fee_reserve_minor

    def is_same(self, payment: Row) -> bool:
        """Return whether that payment is what is asked for here."""
        asked = (self.kind, self.amount_minor, self.invoice_id, self.address, self.payee_wallet_id)
        names = ("kind", "amount_minor", "invoice_id", "address", "payee_wallet_id")
        return asked == tuple(payment[name] for name in names)


def pay_once(
    order: Order,
    operation_id: UUID,
    *,
    refusal: str | None = None,
    hold: "Hold | None" = None,
    finish: "Finish | None" = None,
) -> Generator[Step, Any, Reply]:
    """Pay, and return the reply; where the mint does not answer, it is unavailable, and the payment stays processing.

    Args:
        refusal: why it may not begin, if it may not; one that was begun earlier is brought to its end all the same.
        hold, finish: a bug's, in place of the sound ones.
    """
    hold, finish = hold or hold_payment, finish or finish_payment
    for _ in range(TURNS_MOST):
        payment = yield from keep_trying(partial(hold, order, operation_id, refusal))
        if isinstance(payment, Declined):
            return payment
        is_own, is_retry = str(payment["operation_id"]) == str(operation_id), payment["key"] == order.key
        if is_retry and not order.is_same(payment):
            return Declined("key_reused")
        status = yield from finish(payment)
        if is_own or (is_retry and status != "failed"):
            return told(payment, status)
        if status == "processing":  # it stands in the way until the mint answers
            return Unavailable(SILENCE)
    return Declined("payment_under_way")


def told(payment: Row, status: str) -> Reply:
    """Return what the payer is told of a payment that has come this far."""
    if status == "processing":
        return Unavailable(SILENCE)
    return Declined("payment_failed") if status == "failed" else Ok({"payment_id": payment["id"], "status": status})


def hold_payment(
    order: Order, operation_id: UUID, refusal: str | None, *, answer: "Answer | None" = None
) -> Generator[Step, Any, Row | Declined]:
    """Make the payment and take its proofs; return it, or a payment that stands in its way, or why it cannot be.

    Args:
        answer: a bug's, in place of `answer_request`.
    """
    yield Begin()
    yield lock_wallets(order.wallet_id)
    earlier: Rows = yield Statement(
        f"""
        select {COLUMNS} from safebox.payments
        where wallet_id = :wallet_id and (status = 'processing' or key = :key and status = 'settled')
        order by case status when 'processing' then 0 else 1 end
        """,
        {"wallet_id": order.wallet_id, "key": order.key},
    )
    if earlier:
        yield Rollback()
        return earlier[0]
    proofs: Rows = [] if refusal else (yield find_proofs(order))
    held_minor = sum(proof["amount_minor"] for proof in proofs)
    refusal = refusal or (yield from refuse(order, held_minor, answer or answer_request))
    if refusal:
        yield Rollback()
        return Declined(refusal)
    payment: Rows = yield make_payment(order, held_minor, operation_id)
    if not payment:  # it is being paid from another wallet
        yield Rollback()
        return Declined("invoice_closed")
    payment_id = payment[0]["id"]
    yield take_proofs(proofs, payment_id)
    yield credit(order.wallet_id, -held_minor)
    yield post_hold(payment[0])
    yield Commit()
    return payment[0]


def refuse(order: Order, held_minor: int, answer: "Answer") -> Generator[Step, Any, str | None]:
    """Return why this cannot be paid, if it cannot; a request is answered with this payment then."""
    if held_minor < order.needed_minor:
        return "insufficient_balance"
    if order.invoice_id is not None and not (yield touch_invoice(order.invoice_id)):
        return "invoice_closed"
    if order.nfc_request_id is not None and not (yield answer(order.nfc_request_id, "open")):
        return "request_closed"
    return None


def finish_payment(payment: Row) -> Generator[Step, Any, str]:
    """Ask the mint, and write down how the payment ended; return its status. Without an answer it is left processing."""
    if payment["status"] != "processing":
        return str(payment["status"])
    answer: Mapping[str, Value] = yield ask_mint(payment)
    if answer["status"] == "settled":
        fee_minor = int(str(answer["fee_minor"]))
        return (yield from end(payment, "settled", partial(settle, payment, fee_minor)))
    if answer["status"] == "failed":
        return (yield from end(payment, "failed", partial(fail, payment)))
    return "processing"


def end(payment: Row, status: str, ending: Callable[[], Generator[Step, Any, bool]]) -> Generator[Step, Any, str]:
    """End the payment, and return its status: the one it got here, or from whoever was faster."""
    if (yield from keep_trying(ending)):
        return status
    ended: Rows = yield from keep_trying(partial(alone, read_payment(payment["id"])))
    return str(ended[0]["status"])


def settle(payment: Row, fee_minor: int) -> Generator[Step, Any, bool]:
    """The mint has paid: the proofs are spent, their rest comes back as change, both sides are told.

    Return whether this did it.
    """
    wallet_id, payee_wallet_id, operation_id = payment["wallet_id"], payment["payee_wallet_id"], payment["operation_id"]
    yield Begin()
    yield lock_wallets(*(each for each in (wallet_id, payee_wallet_id) if each is not None))
    ended: Rows = yield Statement(
        """
        update safebox.payments set status = 'settled', fee_minor = :fee_minor, ended_at = current_timestamp
        where id = :payment_id and status = 'processing'
        returning id
        """,
        {"payment_id": payment["id"], "fee_minor": fee_minor},
    )
    if not ended:  # somebody else was told, too
        yield Rollback()
        return False
    if payment["nfc_request_id"] is not None:
        yield close_request(payment["nfc_request_id"], "accepted")
    yield Statement(
        "update safebox.proofs set status = 'spent' where payment_id = :payment_id and status = 'pending'",
        {"payment_id": payment["id"]},
    )
    amount_minor = payment["amount_minor"]
    change_minor = payment["held_minor"] - amount_minor - fee_minor
    sides = [Side(wallet_id, change_minor, "SENT", amount_minor)]
    if payee_wallet_id is not None:
        sides.append(Side(payee_wallet_id, amount_minor, "RECD", amount_minor))
    issued_minor = {side.wallet_id: side.credit_minor for side in sides}
    if any(issued_minor.values()):
        yield issue_proofs(issued_minor, operation_id)
    yield from credit_and_notify(sides, operation_id, payment_id=payment["id"])
    payee = ("mint", None) if payee_wallet_id is None else ("wallet", payee_wallet_id)
    yield post(
        "settlement",
        payment["id"],
        operation_id,
        [
            ("in_flight", None, -payment["held_minor"]),
            ("wallet", wallet_id, change_minor),
            (*payee, amount_minor),
            ("fees", None, fee_minor),
        ],
    )
    yield Commit()
    return True


def fail(payment: Row) -> Generator[Step, Any, bool]:
    """The mint has not paid, and will not: everything that was held goes back. Return whether this did it."""
    yield Begin()
    yield lock_wallets(payment["wallet_id"])
    ended: Rows = yield Statement(
        """
        update safebox.payments set status = 'failed', ended_at = current_timestamp
        where id = :payment_id and status = 'processing'
        returning id
        """,
        {"payment_id": payment["id"]},
    )
    if not ended:
        yield Rollback()
        return False
    if payment["nfc_request_id"] is not None:
        yield close_request(payment["nfc_request_id"], "rejected")
    yield from give_back(payment)
    yield Commit()
    return True


# The parts that these transactions, and the bugs in them, are made of.

Answer = Callable[[int, str], Statement]
Hold = Callable[[Order, UUID, str | None], Generator[Step, Any, Row | Declined]]
Finish = Callable[[Row], Generator[Step, Any, str]]


class Pay(Protocol):
    """As `pay_once` is called by operations."""

    def __call__(
        self, order: Order, operation_id: UUID, /, *, refusal: str | None = None
    ) -> Generator[Step, Any, Reply]: ...


COLUMNS = """
            id, wallet_id, kind, key, invoice_id, address, payee_wallet_id, nfc_request_id, amount_minor,
            fee_reserve_minor, held_minor, status, operation_id
"""


def find_payment_of(invoice_id: int) -> Statement:
    """Find the payment that is paying this invoice from a wallet here."""
    return Statement(
        f"select {COLUMNS} from safebox.payments where invoice_id = :invoice_id and status = 'processing'",
        {"invoice_id": invoice_id},
    )


def find_payment_for(nfc_request_id: int) -> Statement:
    """Find the payment that answers this request, while it is under way."""
    return Statement(
        f"select {COLUMNS} from safebox.payments where nfc_request_id = :nfc_request_id and status = 'processing'",
        {"nfc_request_id": nfc_request_id},
    )


def read_payment(payment_id: int) -> Statement:
    return Statement(f"select {COLUMNS} from safebox.payments where id = :payment_id", {"payment_id": payment_id})


def touch_invoice(invoice_id: int) -> Statement:
    """Keep an unpaid invoice from being marked paid, so that who marks it then sees that it is being paid here.

    An update, and not `for share`: at repeatable read a lock that changes nothing would leave whoever waits for it with the
    snapshot from before, in which nobody is paying.
    """
    return Statement(
        "update safebox.invoices set status = 'unpaid' where id = :invoice_id and status = 'unpaid' returning id",
        {"invoice_id": invoice_id},
    )


def find_proofs(order: Order) -> Statement:
    """Find the oldest unspent proofs that suffice; if all together do not, find all.

    The oldest, so that which proofs a payment takes does not depend on what comes in at the same moment.
    """
    return Statement(
        """
        select proofs.id, proofs.amount_minor
        from (
            select id, amount_minor, sum(amount_minor) over (order by id) - amount_minor as before_minor
            from safebox.proofs
            where wallet_id = :wallet_id and status = 'unspent'
        ) as proofs
        where proofs.before_minor < :needed_minor
        order by proofs.id
        """,
        {"wallet_id": order.wallet_id, "needed_minor": order.needed_minor},
    )


def make_payment(order: Order, held_minor: int, operation_id: UUID) -> Statement:
    """Write the payment; no row comes back when it is being paid, or was paid, from another wallet."""
    return Statement(
        f"""
        insert into safebox.payments
            (wallet_id, kind, key, invoice_id, address, payee_wallet_id, nfc_request_id, amount_minor,
            fee_reserve_minor, held_minor, status, operation_id)
        values
            (:wallet_id, :kind, :key, :invoice_id, :address, :payee_wallet_id, :nfc_request_id, :amount_minor,
            :fee_reserve_minor, :held_minor, 'processing', :operation_id)
        on conflict do nothing
        returning {COLUMNS}
        """,
        {
            "wallet_id": order.wallet_id,
            "kind": order.kind,
            "key": order.key,
            "invoice_id": order.invoice_id,
            "address": order.address,
            "payee_wallet_id": order.payee_wallet_id,
            "nfc_request_id": order.nfc_request_id,
            "amount_minor": order.amount_minor,
            "fee_reserve_minor": order.fee_reserve_minor,
            "held_minor": held_minor,
            "operation_id": operation_id,
        },
    )


def take_proofs(proofs: Rows, payment_id: int, *, is_unspent: bool = True) -> Statement:
    """Let the payment hold these proofs, if they are unspent; a bug does not ask."""
    names = {f"proof_id_{n}": proof["id"] for n, proof in enumerate(proofs)}
    return Statement(
        f"""
        update safebox.proofs set status = 'pending', payment_id = :payment_id
        where id in ({", ".join(f":{name}" for name in names)}){" and status = 'unspent'" if is_unspent else ""}
        """,
        {"payment_id": payment_id, **names},
    )


def post_hold(payment: Row) -> Statement:
    wallet_id, held_minor = payment["wallet_id"], payment["held_minor"]
    legs = [("wallet", wallet_id, -held_minor), ("in_flight", None, held_minor)]
    return post("hold", payment["id"], payment["operation_id"], legs)


def give_back(payment: Row) -> Generator[Step, Any, None]:
    """Return the proofs and the debit."""
    wallet_id, held_minor = payment["wallet_id"], payment["held_minor"]
    yield Statement(
        "update safebox.proofs set status = 'unspent', payment_id = null where payment_id = :payment_id",
        {"payment_id": payment["id"]},
    )
    yield credit(wallet_id, held_minor)
    legs = [("in_flight", None, -held_minor), ("wallet", wallet_id, held_minor)]
    yield post("return", payment["id"], payment["operation_id"], legs)


def ask_mint(payment: Row) -> Request:
    """Ask the mint to melt the proofs, or to swap them for the payee: once, however often it is asked."""
    asked = {name: payment[name] for name in ("invoice_id", "address") if payment[name] is not None}
    doing: dict[str, Value] = {"do": "swap"} if payment["kind"] == "ecash" else {"do": "melt", **asked}
    return Request("mint", {**doing, "payment_id": payment["id"], "amount_minor": payment["amount_minor"]})


def answer_request(nfc_request_id: int, status: str) -> Statement:
    """Answer an NFC request, if nobody has and it has not expired: with a payment that begins, or with a no."""
    return Statement(
        """
        update safebox.nfc_requests set status = :status, answered_at = current_timestamp
        where id = :nfc_request_id and status = 'open' and answered_at is null
        returning id
        """,
        {"nfc_request_id": nfc_request_id, "status": status},
    )


def close_request(nfc_request_id: int, status: str) -> Statement:
    """Give the NFC request that was answered with a payment the end that the payment had."""
    return Statement(
        "update safebox.nfc_requests set status = :status where id = :nfc_request_id",
        {"nfc_request_id": nfc_request_id, "status": status},
    )

"""The rows that a race of safebox is played on: a small world of its own, in which every invariant holds.

- wallets_1 holds three proofs of 1024: two payments that read the same proofs would both have money enough. It asks for 900
  at its point of sale (invoices_1) and for 500 from the card of wallets_2, and both have just had their time: they can be
  paid, and they can expire.
- wallets_2 holds two proofs of 512: enough for one dear payment, or two cheap ones. Its card is cards_1.
- wallets_3 holds nothing, and has a standing invoice of 300 (invoices_2). wallets_1 has a card, too: cards_2.
"""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from integrity.operation import Value
from integrity.systems.stage import Ref, Stage, StagedRow


def stage() -> Stage:
    """Return the world."""
    now = datetime.now(UTC)
    elapsed = now - timedelta(seconds=1)
    rows = [
        *_funded("first", 3, 1_024, now),
        *_funded("second", 2, 512, now),
        StagedRow("third", "safebox.wallets", {"handle": f"race-{uuid4()}"}),
        _card("card", "second"),
        _card("other_card", "first"),
        StagedRow("elapsed", "safebox.invoices", {**_invoice("first", 900), "expires_at": elapsed}),
        StagedRow(
            "sale",
            "safebox.pos_sales",
            {
                "wallet_id": Ref("first"),
                "invoice_id": Ref("elapsed"),
                "status": "awaiting",
                "operation_id": uuid4(),
            },
        ),
        StagedRow("standing", "safebox.invoices", {**_invoice("third", 300), "expires_at": None}),
        StagedRow(
            "tapped",
            "safebox.nfc_requests",
            {
                "wallet_id": Ref("first"),
                "card_id": Ref("card"),
                "amount_minor": 500,
                "status": "open",
                "operation_id": uuid4(),
                "expires_at": elapsed,
            },
        ),
    ]
    return Stage(
        rows=rows,
        keys={
            "wallets_1": Ref("first"),
            "wallets_2": Ref("second"),
            "wallets_3": Ref("third"),
            "cards_1": Ref("card"),
            "cards_2": Ref("other_card"),
            "invoices_1": Ref("elapsed"),
            "invoices_2": Ref("standing"),
            "nfc_requests_1": Ref("tapped"),
        },
    )


def _funded(name: str, proof_count: int, proof_minor: int, now: datetime) -> list[StagedRow]:
    """Return a wallet that has been paid an invoice, with all that belongs to that."""
    amount_minor, confirmed_by = proof_count * proof_minor, uuid4()
    wallet: dict[str, Value | Ref] = {"handle": f"race-{uuid4()}", "balance_minor": amount_minor, "notification_count": 1}
    paid: dict[str, Value | Ref] = {"status": "credited", "confirmed_by": confirmed_by, "paid_at": now}
    invoice = {**_invoice(name, amount_minor), **paid}
    proofs = [
        StagedRow(
            f"{name}_proof_{number}",
            "safebox.proofs",
            {
                "wallet_id": Ref(name),
                "secret": f"race-{uuid4()}",
                "amount_minor": proof_minor,
                "status": "unspent",
                "operation_id": confirmed_by,
            },
        )
        for number in range(proof_count)
    ]
    entries = [
        StagedRow(
            f"{name}_{account}",
            "safebox.entries",
            {
                "account": account,
                "wallet_id": Ref(name) if account == "wallet" else None,
                "kind": "receipt",
                "amount_minor": leg_minor,
                "reference": Ref(f"{name}_invoice"),
                "operation_id": confirmed_by,
            },
        )
        for account, leg_minor in (("wallet", amount_minor), ("mint", -amount_minor))
    ]
    notification = StagedRow(
        f"{name}_notification",
        "safebox.notifications",
        {
            "wallet_id": Ref(name),
            "sequence": 1,
            "kind": "RECD",
            "amount_minor": amount_minor,
            "invoice_id": Ref(f"{name}_invoice"),
            "operation_id": confirmed_by,
        },
    )
    return [
        StagedRow(name, "safebox.wallets", wallet),
        StagedRow(f"{name}_invoice", "safebox.invoices", invoice),
        *proofs,
        *entries,
        notification,
    ]


def _invoice(wallet: str, amount_minor: int) -> dict[str, Value | Ref]:
    return {"wallet_id": Ref(wallet), "amount_minor": amount_minor, "status": "unpaid", "operation_id": uuid4()}


def _card(name: str, wallet: str) -> StagedRow:
    return StagedRow(name, "safebox.cards", {"wallet_id": Ref(wallet), "token": f"race-{uuid4()}", "status": "active"})

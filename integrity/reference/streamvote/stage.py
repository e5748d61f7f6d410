"""The rows that a race of streamvote is played on: a small world of its own, in which every invariant holds.

- wallets_1 and wallets_2 share a budget with room for one vote, in whichever of the two events.
- wallets_3 has stars for one vote, not for two.
- wallets_4 has voted once in the first event; its rate window has room for one more vote. No other wallet has a window yet.
- invoices_1 is open and has two events that can end it; invoices_2 is paid, and waits for its credit.
- Both events are open, and a vote costs 5 stars. Both keys are new.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import uuid4

from integrity.operation import Value
from integrity.systems.stage import Ref, Stage, StagedRow

PRICE_STARS = 5
BOUGHT_STARS = {"first": 50, "second": 50, "third": 7, "fourth": 100}
CHOICES = (1, 2, 3)


def stage() -> Stage:
    """Return the rows and their keys."""
    name = f"race-{uuid4()}"  # a search term that finds this streamer and no other
    rows = [
        StagedRow("rules", "streamvote.rules", {"votes_per_window": 20, "star_price_minor": 10}),
        StagedRow("streamer", "streamvote.streamers", {"name": name}),
        StagedRow("budget", "streamvote.budgets", {"limit_stars": 2 * PRICE_STARS - 1}),
        *_wallets(),
        *_invoice("open", "open", 30),
        *_invoice("paid", "paid", 40),
        *_event("event", sequence=2),
        *_event("other", sequence=1),
        *_vote(),
    ]
    keys: dict[str, Ref | Value] = {
        "wallets_1": Ref("first"),
        "wallets_2": Ref("second"),
        "wallets_3": Ref("third"),
        "wallets_4": Ref("fourth"),
        "live_events_1": Ref("event"),
        "live_events_2": Ref("other"),
        "invoices_1": Ref("open"),
        "invoices_2": Ref("paid"),
        "budgets_1": Ref("budget"),
        "streamers_1": Ref("streamer"),
        "terms_1": name,
        "events_1": f"race-{uuid4()}",
        "events_2": f"race-{uuid4()}",
        "keys_1": f"race-{uuid4()}",
        "keys_2": f"race-{uuid4()}",
    }
    return Stage(rows, keys)


def _wallets() -> Iterator[StagedRow]:
    """Yield the wallets, with what they bought; the fourth one's vote is in its balance already."""
    for name, bought in BOUGHT_STARS.items():
        has_voted = name == "fourth"
        yield StagedRow(
            name,
            "streamvote.wallets",
            {
                "handle": f"race-{uuid4()}",
                "budget_id": Ref("budget") if name in ("first", "second") else None,
                "balance_stars": bought - (PRICE_STARS if has_voted else 0),
                "spent_stars": PRICE_STARS if has_voted else 0,
            },
        )
        yield from _invoice(f"invoice of {name}", "credited", bought, wallet=name)
        yield from _entries(name, "purchase", Ref(f"invoice of {name}"), bought, "provider")


def _invoice(name: str, status: str, stars: int, *, wallet: str = "first") -> Iterator[StagedRow]:
    """Yield an invoice, and the event that says that it is paid."""
    now = datetime.now(UTC)
    is_paid = status in ("paid", "credited")
    yield StagedRow(
        name,
        "streamvote.invoices",
        {
            "wallet_id": Ref(wallet),
            "stars": stars,
            "status": status,
            "operation_id": uuid4(),
            "created_at": now,
            "paid_at": now if is_paid else None,
            "credited_at": now if status == "credited" else None,
        },
    )
    if is_paid:
        yield StagedRow(
            f"event of {name}",
            "streamvote.webhook_events",
            {"event_id": f"race-{uuid4()}", "invoice_id": Ref(name), "kind": "paid", "operation_id": uuid4()},
        )


def _entries(wallet: str, kind: str, reference: Ref, stars: int, other: str) -> Iterator[StagedRow]:
    """Yield both legs of a transfer."""
    operation_id = uuid4()
    for account, amount in (("wallet", stars), (other, -stars)):
        yield StagedRow(
            f"{account}'s {kind} of {wallet}",
            "streamvote.entries",
            {
                "account": account,
                "wallet_id": Ref(wallet) if account == "wallet" else None,
                "kind": kind,
                "amount_stars": amount,
                "reference": reference,
                "operation_id": operation_id,
            },
        )


def _event(name: str, *, sequence: int) -> Iterator[StagedRow]:
    """Yield an open event with its options; in the first one the first option has a vote."""
    yield StagedRow(
        name,
        "streamvote.live_events",
        {
            "streamer_id": Ref("streamer"),
            "status": "open",
            "price_stars": PRICE_STARS,
            "sequence": sequence,
            "operation_id": uuid4(),
        },
    )
    yield StagedRow(
        f"opening of {name}",
        "streamvote.event_updates",
        {"live_event_id": Ref(name), "sequence": 1, "kind": "opened", "operation_id": uuid4()},
    )
    for choice in CHOICES:
        option = f"{name}'s option {choice}"
        votes = 1 if sequence > 1 and choice == 1 else 0
        yield StagedRow(option, "streamvote.options", {"live_event_id": Ref(name), "choice": choice})
        yield StagedRow(
            f"tally of {option}",
            "streamvote.tallies",
            {"option_id": Ref(option), "vote_count": votes, "stars": votes * PRICE_STARS},
        )


def _vote() -> Iterator[StagedRow]:
    """Yield the fourth wallet's vote in the first event."""
    operation_id = uuid4()
    yield StagedRow(
        "window",
        "streamvote.rate_windows",
        {"wallet_id": Ref("fourth"), "limit_count": 2, "admitted_count": 1, "operation_id": operation_id},
    )
    yield StagedRow(
        "vote",
        "streamvote.votes",
        {
            "wallet_id": Ref("fourth"),
            "live_event_id": Ref("event"),
            "option_id": Ref("event's option 1"),
            "rate_window_id": Ref("window"),
            "idempotency_key": f"race-{uuid4()}",
            "stars": PRICE_STARS,
            "is_accepted": True,
            "operation_id": operation_id,
        },
    )
    yield from _entries("fourth", "vote", Ref("vote"), -PRICE_STARS, "streamer")
    yield StagedRow(
        "update",
        "streamvote.event_updates",
        {
            "live_event_id": Ref("event"),
            "sequence": 2,
            "kind": "vote",
            "vote_id": Ref("vote"),
            "operation_id": operation_id,
        },
    )

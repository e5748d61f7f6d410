"""What the owners of safeboxes did in the past week: their calls, and how each of them ended.

The week is played in rounds: in round n every owner who has that many makes their n-th call, all owners at once in numpy.
An owner pays only what the wallet's own invoices brought in; what others paid it comes on top. So no payment ever lacks its
money, in whatever order the payments of others arrive.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from integrity.reference.safebox.seeds.settings import WeekSettings
from integrity.seeds.settings import DAY_MS
from integrity.seeds.source import Array, Source

HOUR_MS = 3_600_000


class Kind(IntEnum):
    """Calls that leave rows; a request is told from the side of the card that was tapped."""

    CREATE_INVOICE = 0
    CREATE_POS_SALE = 1
    PAY_INVOICE = 2
    PAY_ADDRESS = 3
    PAY_TO_NFC_TAG = 4
    REQUEST_NFC_PAYMENT = 5


class End(IntEnum):
    """How a call ended: done is paid, settled or accepted; failed is also a request that was rejected."""

    DONE = 0
    FAILED = 1
    EXPIRED = 2
    STANDING = 3


@dataclass(frozen=True, slots=True, eq=False)
class Calls:
    """Calls of a week, a place in each array a call.

    Args:
        kind: a Kind.
        end: an End.
        wallet: who asks for money, or pays, from 0.
        other: who is paid by a payment or a request; else the wallet itself.
        amount_minor: of the invoice, payment or request.
        begun_us: when it was made, since 1970; a request's payment begins when it is answered.
        answered_us: when a request was answered; else as begun_us.
        ended_us: when an invoice was paid, or a payment ended.
    """

    kind: Array
    end: Array
    wallet: Array
    other: Array
    amount_minor: Array
    begun_us: Array
    answered_us: Array
    ended_us: Array

    def where(self, mask: Array) -> "Calls":
        """Return some of them."""
        return Calls(*(getattr(self, name)[mask] for name in Calls.__slots__))

    def __len__(self) -> int:
        return len(self.kind)


@dataclass(frozen=True, slots=True, eq=False)
class Week:
    """A week of some wallets, numbered from 0 in the order in which they were made.

    Args:
        created_us: when each wallet was made: in the week before.
        has_card, is_revoked, is_expired: each wallet's card.
    """

    calls: Calls
    created_us: Array
    has_card: Array
    is_revoked: Array
    is_expired: Array


def fee_reserve_minor(amount_minor: Array) -> Array:
    """Return what a payment over Lightning reserves for routing, as safebox does."""
    reserve: Array = np.maximum(2, amount_minor // 50)
    return reserve


def fee_minor(amount_minor: Array) -> Array:
    """Return what routing costs, as the mint says."""
    return amount_minor // 200 + 1


def play_week(settings: WeekSettings, wallet_count: int, source: Source) -> Week:
    """Return the week of that many wallets."""
    created_ms = settings.start_ms - 7 * DAY_MS + np.sort(source.integers(wallet_count, 0, 7 * DAY_MS - HOUR_MS))
    has_card = source.chances(wallet_count, settings.cards.share)
    has_card[0] = True  # a world without a card could not be asked for money
    is_revoked = has_card & source.chances(wallet_count, settings.cards.revoked_share)
    is_expired = has_card & ~is_revoked & source.chances(wallet_count, settings.cards.expired_share)
    is_revoked[0] = is_expired[0] = False
    owners = _Owners(settings, wallet_count, has_card & ~is_revoked & ~is_expired, source)
    rounds = [owners.play_round(number) for number in range(int(owners.call_count.max()))]
    played = {name: np.concatenate([calls[name] for calls in rounds]) for name in rounds[0]}
    order = np.argsort(played["begun_us"], kind="stable")
    calls = Calls(**{name: values[order] for name, values in played.items()})
    return Week(calls, created_ms * 1000, has_card, is_revoked, is_expired)


class _Owners:
    """The owners and the money that their own invoices brought in, one place in each array an owner."""

    def __init__(self, settings: WeekSettings, count: int, can_be_tapped: Array, source: Source) -> None:
        self.settings, self.source, self.count = settings, source, count
        self.can_be_tapped = can_be_tapped
        least, most = np.array([group.calls for group in settings.owners]).T
        group = source.choices(count, [group.share for group in settings.owners])
        self.call_count = least[group] + source.below((most - least + 1)[group])
        self.by_activity = np.argsort(-self.call_count, kind="stable")
        self.own_minor = np.zeros(count, np.int64)

    def play_round(self, number: int) -> dict[str, Array]:
        """Play the call of that number of every owner who makes it, and return these calls."""
        settings, source = self.settings, self.source
        count = int(np.count_nonzero(self.call_count > number))
        who = self.by_activity[:count]
        slot_ms = settings.days * DAY_MS // self.call_count[who]
        begun_ms = settings.start_ms + slot_ms * number + source.below(slot_ms * 7 // 10)
        other = (who + 1 + source.below(np.full(count, max(1, self.count - 1)))) % self.count

        kind = source.choices(count, list(dict(settings.calls).values()))
        asked = settings.invoices.first_amount_minor if number == 0 else settings.invoices.amount_minor
        invoice_minor = source.integers(count, *asked)
        payment_minor = source.integers(count, *settings.payments.amount_minor)
        request_minor = source.integers(count, *settings.requests.amount_minor)
        invoice_end = self._draw_ends(
            count, End.EXPIRED, settings.invoices.expired_share, End.STANDING, settings.invoices.standing_share
        )
        payment_end = self._draw_ends(count, End.FAILED, settings.payments.failed_share)
        request_end = self._draw_ends(
            count, End.FAILED, settings.requests.rejected_share, End.EXPIRED, settings.requests.expired_share
        )
        paid_ms = source.integers(count, *settings.invoices.paid_after_ms)
        ends_ms = source.integers(count, *settings.payments.ends_after_ms)
        answered_ms = source.integers(count, *settings.requests.answered_after_ms)

        kind[(kind == Kind.REQUEST_NFC_PAYMENT) & ~self.can_be_tapped[who]] = Kind.PAY_TO_NFC_TAG
        is_request = kind == Kind.REQUEST_NFC_PAYMENT
        paid_minor = np.where(is_request, request_minor, payment_minor)
        needed_minor = paid_minor + fee_reserve_minor(paid_minor)
        # Who cannot pay asks for money, and so does everybody first; a service of one wallet has nobody to pay.
        kind[(kind > Kind.CREATE_POS_SALE) & ((needed_minor > self.own_minor[who]) | (self.count == 1))] = (
            Kind.CREATE_INVOICE
        )
        if number == 0:
            kind[:] = Kind.CREATE_INVOICE
            invoice_end[:] = End.DONE
        is_request = kind == Kind.REQUEST_NFC_PAYMENT
        is_asking = kind <= Kind.CREATE_POS_SALE
        is_routed = (kind == Kind.PAY_INVOICE) | (kind == Kind.PAY_ADDRESS)
        invoice_end[(kind == Kind.CREATE_POS_SALE) & (invoice_end == End.STANDING)] = End.DONE  # a customer does not wait

        end = np.select([is_asking, is_request], [invoice_end, request_end], payment_end)
        amount_minor = np.where(is_asking, invoice_minor, paid_minor)
        cost_minor = amount_minor + np.where(is_routed, fee_minor(amount_minor), 0)
        change_minor = np.where(is_asking, amount_minor, -cost_minor)
        self.own_minor[who] += np.where(end == End.DONE, change_minor, 0)
        answer_ms = begun_ms + np.where(is_request, answered_ms, 0)
        return {
            "kind": kind,
            "end": end,
            "wallet": who,
            "other": np.where(is_asking, who, other),
            "amount_minor": amount_minor,
            "begun_us": begun_ms * 1000,
            "answered_us": answer_ms * 1000,
            "ended_us": (answer_ms + np.where(is_asking, paid_ms, ends_ms)) * 1000,
        }

    def _draw_ends(self, count: int, one: End, one_share: float, two: End = End.DONE, two_share: float = 0.0) -> Array:
        places = self.source.choices(count, [1 - one_share - two_share, one_share, two_share])
        return np.array([End.DONE, one, two])[places]

"""What a wallet's owner is told as it happens: the notifications of the wallet, one after the other, and missed ones first.

One stream serves the three sockets of the plan: the till (`/pos/ws`), the status and the notifications. Each brings every
notification of its wallet, of a sale with how the sale stands: a till that showed some of them alone could not tell one
that it missed from one that is not its own. Notifications are numbered under their wallet's lock, and so become visible in
their order: a cursor loses nothing.
"""

from uuid import UUID

from integrity.domain import IntegerIn, KeyOf
from integrity.operation import Declined, Ok, Operation, Push, Rows, Statement, Steps
from integrity.systems.system import Subscription

NOTIFICATIONS_AT_ONCE = 500


def open_notifications(*, operation_id: UUID, wallet_id: int, last_sequence: int | None) -> Steps:
    """An owner listens: from now on, or from the last notification that was seen before the connection broke."""
    wallet: Rows = yield Statement(
        "select notification_count from safebox.wallets where id = :wallet_id", {"wallet_id": wallet_id}
    )
    if not wallet:
        return Declined("unknown_wallet")
    if last_sequence is None:
        return Ok({"last_sequence": wallet[0]["notification_count"]})
    if not 0 <= last_sequence <= wallet[0]["notification_count"]:
        return Declined("unknown_last_sequence")
    return (yield from follow_notifications(operation_id=operation_id, wallet_id=wallet_id, last_sequence=last_sequence))


def follow_notifications(*, operation_id: UUID, wallet_id: int, last_sequence: int) -> Steps:
    """The stream goes on."""
    told: Rows = yield Statement(
        f"""
        select
            notifications.wallet_id   as stream,
            notifications.sequence,
            notifications.id          as event_id,
            notifications.notified_at as sent_at,
            notifications.kind,
            notifications.amount_minor,
            notifications.invoice_id,
            notifications.payment_id,
            pos_sales.status          as sale_status
        from safebox.notifications
        left join safebox.pos_sales on pos_sales.invoice_id = notifications.invoice_id
        where notifications.wallet_id = :wallet_id and notifications.sequence > :last_sequence
        order by notifications.sequence
        limit {NOTIFICATIONS_AT_ONCE}
        """,
        {"wallet_id": wallet_id, "last_sequence": last_sequence},
    )
    if told:
        yield Push(told)
    return Ok({"last_sequence": told[-1]["sequence"] if told else last_sequence})


OPEN_NOTIFICATIONS = Operation(
    "open_notifications",
    open_notifications,
    # Of a call by itself: a subscriber has a cursor of its own.
    {"wallet_id": KeyOf("wallets"), "last_sequence": IntegerIn(0, 1)},
)

SUBSCRIPTIONS = {
    OPEN_NOTIFICATIONS.name: Subscription(
        operation=OPEN_NOTIFICATIONS.name,
        follow=Operation("follow_notifications", follow_notifications, OPEN_NOTIFICATIONS.arguments),
    )
}

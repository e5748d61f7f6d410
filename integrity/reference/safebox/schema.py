"""The tables of safebox, an ecash wallet, with the constraints that a careful team would have.

A wallet's money is its proofs: ecash tokens of a mint, each of them worth a power of two sats. Beside them stand double
entries, and balance_minor is a cache of both: the sum of the unspent proofs and the sum of the wallet's entries. Money on
its way out is held: its proofs are pending, and the account in_flight has it until the mint says how the payment ended.

Whoever carries a payment or an invoice on (its own call, a retry, a poll, a sweep), the rows that this makes have the
operation_id of the call that it began with. So they are the same rows whoever was first.
"""

from typing import Any

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from integrity.systems.types import (
    Key,
    Minor,
    OperationId,
    Timestamp,
    index_where,
    key_column,
    operation_id_column,
    time_column,
)

METADATA = MetaData(schema="safebox")


class _After(FunctionElement[Any]):
    """The time so many minutes from now: a default that each engine computes by its own clock."""

    inherit_cache = True

    def __init__(self, minutes: int) -> None:
        self.minutes = minutes
        super().__init__()


@compiles(_After)
def _after_on_postgresql(element: _After, _compiler: Any, **_options: Any) -> str:
    return f"now() + interval '{element.minutes} minutes'"


@compiles(_After, "sqlite")
def _after_on_sqlite(element: _After, _compiler: Any, **_options: Any) -> str:
    return f"(datetime('now', '+{element.minutes} minutes'))"


wallets = Table(
    "wallets",
    METADATA,
    key_column(),
    Column("handle", Text, nullable=False),
    Column("balance_minor", Minor, nullable=False, server_default=text("0")),
    Column("notification_count", Minor, nullable=False, server_default=text("0")),
    time_column("created_at"),
    UniqueConstraint("handle", name="wallets_handle_key"),
    CheckConstraint("balance_minor >= 0", name="wallets_balance_not_negative"),
)

cards = Table(
    "cards",
    METADATA,
    key_column(),
    Column("wallet_id", Key, ForeignKey(wallets.c.id, name="cards_wallet_id_fkey"), nullable=False),
    Column("token", Text, nullable=False),  # what the tag says when it is tapped
    Column("status", Text, nullable=False),
    time_column("issued_at"),
    CheckConstraint("status in ('active', 'revoked', 'expired')", name="cards_status_known"),
    Index("cards_wallet_id_idx", "wallet_id"),
    UniqueConstraint("token", name="cards_token_key"),
)

invoices = Table(
    "invoices",
    METADATA,
    key_column(),
    Column("wallet_id", Key, ForeignKey(wallets.c.id, name="invoices_wallet_id_fkey"), nullable=False),
    Column("amount_minor", Minor, nullable=False),
    Column("status", Text, nullable=False),
    operation_id_column(),
    Column("confirmed_by", OperationId),  # the call that brought the mint's word; what is credited has its operation_id
    time_column("created_at"),
    Column("expires_at", Timestamp, server_default=_After(15)),  # null: it stands until it is paid, as a donation does
    Column("paid_at", Timestamp),
    CheckConstraint("amount_minor > 0", name="invoices_amount_positive"),
    CheckConstraint("status in ('unpaid', 'paid', 'credited', 'expired')", name="invoices_status_known"),
    CheckConstraint(
        "(status in ('paid', 'credited')) = (paid_at is not null and confirmed_by is not null)",
        name="invoices_paid_at_iff_paid",
    ),
    Index("invoices_wallet_id_idx", "wallet_id"),
    index_where("invoices_open_idx", "wallet_id", "expires_at", where="status in ('unpaid', 'paid')"),
    Index("invoices_confirmed_by_idx", "confirmed_by"),
    UniqueConstraint("operation_id", name="invoices_operation_id_key"),
)

nfc_requests = Table(
    "nfc_requests",
    METADATA,
    key_column(),
    Column("wallet_id", Key, ForeignKey(wallets.c.id, name="nfc_requests_wallet_id_fkey"), nullable=False),  # who asks
    Column("card_id", Key, ForeignKey(cards.c.id, name="nfc_requests_card_id_fkey"), nullable=False),  # who is asked
    Column("amount_minor", Minor, nullable=False),
    Column("status", Text, nullable=False),
    operation_id_column(),
    time_column("requested_at"),
    Column("expires_at", Timestamp, nullable=False, server_default=_After(1)),
    Column("answered_at", Timestamp),  # from here on it cannot expire: its payment is under way
    CheckConstraint("amount_minor > 0", name="nfc_requests_amount_positive"),
    CheckConstraint("status in ('open', 'accepted', 'rejected', 'expired')", name="nfc_requests_status_known"),
    CheckConstraint(
        "status = 'open' or (status in ('accepted', 'rejected')) = (answered_at is not null)",
        name="nfc_requests_answered_at_iff_answered",
    ),
    Index("nfc_requests_wallet_id_idx", "wallet_id"),
    index_where("nfc_requests_open_idx", "wallet_id", "expires_at", where="status = 'open'"),
    Index("nfc_requests_card_id_idx", "card_id"),
    UniqueConstraint("operation_id", name="nfc_requests_operation_id_key"),
)

payments = Table(
    "payments",
    METADATA,
    key_column(),
    Column("wallet_id", Key, ForeignKey(wallets.c.id, name="payments_wallet_id_fkey"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("key", Text, nullable=False),  # a retry under the same key is the same payment, unless that one failed
    Column("invoice_id", Key, ForeignKey(invoices.c.id, name="payments_invoice_id_fkey")),
    Column("address", Text),
    Column("payee_wallet_id", Key, ForeignKey(wallets.c.id, name="payments_payee_wallet_id_fkey")),
    Column("nfc_request_id", Key, ForeignKey(nfc_requests.c.id, name="payments_nfc_request_id_fkey")),
    Column("amount_minor", Minor, nullable=False),
    Column("fee_reserve_minor", Minor, nullable=False),  # the most that the mint may take for routing
    Column("held_minor", Minor, nullable=False),  # the proofs that it took: whole tokens, so mostly more than is needed
    Column("fee_minor", Minor),
    Column("status", Text, nullable=False),
    operation_id_column(),
    time_column("created_at"),
    Column("ended_at", Timestamp),
    CheckConstraint("amount_minor > 0", name="payments_amount_positive"),
    CheckConstraint("status in ('processing', 'settled', 'failed')", name="payments_status_known"),
    CheckConstraint("(status = 'processing') = (ended_at is null)", name="payments_ended_at_iff_ended"),
    CheckConstraint("(status = 'settled') = (fee_minor is not null)", name="payments_fee_iff_settled"),
    CheckConstraint("fee_minor between 0 and fee_reserve_minor", name="payments_fee_within_reserve"),
    CheckConstraint("held_minor >= amount_minor + fee_reserve_minor", name="payments_held_enough"),
    CheckConstraint("payee_wallet_id <> wallet_id", name="payments_to_another_wallet"),
    CheckConstraint(
        """case kind
            when 'invoice' then invoice_id is not null and address is null and payee_wallet_id is null
            when 'address' then invoice_id is null and address is not null and payee_wallet_id is null
            when 'ecash' then invoice_id is null and address is null and payee_wallet_id is not null
            else false end""",
        name="payments_destination_by_kind",
    ),
    CheckConstraint("nfc_request_id is null or kind = 'ecash'", name="payments_nfc_request_only_by_ecash"),
    Index("payments_wallet_id_idx", "wallet_id"),
    Index("payments_payee_wallet_id_idx", "payee_wallet_id"),
    UniqueConstraint("operation_id", name="payments_operation_id_key"),
    index_where("payments_one_per_key", "wallet_id", "key", where="status <> 'failed'", unique=True),
    index_where("payments_one_per_invoice", "invoice_id", where="status <> 'failed'", unique=True),
    index_where("payments_one_per_nfc_request", "nfc_request_id", where="status <> 'failed'", unique=True),
    index_where("payments_one_under_way", "wallet_id", where="status = 'processing'", unique=True),
)

proofs = Table(
    "proofs",
    METADATA,
    key_column(),
    Column("wallet_id", Key, ForeignKey(wallets.c.id, name="proofs_wallet_id_fkey"), nullable=False),
    Column("secret", Text, nullable=False),
    Column("amount_minor", Minor, nullable=False),
    Column("status", Text, nullable=False),
    Column("payment_id", Key, ForeignKey(payments.c.id, name="proofs_payment_id_fkey")),  # that holds or has spent it
    operation_id_column(),
    time_column("created_at"),
    UniqueConstraint("secret", name="proofs_secret_key"),
    CheckConstraint("amount_minor > 0", name="proofs_amount_positive"),
    CheckConstraint("status in ('unspent', 'pending', 'spent')", name="proofs_status_known"),
    CheckConstraint("(status = 'unspent') = (payment_id is null)", name="proofs_payment_iff_taken"),
    Index("proofs_wallet_id_idx", "wallet_id"),
    Index("proofs_payment_id_idx", "payment_id"),
    # What is left in a wallet is little, what was spent from it much.
    index_where("proofs_left_idx", "wallet_id", "id", where="status <> 'spent'"),
)

entries = Table(
    "entries",
    METADATA,
    key_column(),
    Column("account", Text, nullable=False),
    Column("wallet_id", Key, ForeignKey(wallets.c.id, name="entries_wallet_id_fkey")),
    Column("kind", Text, nullable=False),
    Column("amount_minor", Minor, nullable=False),
    Column("reference", Key, nullable=False),  # the invoice of a receipt, the payment of a hold, settlement or return
    operation_id_column(),
    time_column("created_at"),
    CheckConstraint("account in ('wallet', 'mint', 'in_flight', 'fees')", name="entries_account_known"),
    CheckConstraint("kind in ('receipt', 'hold', 'settlement', 'return')", name="entries_kind_known"),
    CheckConstraint("(account = 'wallet') = (wallet_id is not null)", name="entries_wallet_only_on_wallet_account"),
    CheckConstraint("amount_minor <> 0", name="entries_amount_not_zero"),
    Index("entries_wallet_id_idx", "wallet_id"),
    Index("entries_operation_id_idx", "operation_id"),
    index_where("entries_one_leg_per_wallet", "reference", "kind", "wallet_id", where="wallet_id is not null", unique=True),
    index_where("entries_one_leg_per_account", "reference", "kind", "account", where="wallet_id is null", unique=True),
)

pos_sales = Table(
    "pos_sales",
    METADATA,
    key_column(),
    Column("wallet_id", Key, ForeignKey(wallets.c.id, name="pos_sales_wallet_id_fkey"), nullable=False),
    Column("invoice_id", Key, ForeignKey(invoices.c.id, name="pos_sales_invoice_id_fkey"), nullable=False),
    Column("status", Text, nullable=False),
    operation_id_column(),
    time_column("created_at"),
    CheckConstraint("status in ('awaiting', 'paid', 'expired')", name="pos_sales_status_known"),
    Index("pos_sales_wallet_id_idx", "wallet_id"),
    UniqueConstraint("invoice_id", name="pos_sales_invoice_id_key"),
    UniqueConstraint("operation_id", name="pos_sales_operation_id_key"),
)

notifications = Table(
    "notifications",
    METADATA,
    key_column(),
    Column("wallet_id", Key, ForeignKey(wallets.c.id, name="notifications_wallet_id_fkey"), nullable=False),
    Column("sequence", Minor, nullable=False),  # 1, 2, 3, ... in each wallet: what a client has seen, and what it missed
    Column("kind", Text, nullable=False),
    Column("amount_minor", Minor, nullable=False),
    Column("invoice_id", Key, ForeignKey(invoices.c.id, name="notifications_invoice_id_fkey")),
    Column("payment_id", Key, ForeignKey(payments.c.id, name="notifications_payment_id_fkey")),
    operation_id_column(),
    time_column("notified_at"),
    CheckConstraint("kind in ('RECD', 'SENT')", name="notifications_kind_known"),
    CheckConstraint("(invoice_id is null) <> (payment_id is null)", name="notifications_about_one_thing"),
    UniqueConstraint("wallet_id", "sequence", name="notifications_wallet_id_sequence_key"),
    UniqueConstraint("invoice_id", name="notifications_invoice_id_key"),
    UniqueConstraint("payment_id", "wallet_id", name="notifications_payment_id_wallet_id_key"),
)

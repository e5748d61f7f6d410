"""The tables of ghostpass, a venue's wallet, with the constraints that a careful team would have.

Money is double entry. Every transfer is a set of entries with one operation_id that sum to zero: a guest's side names the
wallet, the other side one of the house accounts (processor, platform, vendor, venue). A wallet's balance_minor is a cache
of the sum of its entries. Splits say how a sale was shared, line by line; they repeat the house side of the entries, as
the reports of real venues do, and so must agree with them.
"""

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from integrity.systems.types import Key, Minor, Timestamp, index_where, key_column, operation_id_column, time_column

METADATA = MetaData(schema="ghostpass")


wallets = Table(
    "wallets",
    METADATA,
    key_column(),
    Column("code", Text, nullable=False),  # printed on the wristband as a QR code
    Column("balance_minor", Minor, nullable=False, server_default=text("0")),
    time_column("created_at"),
    UniqueConstraint("code", name="wallets_code_key"),
    CheckConstraint("balance_minor >= 0", name="wallets_balance_not_negative"),
)

entries = Table(
    "entries",
    METADATA,
    key_column(),
    Column("account", Text, nullable=False),
    Column("wallet_id", Key, ForeignKey(wallets.c.id, name="entries_wallet_id_fkey")),
    Column("kind", Text, nullable=False),
    Column("amount_minor", Minor, nullable=False),
    Column("reference", Key, nullable=False),  # the funding, sale or scan that the money moved for, by kind
    operation_id_column(),
    time_column("created_at"),
    CheckConstraint("account in ('wallet', 'processor', 'platform', 'vendor', 'venue')", name="entries_account_known"),
    CheckConstraint("kind in ('funding', 'sale', 'refund', 'reentry_fee')", name="entries_kind_known"),
    CheckConstraint("(account = 'wallet') = (wallet_id is not null)", name="entries_wallet_only_on_wallet_account"),
    CheckConstraint("amount_minor <> 0", name="entries_amount_not_zero"),
    Index("entries_wallet_id_idx", "wallet_id"),
    Index("entries_operation_id_idx", "operation_id"),
    UniqueConstraint("kind", "reference", "account", name="entries_one_leg_per_reference"),
)

fundings = Table(
    "fundings",
    METADATA,
    key_column(),
    Column("wallet_id", Key, ForeignKey(wallets.c.id, name="fundings_wallet_id_fkey"), nullable=False),
    Column("amount_minor", Minor, nullable=False),
    Column("status", Text, nullable=False),
    operation_id_column(),
    time_column("requested_at"),
    Column("settled_at", Timestamp),
    CheckConstraint("amount_minor > 0", name="fundings_amount_positive"),
    CheckConstraint("status in ('pending', 'confirmed', 'failed')", name="fundings_status_known"),
    CheckConstraint("(status = 'pending') = (settled_at is null)", name="fundings_settled_at_iff_settled"),
    Index("fundings_wallet_id_idx", "wallet_id"),
    UniqueConstraint("operation_id", name="fundings_operation_id_key"),
)

webhook_events = Table(
    "webhook_events",
    METADATA,
    key_column(),
    Column("event_id", Text, nullable=False),  # the processor's own id; it sends an event until it is answered, and again
    Column("funding_id", Key, ForeignKey(fundings.c.id, name="webhook_events_funding_id_fkey"), nullable=False),
    Column("kind", Text, nullable=False),
    operation_id_column(),
    time_column("applied_at"),
    CheckConstraint("kind in ('payment_succeeded', 'payment_failed')", name="webhook_events_kind_known"),
    Index("webhook_events_funding_id_idx", "funding_id"),
    UniqueConstraint("event_id", name="webhook_events_event_id_key"),
)

gateways = Table(
    "gateways",
    METADATA,
    key_column(),
    Column("name", Text, nullable=False),
    Column("reentry_fee_minor", Minor, nullable=False),
    UniqueConstraint("name", name="gateways_name_key"),
    CheckConstraint("reentry_fee_minor >= 0", name="gateways_fee_not_negative"),
)

scans = Table(
    "scans",
    METADATA,
    key_column(),
    Column("wallet_id", Key, ForeignKey(wallets.c.id, name="scans_wallet_id_fkey"), nullable=False),
    Column("gateway_id", Key, ForeignKey(gateways.c.id, name="scans_gateway_id_fkey"), nullable=False),
    Column("direction", Text, nullable=False),
    Column("is_accepted", Boolean, nullable=False),
    Column("entry_number", Integer),  # of an accepted scan in: 1 is the first entry, from 2 on a re-entry
    Column("fee_minor", Minor, nullable=False),
    operation_id_column(),
    time_column("scanned_at"),
    CheckConstraint("direction in ('in', 'out')", name="scans_direction_known"),
    CheckConstraint("(entry_number is not null) = (direction = 'in' and is_accepted)", name="scans_number_iff_entered"),
    Index("scans_wallet_id_idx", "wallet_id"),
    index_where("scans_one_per_entry_number", "wallet_id", "entry_number", where="entry_number is not null", unique=True),
)

presences = Table(
    "presences",
    METADATA,
    Column("wallet_id", Key, ForeignKey(wallets.c.id, name="presences_wallet_id_fkey"), primary_key=True),
    Column("is_inside", Boolean, nullable=False),
    Column("entry_count", Integer, nullable=False),
)

terminals = Table(
    "terminals",
    METADATA,
    key_column(),
    Column("name", Text, nullable=False),
    Column("platform_fee_bps", Integer, nullable=False),  # hundredths of a percent of each sale, rounded down
    Column("venue_share_bps", Integer, nullable=False),  # rounded down; the vendor gets what is left
    UniqueConstraint("name", name="terminals_name_key"),
    CheckConstraint(
        "platform_fee_bps >= 0 and venue_share_bps >= 0 and platform_fee_bps + venue_share_bps <= 10000",
        name="terminals_shares_at_most_all",
    ),
)

sales = Table(
    "sales",
    METADATA,
    key_column(),
    Column("wallet_id", Key, ForeignKey(wallets.c.id, name="sales_wallet_id_fkey"), nullable=False),
    Column("terminal_id", Key, ForeignKey(terminals.c.id, name="sales_terminal_id_fkey"), nullable=False),
    Column("amount_minor", Minor, nullable=False),
    Column("platform_fee_minor", Minor, nullable=False),
    Column("refunded_minor", Minor, nullable=False, server_default=text("0")),
    operation_id_column(),
    time_column("sold_at"),
    CheckConstraint("amount_minor > 0", name="sales_amount_positive"),
    CheckConstraint("refunded_minor between 0 and amount_minor", name="sales_refund_at_most_sale"),
    Index("sales_wallet_id_idx", "wallet_id"),
    UniqueConstraint("operation_id", name="sales_operation_id_key"),
)

splits = Table(
    "splits",
    METADATA,
    key_column(),
    Column("sale_id", Key, ForeignKey(sales.c.id, name="splits_sale_id_fkey"), nullable=False),
    Column("party", Text, nullable=False),
    Column("amount_minor", Minor, nullable=False),
    CheckConstraint("party in ('platform', 'vendor', 'venue')", name="splits_party_known"),
    CheckConstraint("amount_minor >= 0", name="splits_amount_not_negative"),
    UniqueConstraint("sale_id", "party", name="splits_sale_id_party_key"),
)

audit_log = Table(
    "audit_log",
    METADATA,
    key_column(),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("subject_id", Key, nullable=False),
    operation_id_column(),
    time_column("logged_at"),
    CheckConstraint("subject in ('funding', 'scan', 'sale')", name="audit_log_subject_known"),
    Index("audit_log_operation_id_idx", "operation_id"),
    Index("audit_log_subject_idx", "subject", "subject_id"),
)

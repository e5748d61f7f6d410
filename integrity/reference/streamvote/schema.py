"""The tables of streamvote: votes in live events, paid with stars, with the constraints that a careful team would have.

Stars are whole units and double entry: every transfer is a set of entries with one operation_id that sum to zero. A
wallet's side names the wallet, the other side is the payment provider (stars that were bought) or the streamer (stars that
were spent on a vote). balance_stars and spent_stars are caches of the entries, tallies are caches of the votes.

votes holds every answer that a vote was given, also the noes: a key that comes again is answered from it. A no because of
the rate limit is no answer to the vote, so it is not there. event_updates are what is sent to everyone who watches; their
sequence is counted by the event itself, in live_events.sequence, and has no gap.
"""

from typing import Any

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
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import FunctionElement

from integrity.systems.types import Key, Minor, Timestamp, index_where, key_column, operation_id_column, time_column

METADATA = MetaData(schema="streamvote")

WINDOW_S = 10
"""How long a rate window lasts. The database's clock alone says when it ends, so the length is a column's default."""


class _WindowEnd(FunctionElement[Any]):
    """The start of the transaction, and WINDOW_S later."""

    inherit_cache = True


@compiles(_WindowEnd)
def _window_end(_element: _WindowEnd, _compiler: Any, **_options: Any) -> str:
    return f"(current_timestamp + interval '{WINDOW_S} seconds')"


@compiles(_WindowEnd, "sqlite")
def _window_end_sqlite(_element: _WindowEnd, _compiler: Any, **_options: Any) -> str:
    return f"(datetime('now', '+{WINDOW_S} seconds'))"


rules = Table(
    "rules",
    METADATA,
    key_column(),  # the newest applies
    Column("votes_per_window", Integer, nullable=False),
    Column("star_price_minor", Minor, nullable=False),
    CheckConstraint("votes_per_window > 0 and star_price_minor > 0", name="rules_numbers_positive"),
)

budgets = Table(
    "budgets",
    METADATA,
    key_column(),
    Column("limit_stars", Minor, nullable=False),  # what the wallets that share it may spend together, as a family does
    Column("last_spent_at", Timestamp),
    CheckConstraint("limit_stars >= 0", name="budgets_limit_not_negative"),
)

wallets = Table(
    "wallets",
    METADATA,
    key_column(),
    Column("handle", Text, nullable=False),
    Column("budget_id", Key, ForeignKey(budgets.c.id, name="wallets_budget_id_fkey")),  # null: no limit
    Column("balance_stars", Minor, nullable=False, server_default=text("0")),
    Column("spent_stars", Minor, nullable=False, server_default=text("0")),
    Column("last_vote_at", Timestamp),
    time_column("created_at"),
    UniqueConstraint("handle", name="wallets_handle_key"),
    CheckConstraint("balance_stars >= 0", name="wallets_balance_not_negative"),
    CheckConstraint("spent_stars >= 0", name="wallets_spent_not_negative"),
    Index("wallets_budget_id_idx", "budget_id"),
)

entries = Table(
    "entries",
    METADATA,
    key_column(),
    Column("account", Text, nullable=False),
    Column("wallet_id", Key, ForeignKey(wallets.c.id, name="entries_wallet_id_fkey")),
    Column("kind", Text, nullable=False),
    Column("amount_stars", Minor, nullable=False),
    Column("reference", Key, nullable=False),  # the invoice or vote that the stars moved for, by kind
    operation_id_column(),
    time_column("created_at"),
    CheckConstraint("account in ('wallet', 'provider', 'streamer')", name="entries_account_known"),
    CheckConstraint("kind in ('purchase', 'vote')", name="entries_kind_known"),
    CheckConstraint("(account = 'wallet') = (wallet_id is not null)", name="entries_wallet_only_on_wallet_account"),
    CheckConstraint("amount_stars <> 0", name="entries_amount_not_zero"),
    Index("entries_wallet_id_idx", "wallet_id"),
    Index("entries_operation_id_idx", "operation_id"),
    UniqueConstraint("kind", "reference", "account", name="entries_one_leg_per_reference"),
)

invoices = Table(
    "invoices",
    METADATA,
    key_column(),
    Column("wallet_id", Key, ForeignKey(wallets.c.id, name="invoices_wallet_id_fkey"), nullable=False),
    Column("stars", Minor, nullable=False),
    Column("status", Text, nullable=False),
    operation_id_column(),
    time_column("created_at"),
    Column("paid_at", Timestamp),
    Column("credited_at", Timestamp),
    Column("expired_at", Timestamp),
    CheckConstraint("stars > 0", name="invoices_stars_positive"),
    CheckConstraint("status in ('open', 'paid', 'credited', 'expired')", name="invoices_status_known"),
    CheckConstraint("(status in ('paid', 'credited')) = (paid_at is not null)", name="invoices_paid_at_iff_paid"),
    CheckConstraint("(status = 'credited') = (credited_at is not null)", name="invoices_credited_at_iff_credited"),
    CheckConstraint("(status = 'expired') = (expired_at is not null)", name="invoices_expired_at_iff_expired"),
    Index("invoices_wallet_id_idx", "wallet_id"),
    # What is not done with is little, and asked for often.
    index_where("invoices_unfinished_idx", "status", "created_at", where="status in ('open', 'paid')"),
    UniqueConstraint("operation_id", name="invoices_operation_id_key"),
)

webhook_events = Table(
    "webhook_events",
    METADATA,
    key_column(),
    Column("event_id", Text, nullable=False),  # the provider's own id; it sends an event until it is answered, and again
    Column("invoice_id", Key, ForeignKey(invoices.c.id, name="webhook_events_invoice_id_fkey"), nullable=False),
    Column("kind", Text, nullable=False),
    operation_id_column(),
    time_column("applied_at"),
    CheckConstraint("kind in ('paid', 'failed')", name="webhook_events_kind_known"),
    Index("webhook_events_invoice_id_idx", "invoice_id"),
    Index("webhook_events_operation_id_idx", "operation_id"),
    UniqueConstraint("event_id", name="webhook_events_event_id_key"),
)

streamers = Table(
    "streamers",
    METADATA,
    key_column(),
    Column("name", Text, nullable=False),  # in lower case, as it is searched
    time_column("created_at"),
    UniqueConstraint("name", name="streamers_name_key"),
)

live_events = Table(
    "live_events",
    METADATA,
    key_column(),
    Column("streamer_id", Key, ForeignKey(streamers.c.id, name="live_events_streamer_id_fkey"), nullable=False),
    Column("status", Text, nullable=False),
    Column("price_stars", Minor, nullable=False),  # of a vote, as long as the event lasts
    Column("sequence", Integer, nullable=False),  # of the newest update; whoever holds this row's lock takes the next one
    operation_id_column(),
    time_column("opened_at"),
    Column("closed_at", Timestamp),
    CheckConstraint("status in ('open', 'closed')", name="live_events_status_known"),
    CheckConstraint("(status = 'closed') = (closed_at is not null)", name="live_events_closed_at_iff_closed"),
    CheckConstraint("price_stars > 0 and sequence > 0", name="live_events_numbers_positive"),
    Index("live_events_streamer_id_status_idx", "streamer_id", "status"),
    UniqueConstraint("operation_id", name="live_events_operation_id_key"),
)

options = Table(
    "options",
    METADATA,
    key_column(),
    Column("live_event_id", Key, ForeignKey(live_events.c.id, name="options_live_event_id_fkey"), nullable=False),
    Column("choice", Integer, nullable=False),  # 1, 2 or 3
    UniqueConstraint("live_event_id", "choice", name="options_live_event_id_choice_key"),
)

rate_windows = Table(
    "rate_windows",
    METADATA,
    key_column(),
    Column("wallet_id", Key, ForeignKey(wallets.c.id, name="rate_windows_wallet_id_fkey"), nullable=False),
    Column("limit_count", Integer, nullable=False),
    Column("admitted_count", Integer, nullable=False, server_default=text("1")),  # it begins with a vote
    time_column("started_at"),
    Column("ends_at", Timestamp, nullable=False, server_default=_WindowEnd()),
    operation_id_column(),
    CheckConstraint("admitted_count between 1 and limit_count", name="rate_windows_limit_kept"),
    Index("rate_windows_wallet_id_ends_at_idx", "wallet_id", "ends_at"),
    Index("rate_windows_operation_id_idx", "operation_id"),
)

votes = Table(
    "votes",
    METADATA,
    key_column(),
    Column("wallet_id", Key, ForeignKey(wallets.c.id, name="votes_wallet_id_fkey"), nullable=False),
    Column("live_event_id", Key, ForeignKey(live_events.c.id, name="votes_live_event_id_fkey"), nullable=False),
    Column("option_id", Key, ForeignKey(options.c.id, name="votes_option_id_fkey"), nullable=False),
    Column("rate_window_id", Key, ForeignKey(rate_windows.c.id, name="votes_rate_window_id_fkey"), nullable=False),
    Column("idempotency_key", Text, nullable=False),
    Column("stars", Minor, nullable=False),
    Column("is_accepted", Boolean, nullable=False),
    Column("reason", Text),  # of a no
    operation_id_column(),
    time_column("voted_at"),
    CheckConstraint("stars > 0", name="votes_stars_positive"),
    CheckConstraint("is_accepted = (reason is null)", name="votes_reason_iff_declined"),
    Index("votes_option_id_idx", "option_id"),
    Index("votes_rate_window_id_idx", "rate_window_id"),
    UniqueConstraint("wallet_id", "idempotency_key", name="votes_wallet_id_idempotency_key_key"),
    UniqueConstraint("operation_id", name="votes_operation_id_key"),
)

tallies = Table(
    "tallies",
    METADATA,
    Column("option_id", Key, ForeignKey(options.c.id, name="tallies_option_id_fkey"), primary_key=True),
    Column("vote_count", Integer, nullable=False),
    Column("stars", Minor, nullable=False),
    CheckConstraint("vote_count >= 0 and stars >= 0", name="tallies_not_negative"),
)

event_updates = Table(
    "event_updates",
    METADATA,
    key_column(),
    Column("live_event_id", Key, ForeignKey(live_events.c.id, name="event_updates_live_event_id_fkey"), nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("vote_id", Key, ForeignKey(votes.c.id, name="event_updates_vote_id_fkey")),
    operation_id_column(),
    time_column("sent_at"),
    CheckConstraint("kind in ('opened', 'vote', 'closed')", name="event_updates_kind_known"),
    CheckConstraint("(kind = 'vote') = (vote_id is not null)", name="event_updates_vote_iff_vote"),
    UniqueConstraint("live_event_id", "sequence", name="event_updates_live_event_id_sequence_key"),
    UniqueConstraint("vote_id", name="event_updates_vote_id_key"),
    UniqueConstraint("operation_id", name="event_updates_operation_id_key"),
)

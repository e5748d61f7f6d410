"""The tables of inbox, where businesses answer their customers, with the constraints that a careful team would have.

Everything belongs to one business, and a row names its business although its parent does too: then a foreign key over
both columns makes it impossible that a message hangs in a conversation of somebody else. Those keys are the isolation of
tenants; no operation has to remember it.

A message is its own outbox: it is stored as queued before the provider is asked, and its operation_id is the key by which
the provider knows it again. conversations.last_message_at and unread_count are caches of messages, admitted_count of a rate
window is one of the messages that it let through.
"""

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from integrity.systems.types import Key, Minor, Timestamp, index_where, key_column, operation_id_column, time_column

METADATA = MetaData(schema="inbox")

CHANNELS = ("whatsapp", "email", "sms")
_IS_CHANNEL = f"channel in ({', '.join(repr(channel) for channel in CHANNELS)})"


businesses = Table(
    "businesses",
    METADATA,
    key_column(),
    Column("name", Text, nullable=False),
    Column("messages_per_hour", Integer, nullable=False, server_default=text("1000")),  # of each member on each channel
    Column("plan_revision", Integer, nullable=False, server_default=text("0")),  # rises as a subscription begins
    Column("message_sequence", Integer, nullable=False, server_default=text("0")),  # its newest message's
    time_column("created_at"),
    UniqueConstraint("name", name="businesses_name_key"),
    CheckConstraint("messages_per_hour > 0", name="businesses_limit_positive"),
)

members = Table(
    "members",
    METADATA,
    key_column(),
    Column("business_id", Key, ForeignKey(businesses.c.id, name="members_business_id_fkey"), nullable=False),
    Column("email", Text, nullable=False),
    # Where the member's session starts: elsewhere than business_id for people of an agency, who answer for several.
    Column("home_business_id", Key, ForeignKey(businesses.c.id, name="members_home_business_id_fkey"), nullable=False),
    time_column("created_at"),
    UniqueConstraint("business_id", "id", name="members_business_id_id_key"),
    UniqueConstraint("email", "business_id", name="members_email_business_id_key"),
)

customers = Table(
    "customers",
    METADATA,
    key_column(),
    Column("business_id", Key, ForeignKey(businesses.c.id, name="customers_business_id_fkey"), nullable=False),
    Column("name", Text, nullable=False),
    time_column("created_at"),
    UniqueConstraint("business_id", "id", name="customers_business_id_id_key"),
)

conversations = Table(
    "conversations",
    METADATA,
    key_column(),
    Column("business_id", Key, ForeignKey(businesses.c.id, name="conversations_business_id_fkey"), nullable=False),
    Column("customer_id", Key, nullable=False),
    Column("member_id", Key, nullable=False),  # who answers
    Column("channel", Text, nullable=False),
    Column("last_message_at", Timestamp),
    Column("unread_count", Integer, nullable=False, server_default=text("0")),
    Column("last_read_message_id", Key, nullable=False, server_default=text("0")),  # inbound ones after it are unread
    time_column("created_at"),
    ForeignKeyConstraint(
        ["business_id", "customer_id"],
        [customers.c.business_id, customers.c.id],
        name="conversations_customer_fkey",
    ),
    ForeignKeyConstraint(
        ["business_id", "member_id"],
        [members.c.business_id, members.c.id],
        name="conversations_member_fkey",
    ),
    UniqueConstraint("business_id", "id", name="conversations_business_id_id_key"),
    UniqueConstraint("customer_id", "channel", name="conversations_customer_id_channel_key"),
    CheckConstraint(_IS_CHANNEL, name="conversations_channel_known"),
    CheckConstraint("unread_count >= 0", name="conversations_unread_not_negative"),
    Index("conversations_business_id_last_message_at_idx", "business_id", "last_message_at"),
)

rate_windows = Table(
    "rate_windows",
    METADATA,
    key_column(),
    Column("business_id", Key, nullable=False),
    Column("member_id", Key, nullable=False),
    Column("channel", Text, nullable=False),
    Column(
        "hour", Text, nullable=False
    ),  # e.g. "2026-01-17 18": text, as no way of cutting a time is understood everywhere
    Column("admitted_count", Integer, nullable=False),
    Column("limit_count", Integer, nullable=False),  # the business's when the window was opened
    ForeignKeyConstraint(
        ["business_id", "member_id"],
        [members.c.business_id, members.c.id],
        name="rate_windows_member_fkey",
    ),
    UniqueConstraint("member_id", "channel", "hour", name="rate_windows_member_id_channel_hour_key"),
    CheckConstraint(_IS_CHANNEL, name="rate_windows_channel_known"),
    CheckConstraint("admitted_count between 1 and limit_count", name="rate_windows_within_limit"),
)

messages = Table(
    "messages",
    METADATA,
    key_column(),
    Column("business_id", Key, nullable=False),
    Column("conversation_id", Key, nullable=False),
    Column("direction", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("provider_message_id", Text),  # of an outbound one: once the provider has accepted it
    Column("rate_window_id", Key, ForeignKey(rate_windows.c.id, name="messages_rate_window_id_fkey")),
    Column("sequence", Integer),  # 1, 2, 3, ... in each business: what its dashboards are told; null: older than they
    operation_id_column(),
    time_column("created_at"),
    ForeignKeyConstraint(
        ["business_id", "conversation_id"],
        [conversations.c.business_id, conversations.c.id],
        name="messages_conversation_fkey",
    ),
    CheckConstraint("direction in ('inbound', 'outbound')", name="messages_direction_known"),
    CheckConstraint("status in ('received', 'queued', 'sent', 'delivered', 'failed')", name="messages_status_known"),
    CheckConstraint("(direction = 'inbound') = (status = 'received')", name="messages_received_iff_inbound"),
    CheckConstraint("(direction = 'outbound') = (rate_window_id is not null)", name="messages_admitted_iff_outbound"),
    CheckConstraint(
        "case status when 'queued' then provider_message_id is null when 'failed' then true"
        " else provider_message_id is not null end",
        name="messages_provider_id_iff_accepted",
    ),
    UniqueConstraint("conversation_id", "id", name="messages_conversation_id_id_key"),
    UniqueConstraint("operation_id", name="messages_operation_id_key"),
    index_where("messages_business_id_sequence_key", "business_id", "sequence", where="sequence is not null", unique=True),
    # Partial, so that setting it is no change of a key: else every event would lock out the foreign keys of the others.
    index_where(
        "messages_provider_message_id_key", "provider_message_id", where="provider_message_id is not null", unique=True
    ),
    index_where("messages_queued_idx", "business_id", "id", where="status = 'queued'"),
    # With what figures are made of, so that those of a busy business are counted without reading its messages.
    Index(
        "messages_business_id_created_at_idx",
        "business_id",
        "created_at",
        postgresql_include=["conversation_id", "direction", "status"],
    ),
    Index("messages_rate_window_id_idx", "rate_window_id"),
)

provider_events = Table(
    "provider_events",
    METADATA,
    key_column(),
    Column("event_id", Text, nullable=False),  # the provider's own; it sends an event until it is answered, and again
    Column("message_id", Key, ForeignKey(messages.c.id, name="provider_events_message_id_fkey"), nullable=False),
    Column("provider_message_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    operation_id_column(),
    time_column("applied_at"),
    CheckConstraint("kind in ('sent', 'delivered', 'failed')", name="provider_events_kind_known"),
    Index("provider_events_message_id_idx", "message_id"),
    Index("provider_events_operation_id_idx", "operation_id"),
    UniqueConstraint("event_id", name="provider_events_event_id_key"),
)

checkouts = Table(
    "checkouts",
    METADATA,
    key_column(),
    Column("business_id", Key, ForeignKey(businesses.c.id, name="checkouts_business_id_fkey"), nullable=False),
    Column("amount_minor", Minor, nullable=False),
    Column("status", Text, nullable=False),
    Column(
        "session_reference", Text
    ),  # the processor's page, where the business pays; null until the processor has answered
    operation_id_column(),
    time_column("created_at"),
    Column("settled_at", Timestamp),
    CheckConstraint("amount_minor > 0", name="checkouts_amount_positive"),
    CheckConstraint("status in ('open', 'paid', 'failed', 'expired')", name="checkouts_status_known"),
    CheckConstraint("(status = 'open') = (settled_at is null)", name="checkouts_settled_at_iff_settled"),
    UniqueConstraint("business_id", "id", name="checkouts_business_id_id_key"),
    UniqueConstraint("operation_id", name="checkouts_operation_id_key"),
)

subscriptions = Table(
    "subscriptions",
    METADATA,
    key_column(),
    Column("business_id", Key, ForeignKey(businesses.c.id, name="subscriptions_business_id_fkey"), nullable=False),
    Column("checkout_id", Key, nullable=False),
    Column("status", Text, nullable=False),
    operation_id_column(),
    time_column("started_at"),
    Column("ended_at", Timestamp),
    ForeignKeyConstraint(
        ["business_id", "checkout_id"],
        [checkouts.c.business_id, checkouts.c.id],
        name="subscriptions_checkout_fkey",
    ),
    CheckConstraint("status in ('active', 'ended')", name="subscriptions_status_known"),
    CheckConstraint("(status = 'active') = (ended_at is null)", name="subscriptions_ended_at_iff_ended"),
    UniqueConstraint("checkout_id", name="subscriptions_checkout_id_key"),
    Index("subscriptions_business_id_idx", "business_id"),
    Index("subscriptions_operation_id_idx", "operation_id"),
    index_where("subscriptions_one_active", "business_id", where="status = 'active'", unique=True),
)

media = Table(
    "media",
    METADATA,
    key_column(),
    Column("business_id", Key, nullable=False),
    Column("conversation_id", Key, nullable=False),
    Column("message_id", Key, nullable=False),
    Column("object_key", Text, nullable=False),  # of the object in the store; used once
    Column("size_bytes", Integer, nullable=False),
    Column("content_hash", Text, nullable=False),
    Column("status", Text, nullable=False),
    operation_id_column(),
    time_column("created_at"),
    ForeignKeyConstraint(
        ["business_id", "conversation_id"],
        [conversations.c.business_id, conversations.c.id],
        name="media_conversation_fkey",
    ),
    ForeignKeyConstraint(
        ["conversation_id", "message_id"],
        [messages.c.conversation_id, messages.c.id],
        name="media_message_fkey",
    ),
    CheckConstraint("size_bytes > 0", name="media_size_positive"),
    CheckConstraint("status in ('pending', 'stored', 'abandoned')", name="media_status_known"),
    UniqueConstraint("object_key", name="media_object_key_key"),
    UniqueConstraint("operation_id", name="media_operation_id_key"),
    Index("media_message_id_idx", "message_id"),
    index_where("media_pending_idx", "business_id", "id", where="status = 'pending'"),
)

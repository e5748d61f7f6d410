"""The tables of instainstru, messages between those who take part in a lesson, with the constraints of a careful team.

A booking has an instructor and one student, or in a group lesson several: its participants. It has at most one
conversation, which numbers its messages 1, 2, 3, ...: last_sequence is the last number given, last_message_at the time of
that message, and both are caches of messages. A delivery says that a message was put before one other participant. A read
marker says up to which message a participant has read; its unread_count is a cache of the messages of others after that.
"""

from sqlalchemy import (
    BigInteger,
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

from integrity.systems.types import Key, Timestamp, index_where, key_column, operation_id_column, time_column

METADATA = MetaData(schema="instainstru")

users = Table(
    "users",
    METADATA,
    key_column(),
    Column("email", Text, nullable=False),
    Column("name", Text, nullable=False),
    time_column("created_at"),
    UniqueConstraint("email", name="users_email_key"),
)

bookings = Table(
    "bookings",
    METADATA,
    key_column(),
    Column("lesson", Text, nullable=False),
    time_column("booked_at"),
    Column("starts_at", Timestamp, nullable=False),
)

participants = Table(
    "participants",
    METADATA,
    key_column(),
    Column("booking_id", Key, ForeignKey(bookings.c.id, name="participants_booking_id_fkey"), nullable=False),
    Column("user_id", Key, ForeignKey(users.c.id, name="participants_user_id_fkey"), nullable=False),
    Column("role", Text, nullable=False),
    CheckConstraint("role in ('instructor', 'student')", name="participants_role_known"),
    UniqueConstraint("booking_id", "user_id", name="participants_booking_id_user_id_key"),
    Index("participants_user_id_idx", "user_id"),
    index_where("participants_one_instructor", "booking_id", where="role = 'instructor'", unique=True),
)

conversations = Table(
    "conversations",
    METADATA,
    key_column(),
    Column("booking_id", Key, ForeignKey(bookings.c.id, name="conversations_booking_id_fkey"), nullable=False),
    Column("last_sequence", BigInteger, nullable=False, server_default=text("0")),
    Column("last_message_at", Timestamp),
    operation_id_column(),
    time_column("opened_at"),
    CheckConstraint("last_sequence >= 0", name="conversations_last_sequence_not_negative"),
    CheckConstraint("(last_sequence = 0) = (last_message_at is null)", name="conversations_last_message_at_iff_any"),
    UniqueConstraint("booking_id", name="conversations_booking_id_key"),
    Index("conversations_operation_id_idx", "operation_id"),
)

messages = Table(
    "messages",
    METADATA,
    key_column(),
    Column("conversation_id", Key, ForeignKey(conversations.c.id, name="messages_conversation_id_fkey"), nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("sender_id", Key, ForeignKey(participants.c.id, name="messages_sender_id_fkey"), nullable=False),
    Column("client_message_id", Text, nullable=False),  # the sender's own; sent again, it is the same message
    Column("body", Text, nullable=False),
    operation_id_column(),
    time_column("sent_at"),
    CheckConstraint("sequence > 0", name="messages_sequence_positive"),
    CheckConstraint("body <> ''", name="messages_body_not_empty"),
    UniqueConstraint("conversation_id", "sequence", name="messages_conversation_id_sequence_key"),
    UniqueConstraint("sender_id", "client_message_id", name="messages_sender_id_client_message_id_key"),
    UniqueConstraint("operation_id", name="messages_operation_id_key"),
)

deliveries = Table(
    "deliveries",
    METADATA,
    key_column(),
    Column("message_id", Key, ForeignKey(messages.c.id, name="deliveries_message_id_fkey"), nullable=False),
    Column("participant_id", Key, ForeignKey(participants.c.id, name="deliveries_participant_id_fkey"), nullable=False),
    operation_id_column(),
    time_column("delivered_at"),
    UniqueConstraint("message_id", "participant_id", name="deliveries_message_id_participant_id_key"),
    Index("deliveries_participant_id_idx", "participant_id"),
    Index("deliveries_operation_id_idx", "operation_id"),
)

read_markers = Table(
    "read_markers",
    METADATA,
    key_column(),
    Column("participant_id", Key, ForeignKey(participants.c.id, name="read_markers_participant_id_fkey"), nullable=False),
    Column(
        "conversation_id", Key, ForeignKey(conversations.c.id, name="read_markers_conversation_id_fkey"), nullable=False
    ),
    Column("last_read_sequence", BigInteger, nullable=False, server_default=text("0")),
    Column("unread_count", Integer, nullable=False, server_default=text("0")),
    operation_id_column(),  # of the call that moved the marker last, at first of the one that made it
    Column("read_at", Timestamp),
    CheckConstraint("last_read_sequence >= 0", name="read_markers_last_read_sequence_not_negative"),
    CheckConstraint("unread_count >= 0", name="read_markers_unread_count_not_negative"),
    CheckConstraint("(last_read_sequence = 0) = (read_at is null)", name="read_markers_read_at_iff_read"),
    UniqueConstraint("participant_id", "conversation_id", name="read_markers_participant_id_conversation_id_key"),
    Index("read_markers_conversation_id_idx", "conversation_id"),
    Index("read_markers_operation_id_idx", "operation_id"),
)

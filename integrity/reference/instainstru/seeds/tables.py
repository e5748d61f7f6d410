"""The rows that the past weeks of instainstru left behind: what its operations write, call by call.

Ids count up in order of time, batch after batch; rows of a call have its operation_id and its time, as rows of one
transaction have.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from integrity.engines.columns import bigints, integers, labels, texts, timestamps, uuids
from integrity.errors import UsageError
from integrity.project import reference_folder
from integrity.reference.instainstru.seeds.past import Part, count_instructors, live_through
from integrity.reference.instainstru.seeds.settings import PastSettings, read_settings
from integrity.seeds.settings import DAY_MS
from integrity.seeds.source import Array, Source, make_operation_ids
from integrity.systems.seeder import Batch, SeededRows, Seeder, Size, Start

CONVERSATIONS_A_BATCH = 25_000
MESSAGES_A_BATCH = 200_000
"""Parts of what the seed means: other batches, other rows. About 150 MB while they are made."""

USERS_A_BATCH = 100_000
MESSAGES_A_CONVERSATION_MOST = 100_000
USERS = 1  # beside their ids in the name of their source of random numbers, which differs from those of bookings


def generate(sizes: Mapping[str, int], seed: int, start: Start) -> Iterator[Batch]:
    """Yield the past weeks of that many conversations and messages, all of new users, who come first.

    Raises:
        UsageError: numbers that do not go together.
    """
    settings = read_settings(start.settings or reference_folder("seeds") / "instainstru.toml")
    user_count, conversation_count, message_count = sizes["users"], sizes["conversations"], sizes["messages"]
    if user_count < 2:
        raise UsageError(f"--users {user_count}: a lesson takes an instructor and a student", hint="Ask for 2 or more.")
    if message_count > conversation_count * MESSAGES_A_CONVERSATION_MOST:
        raise UsageError(
            f"--messages {message_count}: more than {MESSAGES_A_CONVERSATION_MOST:,} for each of "
            f"{conversation_count:,} conversations",
            hint="A conversation is made as a whole: ask for more of them with --conversations.",
        )
    next_ids = dict(start.next_ids)
    first_user_id = next_ids["users"]
    for first in range(0, user_count, USERS_A_BATCH):
        numbers = np.arange(first, min(first + USERS_A_BATCH, user_count))
        source = Source(seed, first_user_id + first, USERS)
        yield Batch(0, [_user_rows(settings, source, first_user_id, numbers, user_count)])
    step = min(CONVERSATIONS_A_BATCH, max(1, MESSAGES_A_BATCH * conversation_count // max(1, message_count)))
    for first in range(0, conversation_count, step):
        last = min(first + step, conversation_count)
        # Named by the first booking's id: what is added later has a past of its own.
        source = Source(seed, next_ids["bookings"])
        part = live_through(
            settings,
            source,
            user_count=user_count,
            conversation_count=last - first,
            unopened_count=_up_to(settings, last) - _up_to(settings, first),
            message_count=message_count * last // conversation_count - message_count * first // conversation_count,
        )
        tables = _part_rows(part, settings, first_user_id, next_ids, source)
        for rows in tables:
            next_ids[rows.table] += len(rows)
        yield Batch(last - first, tables)


SEEDER = Seeder(
    name="instainstru",
    sizes=(
        Size("conversations", 5_000, 10_000_000),
        Size("messages", 50_000, 100_000_000),
        Size("users", 500, 10_000_000),
    ),
    reads={},
    generate=generate,
)


def _up_to(settings: PastSettings, conversation_count: int) -> int:
    """Return how many bookings without a conversation there are beside the first so many with one."""
    return round(settings.bookings.unopened_share * 1_000_000) * conversation_count // 1_000_000


def _user_rows(settings: PastSettings, source: Source, first_id: int, numbers: Array, user_count: int) -> SeededRows:
    ids = first_id + numbers
    kinds = np.where(numbers < count_instructors(settings, user_count), b"Instructor ", b"Student ")
    before_s = settings.users.registered_before_days * DAY_MS // 1_000
    slot_s = max(1, before_s // user_count)  # so that ids are in order of registration, whatever the batches
    registered_s = settings.start_ms // 1_000 - before_s + slot_s * numbers + source.integers(len(ids), 0, slot_s - 1)
    return SeededRows(
        "users",
        [
            bigints("id", ids),
            texts("email", np.char.add(np.char.add(b"user-", np.char.zfill(ids.astype("S"), 8)), b"@example.org")),
            texts("name", np.char.add(kinds, ids.astype("S"))),
            timestamps("created_at", registered_s * 1_000_000),
        ],
    )


def _part_rows(
    part: Part, settings: PastSettings, first_user_id: int, next_ids: Mapping[str, int], source: Source
) -> list[SeededRows]:
    booking_ids = next_ids["bookings"] + np.arange(len(part.booked_ms))
    participant_ids = next_ids["participants"] + np.arange(len(part.participant_booking))
    conversation_ids = np.empty(len(part.opened_ms), np.int64)
    in_order = np.argsort(part.opened_ms, kind="stable")
    conversation_ids[in_order] = next_ids["conversations"] + np.arange(len(in_order))
    message_ids = next_ids["messages"] + np.arange(len(part.sent_ms))
    opening_ids = make_operation_ids(part.opened_ms * 1_000, source)
    sending_ids = make_operation_ids(part.sent_ms * 1_000, source)
    has_messages = part.message_count > 0
    return [
        SeededRows(
            "bookings",
            [
                bigints("id", booking_ids),
                labels("lesson", settings.bookings.lessons, part.lesson),
                timestamps("booked_at", part.booked_ms * 1_000),
                timestamps("starts_at", part.starts_ms * 1_000),
            ],
        ),
        SeededRows(
            "participants",
            [
                bigints("id", participant_ids),
                bigints("booking_id", booking_ids[part.participant_booking]),
                bigints("user_id", first_user_id + part.participant_user),
                labels("role", ("student", "instructor"), part.is_instructor.astype(np.int64)),
            ],
        ),
        SeededRows(
            "conversations",
            [
                bigints("id", conversation_ids[in_order]),
                bigints("booking_id", booking_ids[in_order]),
                bigints("last_sequence", part.message_count[in_order]),
                timestamps("last_message_at", part.last_message_ms[in_order] * 1_000, ~has_messages[in_order]),
                uuids("operation_id", opening_ids[in_order]),
                timestamps("opened_at", part.opened_ms[in_order] * 1_000),
            ],
        ),
        SeededRows(
            "messages",
            [
                bigints("id", message_ids),
                bigints("conversation_id", conversation_ids[part.message_conversation]),
                bigints("sequence", part.message_sequence),
                bigints("sender_id", participant_ids[part.message_sender]),
                texts("client_message_id", np.char.add(b"m-", message_ids.astype("S"))),
                labels("body", settings.messages.bodies, part.message_body),
                uuids("operation_id", sending_ids),
                timestamps("sent_at", part.sent_ms * 1_000),
            ],
        ),
        _delivery_rows(part, participant_ids, message_ids, sending_ids, next_ids),
        _read_marker_rows(
            part, participant_ids, conversation_ids, opening_ids, first_id=next_ids["read_markers"], source=source
        ),
    ]


def _delivery_rows(
    part: Part, participant_ids: Array, message_ids: Array, sending_ids: Array, next_ids: Mapping[str, int]
) -> SeededRows:
    message = part.delivery_message
    return SeededRows(
        "deliveries",
        [
            bigints("id", next_ids["deliveries"] + np.arange(len(message))),
            bigints("message_id", message_ids[message]),
            bigints("participant_id", participant_ids[part.delivery_participant]),
            uuids("operation_id", sending_ids[message]),
            timestamps("delivered_at", part.sent_ms[message] * 1_000),
        ],
    )


def _read_marker_rows(
    part: Part,
    participant_ids: Array,
    conversation_ids: Array,
    opening_ids: Array,
    *,
    first_id: int,
    source: Source,
) -> SeededRows:
    """Return the markers in the order in which their conversations were opened, as the operations make them."""
    count = len(part.last_read_sequence)
    conversation = part.participant_booking[:count]
    order = np.argsort(conversation_ids[conversation], kind="stable")
    conversation, last_read = conversation[order], part.last_read_sequence[order]
    has_read = last_read > 0
    reading_ids = make_operation_ids(part.read_ms[order] * 1_000, source)
    return SeededRows(
        "read_markers",
        [
            bigints("id", first_id + np.arange(count)),
            bigints("participant_id", participant_ids[:count][order]),
            bigints("conversation_id", conversation_ids[conversation]),
            bigints("last_read_sequence", last_read),
            integers("unread_count", part.unread_count[order]),
            uuids("operation_id", np.where(has_read, reading_ids, opening_ids[conversation])),
            timestamps("read_at", part.read_ms[order] * 1_000, ~has_read),
        ],
    )

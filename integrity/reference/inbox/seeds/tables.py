"""The rows that a past of inbox left behind: what its operations write, with nothing under way any more.

First come the businesses, their members and what they paid; then, some members at a time, their conversations. Nothing is
queued, open or pending: it would have been settled long ago. Ids of messages count up in order of time within a batch, and
so within a conversation.
"""

import binascii
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from integrity.engines.columns import bigints, integers, labels, texts, timestamps, uuids
from integrity.project import reference_folder
from integrity.reference.inbox.seeds.past import CHANNELS, EMAIL, HOUR_US, Fate, Past, draw_past, share_out
from integrity.reference.inbox.seeds.settings import DAY_S, PastSettings, read_settings
from integrity.seeds.source import Array, Source, make_operation_ids
from integrity.systems.seeder import Batch, SeededRows, Seeder, Size, Start

LOAD_A_BATCH = 200_000
"""Messages and conversations of a batch; more only where one member has more. About 250 MB while they are made."""

PEOPLE, CONVERSATIONS = 1, 2  # what a source is for: numbers of their own for each
STATUSES = ("received", "sent", "delivered", "failed", "failed")  # of each fate


@dataclass(frozen=True, slots=True, eq=False)
class Members:
    """Members, in order of their businesses, a place in each array one of them.

    Args:
        id, business_id: of each.
        conversation_ends, message_ends: how many conversations and messages there are up to the end of each one's.
    """

    id: Array
    business_id: Array
    conversation_ends: Array
    message_ends: Array


def generate(sizes: Mapping[str, int], seed: int, start: Start) -> Iterator[Batch]:
    """Yield the past of so many businesses, users, conversations and messages; added to another, a world beside it."""
    settings = read_settings(start.settings or reference_folder("seeds") / "inbox.toml")
    next_ids = dict(start.next_ids)
    source = Source(seed, PEOPLE, next_ids["businesses"])
    members, tables = _people(settings, sizes, next_ids, source)
    yield Batch(0, _numbered(tables, next_ids))
    loads = (members.conversation_ends + members.message_ends - 1) // LOAD_A_BATCH
    starts = [0, *(np.flatnonzero(np.diff(loads)) + 1).tolist(), len(members.id)]
    conversations_done = messages_done = 0
    for first, after in pairwise(starts):
        conversation_count = int(members.conversation_ends[after - 1]) - conversations_done
        message_count = int(members.message_ends[after - 1]) - messages_done
        conversations_done, messages_done = conversations_done + conversation_count, messages_done + message_count
        if not conversation_count:
            continue
        source = Source(seed, CONVERSATIONS, next_ids["conversations"])
        counts = np.diff(members.conversation_ends[first:after], prepend=conversations_done - conversation_count)
        places = np.repeat(np.arange(first, after), counts)
        past = draw_past(settings, places, members.business_id[places], message_count, source)
        yield Batch(conversation_count, _numbered(_conversations(settings, members, past, next_ids, source), next_ids))


SEEDER = Seeder(
    name="inbox",
    sizes=(
        Size("conversations", default=5_000, most=10_000_000),
        Size("messages", default=50_000, most=100_000_000),
        Size("businesses", default=50, most=100_000),
        Size("users", default=500, most=1_000_000),
    ),
    reads={},
    generate=generate,
)


def _numbered(tables: list[SeededRows], next_ids: dict[str, int]) -> list[SeededRows]:
    """Return the tables that have rows, with the next ids counted on."""
    tables = [rows for rows in tables if len(rows)]
    for rows in tables:
        next_ids[rows.table] += len(rows)
    return tables


def _people(
    settings: PastSettings, sizes: Mapping[str, int], next_ids: Mapping[str, int], source: Source
) -> tuple[Members, list[SeededRows]]:
    """Return the members, and the rows of businesses, members and what the businesses paid."""
    business_count, user_count = sizes["businesses"], sizes["users"]
    business_ids = next_ids["businesses"] + np.arange(business_count)
    weights = np.array([group.weight for group in settings.businesses])
    weight = weights[source.choices(business_count, [group.share for group in settings.businesses])]
    # Everybody has a member before anybody has two. Who has none has just signed up, and has no conversation either.
    has_member = np.arange(business_count) < user_count
    member_counts = has_member + share_out(max(0, user_count - business_count), weight)
    business = np.repeat(np.arange(business_count), member_counts)
    member_ids = next_ids["members"] + np.arange(user_count)
    # About as much for each member, wherever: a busy business has more members, and nobody is near the rate limit.
    to_do = share_out(sizes["conversations"], source.integers(user_count, 3, 5))
    ends = np.cumsum(to_do)
    # As many messages as conversations, in proportion: whole numbers, which Python's do not overflow.
    message_ends = np.array([end * sizes["messages"] // sizes["conversations"] for end in ends.tolist()], np.int64)
    members = Members(member_ids, business_ids[business], ends, message_ends)

    home = np.where(
        source.chances(user_count, settings.agency_share), source.integers(user_count, 0, business_count - 1), business
    )
    paid_counts, payments = _payments(settings, business_ids, next_ids, source)
    founded_us = settings.begins_us - 1_000_000 * source.integers(business_count, 1, 30 * DAY_S)
    tables = [
        SeededRows(
            "businesses",
            [
                bigints("id", business_ids),
                texts("name", np.char.add(b"Business ", business_ids.astype("S"))),
                integers("messages_per_hour", np.full(business_count, settings.messages_per_hour)),
                integers("plan_revision", paid_counts),
                timestamps("created_at", founded_us),
            ],
        ),
        SeededRows(
            "members",
            [
                bigints("id", member_ids),
                bigints("business_id", business_ids[business]),
                texts("email", np.char.add(np.char.add(b"member", member_ids.astype("S")), b"@example.com")),
                bigints("home_business_id", business_ids[home]),
                timestamps("created_at", founded_us[business]),
            ],
        ),
        *payments,
    ]
    return members, tables


def _payments(
    settings: PastSettings, business_ids: Array, next_ids: Mapping[str, int], source: Source
) -> tuple[Array, list[SeededRows]]:
    """Return how often each business paid, and the rows of checkouts and subscriptions. The last paid one is active."""
    checkouts = settings.checkouts
    counts = source.integers(len(business_ids), *checkouts.of_a_business)
    business = np.repeat(np.arange(len(business_ids)), counts)
    count = len(business)
    number = np.arange(count) - np.repeat(np.cumsum(counts) - counts, counts)
    slot_s = settings.days * DAY_S // counts[business]
    settled_after_s = source.integers(count, *checkouts.settled_after_s)
    created_s = number * slot_s + source.below(slot_s - settled_after_s)
    order = np.argsort(created_s, kind="stable")
    business, settled_after_s = business[order], settled_after_s[order]
    created_us = settings.begins_us + created_s[order] * 1_000_000
    settled_us = created_us + settled_after_s * 1_000_000
    failed, expired = checkouts.failed_share, checkouts.expired_share
    outcome = source.choices(count, (1 - failed - expired, failed, expired))
    checkout_ids = next_ids["checkouts"] + np.arange(count)

    paid = np.flatnonzero(outcome == 0)
    payer, began_us = business[paid], settled_us[paid]
    by_payer = np.argsort(payer, kind="stable")  # and by time
    followed = np.flatnonzero(np.diff(payer[by_payer]) == 0)
    ended_us, has_ended = np.zeros(len(paid), np.int64), np.zeros(len(paid), np.bool_)
    ended_us[by_payer[followed]] = began_us[by_payer[followed + 1]]
    has_ended[by_payer[followed]] = True
    return np.bincount(payer, minlength=len(business_ids)), [
        SeededRows(
            "checkouts",
            [
                bigints("id", checkout_ids),
                bigints("business_id", business_ids[business]),
                bigints("amount_minor", np.full(count, checkouts.amount_minor)),
                labels("status", ("paid", "failed", "expired"), outcome),
                texts("session_reference", np.char.add(b"session-", checkout_ids.astype("S")), outcome == 2),
                uuids("operation_id", make_operation_ids(created_us, source)),
                timestamps("created_at", created_us),
                timestamps("settled_at", settled_us),
            ],
        ),
        SeededRows(
            "subscriptions",
            [
                bigints("id", next_ids["subscriptions"] + np.arange(len(paid))),
                bigints("business_id", business_ids[payer]),
                bigints("checkout_id", checkout_ids[paid]),
                labels("status", ("active", "ended"), has_ended.astype(np.int64)),
                uuids("operation_id", make_operation_ids(began_us, source)),
                timestamps("started_at", began_us),
                timestamps("ended_at", ended_us, ~has_ended),
            ],
        ),
    ]


@dataclass(frozen=True, slots=True, eq=False)
class _Ids:
    """The ids of a past's rows, and of what they belong to.

    Args:
        business: of each conversation.
        conversation, customer: of each conversation.
        message: of each message.
        window: of each window.
    """

    business: Array
    conversation: Array
    customer: Array
    message: Array
    window: Array


def _conversations(
    settings: PastSettings, members: Members, past: Past, next_ids: Mapping[str, int], source: Source
) -> list[SeededRows]:
    ids = _Ids(
        business=members.business_id[past.member],
        conversation=next_ids["conversations"] + np.arange(len(past.member)),
        customer=next_ids["customers"] + past.customer,
        message=next_ids["messages"] + np.arange(len(past.conversation)),
        window=next_ids["rate_windows"] + np.arange(len(past.window_count)),
    )
    names = _provider_message_ids(past, ids)
    return [
        _customer_rows(past, ids),
        _conversation_rows(members, past, ids),
        _window_rows(settings, members, past, ids),
        _message_rows(settings, past, ids, names, source),
        _event_rows(past, ids, names, settings=settings, first_id=next_ids["provider_events"], source=source),
        _media_rows(settings, past, ids, next_ids, source),
    ]


def _customer_rows(past: Past, ids: _Ids) -> SeededRows:
    firsts = np.flatnonzero(np.diff(past.customer, prepend=-1))
    return SeededRows(
        "customers",
        [
            bigints("id", ids.customer[firsts]),
            bigints("business_id", ids.business[firsts]),
            texts("name", np.char.add(b"Customer ", ids.customer[firsts].astype("S"))),
            timestamps("created_at", past.created_us[firsts]),
        ],
    )


def _conversation_rows(members: Members, past: Past, ids: _Ids) -> SeededRows:
    last_read = np.zeros(len(past.member), np.int64)
    has_read = past.last_read >= 0
    last_read[has_read] = ids.message[past.last_read[has_read]]
    return SeededRows(
        "conversations",
        [
            bigints("id", ids.conversation),
            bigints("business_id", ids.business),
            bigints("customer_id", ids.customer),
            bigints("member_id", members.id[past.member]),
            labels("channel", CHANNELS, past.channel),
            timestamps("last_message_at", past.last_us, past.message_count == 0),
            integers("unread_count", past.unread_count),
            bigints("last_read_message_id", last_read),
            timestamps("created_at", past.created_us),
        ],
    )


def _window_rows(settings: PastSettings, members: Members, past: Past, ids: _Ids) -> SeededRows:
    first = settings.begins_us // HOUR_US
    hours = np.datetime_as_string((first + np.arange(settings.days * 24)).astype("datetime64[h]"))
    return SeededRows(
        "rate_windows",
        [
            bigints("id", ids.window),
            bigints("business_id", members.business_id[past.window_member]),
            bigints("member_id", members.id[past.window_member]),
            labels("channel", CHANNELS, past.window_channel),
            labels("hour", [hour.replace("T", " ") for hour in hours.tolist()], past.window_hour - first),
            integers("admitted_count", past.window_count),
            integers("limit_count", np.full(len(ids.window), settings.messages_per_hour)),
        ],
    )


def _provider_message_ids(past: Past, ids: _Ids) -> Array:
    """Return the provider's id of each message, also of those that it rejected."""
    prefixes = np.char.encode(np.array([f"{channel}{way}-" for channel in CHANNELS for way in ("", "-in")]), "ascii")
    is_inbound = past.fate == Fate.RECEIVED
    names: Array = np.char.add(prefixes[past.channel[past.conversation] * 2 + is_inbound], ids.message.astype("S"))
    return names


def _message_rows(settings: PastSettings, past: Past, ids: _Ids, names: Array, source: Source) -> SeededRows:
    is_inbound = past.fate == Fate.RECEIVED
    windows = ids.window[past.window] if len(ids.window) else past.window
    return SeededRows(
        "messages",
        [
            bigints("id", ids.message),
            bigints("business_id", ids.business[past.conversation]),
            bigints("conversation_id", ids.conversation[past.conversation]),
            labels("direction", ("outbound", "inbound"), is_inbound.astype(np.int64)),
            labels("status", STATUSES, past.fate),
            labels("body", (*settings.bodies.inbound, *settings.bodies.outbound), past.body),
            texts("provider_message_id", names, past.fate == Fate.REJECTED),
            bigints("rate_window_id", windows, is_inbound),
            uuids("operation_id", make_operation_ids(past.time_us, source)),
            timestamps("created_at", past.time_us),
        ],
    )


def _event_rows(
    past: Past, ids: _Ids, names: Array, *, settings: PastSettings, first_id: int, source: Source
) -> SeededRows:
    """Return what the providers told: that a message was sent, but for e-mail, and then how it ended."""
    reported_ms = source.integers(len(past.fate), *settings.messages.reported_after_ms)
    ended_ms = reported_ms + source.integers(len(past.fate), *settings.messages.ended_after_ms)
    has_ended = (past.fate == Fate.DELIVERED) | (past.fate == Fate.FAILED)
    is_mail = past.channel[past.conversation] == EMAIL
    sent, ended = np.flatnonzero((has_ended | (past.fate == Fate.SENT)) & ~is_mail), np.flatnonzero(has_ended)
    message = np.concatenate([sent, ended])
    kind = np.concatenate([np.zeros(len(sent), np.int64), np.where(past.fate[ended] == Fate.DELIVERED, 1, 2)])
    time_us = past.time_us[message] + 1_000 * np.concatenate([reported_ms[sent], ended_ms[ended]])
    order = np.argsort(time_us, kind="stable")
    message, kind, time_us = message[order], kind[order], time_us[order]
    kinds = ("sent", "delivered", "failed")
    suffixes = np.char.encode(np.array([f"-{name}" for name in kinds]), "ascii")
    return SeededRows(
        "provider_events",
        [
            bigints("id", first_id + np.arange(len(message))),
            texts("event_id", np.char.add(names[message], suffixes[kind])),
            bigints("message_id", ids.message[message]),
            texts("provider_message_id", names[message]),
            labels("kind", kinds, kind),
            uuids("operation_id", make_operation_ids(time_us, source)),
            timestamps("applied_at", time_us),
        ],
    )


def _media_rows(settings: PastSettings, past: Past, ids: _Ids, next_ids: Mapping[str, int], source: Source) -> SeededRows:
    message = np.flatnonzero(source.chances(len(past.fate), settings.media.share))
    count = len(message)
    conversation_ids = ids.conversation[past.conversation[message]]
    media_ids = next_ids["media"] + np.arange(count)
    time_us = past.time_us[message] + 1_000 * source.integers(count, 500, 30_000)
    folders = np.char.add(np.char.add(b"conversations/", conversation_ids.astype("S")), b"/")
    hashes = np.frombuffer(binascii.hexlify(source.words(4 * count).astype(">u8").tobytes()), "S64")
    return SeededRows(
        "media",
        [
            bigints("id", media_ids),
            bigints("business_id", ids.business[past.conversation[message]]),
            bigints("conversation_id", conversation_ids),
            bigints("message_id", ids.message[message]),
            texts("object_key", np.char.add(folders, media_ids.astype("S"))),
            integers("size_bytes", source.integers(count, *settings.media.size_bytes)),
            texts("content_hash", hashes),
            labels(
                "status", ("stored", "abandoned"), source.chances(count, settings.media.abandoned_share).astype(np.int64)
            ),
            uuids("operation_id", make_operation_ids(time_us, source)),
            timestamps("created_at", time_us),
        ],
    )

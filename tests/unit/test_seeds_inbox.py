"""A past of inbox: its settings are checked, and what was written keeps to what businesses and customers can do."""

from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from integrity.errors import UsageError
from integrity.project import reference_folder
from integrity.reference.inbox.schema import METADATA
from integrity.reference.inbox.seeds.past import HOUR_US, Fate, Past, draw_past, share_out
from integrity.reference.inbox.seeds.settings import PastSettings, read_settings
from integrity.reference.inbox.seeds.tables import SEEDER
from integrity.seeds.source import Source
from integrity.systems.seeder import Batch, Start

FILE = reference_folder("seeds") / "inbox.toml"
FIRST_IDS = {table.name: 1 for table in METADATA.sorted_tables}


def draw(conversations: int, messages: int, *, settings: PastSettings | None = None, seed: int = 1) -> Past:
    """Return the past of conversations of ten members of two businesses."""
    member = np.sort(np.arange(conversations) % 10)
    return draw_past(settings or read_settings(FILE), member, member // 5, messages, Source(seed))


def generate(sizes: dict[str, int], *, seed: int = 1, first_ids: dict[str, int] = FIRST_IDS) -> list[Batch]:
    return list(SEEDER.generate(SEEDER.complete(sizes), seed, Start(first_ids, {})))


def rows_of(batches: list[Batch], table: str) -> dict[str, np.ndarray[Any, Any]]:
    """Return the values of a table's columns, over all batches; labels as their texts."""
    parts: dict[str, list[Any]] = defaultdict(list)
    for batch in batches:
        for rows in batch.tables:
            for column in rows.columns if rows.table == table else ():
                values = column.values if column.labels is None else column.labels[column.values]
                parts[column.name].append(values)
    return {name: np.concatenate(values) for name, values in parts.items()}


@pytest.mark.parametrize(("count", "weights"), [(10, [1, 1, 1]), (0, [3, 1]), (7, [0, 5]), (1, [1] * 9), (5, [0, 0])])
def test_what_is_shared_out_is_all_of_it_and_in_proportion(count: int, weights: list[int]) -> None:
    shares = share_out(count, np.array(weights))
    assert shares.sum() == (count if any(weights) else 0)
    for share, weight in zip(shares.tolist(), weights, strict=True):
        assert abs(share - count * weight / max(1, sum(weights))) <= 1


def test_times_are_within_the_past_and_in_order_and_after_the_conversation_began() -> None:
    settings = read_settings(FILE)
    past = draw(300, 5_000)
    assert (np.diff(past.time_us) >= 0).all()
    assert past.time_us.min() >= settings.begins_us
    assert past.time_us.max() < settings.ends_us
    assert (past.time_us > past.created_us[past.conversation]).all()


def test_unread_counts_and_markers_are_what_following_the_messages_gives() -> None:
    past = draw(300, 5_000)
    unread, newest = Counter[int](), {}
    for place, (conversation, fate, time_us) in enumerate(
        zip(past.conversation.tolist(), past.fate.tolist(), past.time_us.tolist(), strict=True)
    ):
        newest[conversation] = time_us
        unread[conversation] += fate == Fate.RECEIVED and place > past.last_read[conversation]
    assert [unread[n] for n in range(300)] == past.unread_count.tolist()
    assert [newest[n] for n in range(300)] == past.last_us.tolist()
    assert past.unread_count.any(), "nothing to read"


def test_windows_count_the_messages_of_their_member_channel_and_hour() -> None:
    past = draw(300, 5_000)
    counted = Counter(
        (int(past.member[conversation]), int(past.channel[conversation]), int(time_us) // HOUR_US)
        for conversation, time_us, window in zip(past.conversation, past.time_us, past.window, strict=True)
        if window >= 0
    )
    windows = zip(past.window_member, past.window_channel, past.window_hour, past.window_count, strict=True)
    assert counted == {(int(m), int(c), int(h)): int(n) for m, c, h, n in windows}
    assert ((past.window < 0) == (past.fate == Fate.RECEIVED)).all()


def test_what_would_be_over_the_limit_was_not_sent() -> None:
    settings = PastSettings.model_validate(read_settings(FILE).model_dump() | {"messages_per_hour": 3, "days": 2})
    past = draw(30, 5_000, settings=settings)
    assert past.window_count.max() == 3
    assert (np.bincount(past.window[past.window >= 0]) == past.window_count).all()
    assert len(past.fate) == 5_000


def test_a_customer_has_one_conversation_a_channel_and_all_of_them_with_one_business() -> None:
    past = draw(3_000, 3_000)
    pairs = list(zip(past.customer.tolist(), past.channel.tolist(), strict=True))
    assert len(set(pairs)) == len(pairs)
    business = defaultdict(set)
    for customer, member in zip(past.customer.tolist(), past.member.tolist(), strict=True):
        business[customer].add(member // 5)
    assert {len(found) for found in business.values()} == {1}
    assert len(business) < 3_000, "nobody writes on two channels"


@pytest.mark.parametrize(
    "sizes",
    [
        {"conversations": 150, "messages": 1_500, "businesses": 6, "users": 60},
        {"conversations": 7, "messages": 3, "businesses": 5, "users": 2},
        {"conversations": 1, "messages": 1, "businesses": 1, "users": 1},
        {"conversations": 20_000, "messages": 400_000, "businesses": 3, "users": 40},
    ],
    ids=["small", "fewer users than businesses", "one of each", "many batches"],
)
def test_a_world_has_exactly_as_many_rows_as_were_asked_for_and_every_id_once(sizes: dict[str, int]) -> None:
    batches = generate(sizes)
    for table, count in {**sizes, "members": sizes["users"]}.items():
        if table != "users":
            assert rows_of(batches, table)["id"].tolist() == list(range(1, count + 1)), table
    assert sum(batch.done for batch in batches) == sizes["conversations"]


def test_a_batch_is_bounded_whatever_the_size() -> None:
    batches = generate({"conversations": 20_000, "messages": 400_000, "businesses": 30, "users": 400})
    assert len(batches) >= 3
    for batch in batches:
        assert sum(len(rows) for rows in batch.tables if rows.table in ("messages", "conversations")) <= 250_000


def test_every_end_of_every_life_is_there_and_nothing_is_under_way() -> None:
    batches = generate({"conversations": 500, "messages": 20_000, "businesses": 50, "users": 100})
    seen = {
        table: {value.decode() for value in rows_of(batches, table)[column]}
        for table, column in (
            ("messages", "status"),
            ("checkouts", "status"),
            ("subscriptions", "status"),
            ("media", "status"),
            ("provider_events", "kind"),
            ("conversations", "channel"),
        )
    }
    assert seen == {
        "messages": {"received", "sent", "delivered", "failed"},
        "checkouts": {"paid", "failed", "expired"},
        "subscriptions": {"active", "ended"},
        "media": {"stored", "abandoned"},
        "provider_events": {"sent", "delivered", "failed"},
        "conversations": {"whatsapp", "email", "sms"},
    }


def test_some_conversations_are_busy_and_most_are_quiet() -> None:
    counts = np.sort(np.bincount(rows_of(generate({}), "messages")["conversation_id"])[1:])
    assert counts[-len(counts) // 10 :].sum() > 3 * counts[: len(counts) // 2].sum()


def test_some_members_sessions_start_in_another_business() -> None:
    """The agency's people, whom the bug cross_tenant needs."""
    members = rows_of(generate({}), "members")
    away = np.count_nonzero(members["business_id"] != members["home_business_id"])
    assert 10 < away < 100


def test_what_is_added_is_a_world_beside_the_first_with_the_next_ids() -> None:
    sizes = {"conversations": 50, "messages": 500, "businesses": 3, "users": 9}
    added = generate(sizes, first_ids=dict.fromkeys(FIRST_IDS, 1_000))
    for table in FIRST_IDS:
        assert rows_of(added, table)["id"].min() == 1_000, table
    assert set(rows_of(added, "messages")["conversation_id"].tolist()) <= set(range(1_000, 1_050))
    assert (rows_of(added, "messages")["created_at"] != rows_of(generate(sizes), "messages")["created_at"]).any()


def test_the_same_seed_makes_the_same_world_and_another_seed_another() -> None:
    sizes = {"conversations": 50, "messages": 500, "businesses": 3, "users": 9}
    first, again, other = (rows_of(generate(sizes, seed=seed), "messages") for seed in (1, 1, 2))
    assert all((first[name] == again[name]).all() for name in first)
    assert (first["created_at"] != other["created_at"]).any()


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("whatsapp = 0.6", "whatsapp = 0.9", "shares .* together, not 1"),
        ("delivered = 0.93", "delivered = 0.5", "shares .* together, not 1"),
        ("share = 0.7", "share = 0.1", "shares .* together, not 1"),
        ("inbound_share = 0.45", "inbound_share = 1.5", "messages.inbound_share: .*less than or equal to 1"),
        ("reported_after_ms = [200, 3_000]", "reported_after_ms = [3_000, 200]", "the least is more than the most"),
        ("failed_share = 0.1\nexpired_share = 0.1", "failed_share = 0.6\nexpired_share = 0.6", "more than all of them"),
        ("of_a_business = [1, 4]", "of_a_business = [1, 1_000_000]", "days are too few"),
        ("messages_per_hour = 1_000", "messages_per_hour = 0", "messages_per_hour"),
        ("ends = ", "end = ", "ends: Field required"),
        ("[media]", "[media", "cannot be read"),
    ],
)
def test_settings_that_cannot_be_are_refused_with_file_and_place(
    tmp_path: Path, old: str, new: str, complaint: str
) -> None:
    text = FILE.read_text(encoding="utf-8")
    assert old in text
    file = tmp_path / "inbox.toml"
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(UsageError, match=complaint) as refused:
        read_settings(file)
    assert refused.value.message.startswith(f"{file}: ")

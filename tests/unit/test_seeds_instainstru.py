"""The past weeks of instainstru: their settings are checked, and people do there what the operations let them do."""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from integrity.errors import UsageError
from integrity.project import reference_folder
from integrity.reference.instainstru.schema import METADATA
from integrity.reference.instainstru.seeds import tables
from integrity.reference.instainstru.seeds.past import Part, count_instructors, live_through
from integrity.reference.instainstru.seeds.settings import read_settings
from integrity.reference.instainstru.seeds.tables import SEEDER, generate
from integrity.seeds.source import Source
from integrity.systems.seeder import Start

FILE = reference_folder("seeds") / "instainstru.toml"
SIZES = {"conversations": 400, "messages": 6_000, "users": 60}
EMPTY = Start({table.name: 1 for table in METADATA.sorted_tables}, {})

Table = Mapping[str, Any]


def part_of(seed: int = 1, *, users: int = 60, conversations: int = 400, messages: int = 6_000) -> Part:
    return live_through(
        read_settings(FILE),
        Source(seed),
        user_count=users,
        conversation_count=conversations,
        unopened_count=40,
        message_count=messages,
    )


def made(sizes: Mapping[str, int], seed: int = 1, start: Start = EMPTY) -> dict[str, dict[str, np.ndarray[Any, Any]]]:
    """Return all rows by table and column."""
    columns: dict[str, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for batch in generate(sizes, seed, start):
        for rows in batch.tables:
            for column in rows.columns:
                columns[rows.table][column.name].append(column.values)
    return {table: {name: np.concatenate(parts) for name, parts in of.items()} for table, of in columns.items()}


@pytest.mark.parametrize(("users", "conversations", "messages"), [(2, 1, 0), (2, 1, 7), (3, 5, 200), (60, 400, 6_000)])
def test_messages_are_numbered_in_order_of_time_and_delivered_to_all_others(
    users: int, conversations: int, messages: int
) -> None:
    """Followed message by message, in order of time, as the operations would send them."""
    part = part_of(users=users, conversations=conversations, messages=messages)
    members = defaultdict(list)
    for participant, booking in enumerate(part.participant_booking.tolist()):
        members[booking].append(participant)
    deliveries = defaultdict(list)
    for message, participant in zip(part.delivery_message.tolist(), part.delivery_participant.tolist(), strict=True):
        deliveries[message].append(participant)
    last_sequence: dict[int, int] = defaultdict(int)
    last_ms = dict(enumerate(part.opened_ms.tolist()))
    unread: dict[int, int] = defaultdict(int)
    for message, (conversation, sequence, sender, sent_ms) in enumerate(
        zip(
            part.message_conversation.tolist(),
            part.message_sequence.tolist(),
            part.message_sender.tolist(),
            part.sent_ms.tolist(),
            strict=True,
        )
    ):
        assert sequence == last_sequence[conversation] + 1
        assert sent_ms >= last_ms[conversation]
        assert sender in members[conversation]
        others = [participant for participant in members[conversation] if participant != sender]
        assert deliveries[message] == others
        for participant in others:
            unread[participant] += sequence > part.last_read_sequence[participant]
        last_sequence[conversation], last_ms[conversation] = sequence, sent_ms
    assert [last_sequence[n] for n in range(conversations)] == part.message_count.tolist()
    assert sum(last_sequence.values()) == messages
    assert [last_ms[n] for n in range(conversations) if last_sequence[n]] == part.last_message_ms[
        part.message_count > 0
    ].tolist()
    assert [unread[n] for n in range(len(part.unread_count))] == part.unread_count.tolist()
    assert (part.last_read_sequence <= part.message_count[part.participant_booking[: len(part.unread_count)]]).all()


def test_a_message_was_read_after_it_was_sent_and_before_the_end() -> None:
    part, settings = part_of(), read_settings(FILE)
    sent = {
        (conversation, sequence): sent_ms
        for conversation, sequence, sent_ms in zip(
            part.message_conversation.tolist(), part.message_sequence.tolist(), part.sent_ms.tolist(), strict=True
        )
    }
    for participant, last_read in enumerate(part.last_read_sequence.tolist()):
        read_ms = part.read_ms[participant]
        if last_read == 0:
            assert read_ms == 0
        else:
            assert sent[int(part.participant_booking[participant]), last_read] <= read_ms < settings.end_ms
    assert part.sent_ms.max() < settings.end_ms
    assert (part.opened_ms > part.booked_ms[: len(part.opened_ms)]).all()
    assert part.booked_ms.min() >= settings.start_ms


@pytest.mark.parametrize("users", [2, 3, 7, 60])
def test_a_booking_has_one_instructor_and_nobody_twice(users: int) -> None:
    part, instructor_count = part_of(users=users), count_instructors(read_settings(FILE), users)
    pairs = list(zip(part.participant_booking.tolist(), part.participant_user.tolist(), strict=True))
    assert len(set(pairs)) == len(pairs)
    assert (part.participant_user < users).all()
    assert ((part.participant_user < instructor_count) == part.is_instructor).all()
    instructors = np.bincount(part.participant_booking[part.is_instructor])
    assert (instructors == 1).all()
    assert (np.bincount(part.participant_booking) >= 2).all()


def test_every_state_happens() -> None:
    part = part_of()
    count = part.message_count[part.participant_booking[: len(part.unread_count)]]
    assert (part.message_count == 0).any(), "an empty conversation"
    assert part.message_count.max() > 5 * part.message_count.mean(), "a busy one"
    assert len(part.booked_ms) > len(part.opened_ms), "a booking without one"
    assert (np.bincount(part.participant_booking) > 2).any(), "a group"
    assert ((count > 0) & (part.last_read_sequence == 0)).any(), "somebody who has read nothing"
    assert ((part.last_read_sequence > 0) & (part.last_read_sequence < count)).any(), "a part"
    assert ((count > 0) & (part.last_read_sequence == count)).any(), "everything"
    assert len(np.unique(part.sent_ms // 86_400_000)) > 14, "over many days"


def test_there_are_as_many_as_were_asked_for_however_they_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MESSAGES_A_BATCH", 700)
    monkeypatch.setattr(tables, "USERS_A_BATCH", 7)
    batches = list(generate(SIZES, 1, EMPTY))
    assert sum(batch.done for batch in batches) == SIZES["conversations"]
    assert max(len(rows) for batch in batches for rows in batch.tables if rows.table == "messages") < 1_000
    monkeypatch.undo()
    rows = made(SIZES)
    assert {name: len(rows[name]["id"]) for name in SIZES} == SIZES


def test_ids_count_up_and_what_is_added_goes_on_after_them() -> None:
    first = made(SIZES)
    next_ids = {table: int(columns["id"].max()) + 1 for table, columns in first.items()}
    assert {table: int(columns["id"].min()) for table, columns in first.items()} == dict.fromkeys(first, 1)
    assert all((np.diff(columns["id"]) == 1).all() for columns in first.values())
    more = made(SIZES, start=Start(next_ids, {}))
    assert {table: int(columns["id"].min()) for table, columns in more.items()} == next_ids
    assert set(more["participants"]["user_id"].tolist()) <= set(more["users"]["id"].tolist())
    assert not np.array_equal(first["messages"]["sequence"], more["messages"]["sequence"]), "a past of its own"
    both = np.concatenate([first["messages"]["operation_id"], more["messages"]["operation_id"]])
    assert len(np.unique(both)) == len(both)


def test_the_same_numbers_make_the_same_rows_and_another_seed_makes_others() -> None:
    first, again, other = made(SIZES), made(SIZES), made(SIZES, seed=2)
    for table, columns in first.items():
        for name, values in columns.items():
            assert np.array_equal(values, again[table][name])
    assert not np.array_equal(first["messages"]["sender_id"], other["messages"]["sender_id"])


def test_every_table_is_filled() -> None:
    assert set(made(SIZES)) == {table.name for table in METADATA.sorted_tables}
    assert [size.name for size in SEEDER.sizes] == ["conversations", "messages", "users"]


def test_a_lesson_takes_two() -> None:
    with pytest.raises(UsageError, match="--users 1: a lesson takes an instructor and a student"):
        next(iter(generate({**SIZES, "users": 1}, 1, EMPTY)))


def test_more_messages_than_a_conversation_can_be_made_with_are_refused() -> None:
    with pytest.raises(UsageError, match="--messages 100001: more than 100,000 for each of 1 conversations"):
        next(iter(generate({**SIZES, "conversations": 1, "messages": 100_001}, 1, EMPTY)))


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("share = 0.65", "share = 0.5", "shares .* together, not 1"),
        ("weight = 30", "weight = 0", "conversations.activity.2.weight"),
        ("last_day = 2026-01-17", "last_day = 2025-12-21", "last_day must come after first_day"),
        ("lasts_hours = [1, 240]", "lasts_hours = [240, 1]", "the least is more than the most"),
        ("group_students = [2, 6]", "group_students = [1, 6]", "a group has at least two"),
        ("all_share = 0.7", "all_share = 0.95", "more than 1 together"),
        ("opened_after_minutes = [1, 1440]", "opened_after_minutes = [300, 1440]", "must be possible"),
        ("instructor_share = 0.15", "instructor_share = 1.5", "users.instructor_share"),
        ("lessons = [", "subjects = [", "bookings.lessons: Field required"),
        ("[reading]", "[reading", "cannot be read"),
    ],
)
def test_settings_that_cannot_be_are_refused_with_file_and_place(
    tmp_path: Path, old: str, new: str, complaint: str
) -> None:
    text = FILE.read_text(encoding="utf-8")
    assert old in text
    file = tmp_path / "instainstru.toml"
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(UsageError, match=complaint) as refused:
        read_settings(file)
    assert refused.value.message.startswith(f"{file}: ")


def test_a_settings_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_settings(tmp_path / "instainstru.toml")

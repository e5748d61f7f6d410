"""What people booked, wrote and read in the past weeks: arrays, all bookings at once in numpy.

A part of the past stands by itself: some bookings, those who take part in them, the conversations of all but the last few,
and what was written there. What comes out is what the system's operations would have done: the messages of a conversation
are numbered in order of time, each is unread to those others whose marker is before it. Times are whole milliseconds.
"""

from dataclasses import dataclass

import numpy as np

from integrity.reference.instainstru.seeds.settings import (
    HOUR_MS,
    LAST_BOOKING_BEFORE_END_MS,
    LAST_OPENING_BEFORE_END_MS,
    MINUTE_MS,
    PastSettings,
)
from integrity.seeds.source import Array, Source


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A part of the past. Rows are numbered from 0 in each table; a conversation has the number of its booking.

    Args:
        booked_ms, starts_ms, lesson: of each booking, in order of time; lesson is a place in the settings' lessons.
        participant_booking, participant_user: of each participant, a booking's one after the other; the first is its
            instructor.
        opened_ms, message_count, last_message_ms: of each conversation; the last bookings have none.
        message_conversation, message_sequence, message_sender, message_body, sent_ms: of each message, in order of time;
            the sender is a participant, the body a place in the settings' bodies.
        delivery_message, delivery_participant: of each delivery, in order of messages.
        last_read_sequence, unread_count, read_ms: of each participant of a conversation.
    """

    booked_ms: Array
    starts_ms: Array
    lesson: Array
    participant_booking: Array
    participant_user: Array
    is_instructor: Array
    opened_ms: Array
    message_count: Array
    last_message_ms: Array
    message_conversation: Array
    message_sequence: Array
    message_sender: Array
    message_body: Array
    sent_ms: Array
    delivery_message: Array
    delivery_participant: Array
    last_read_sequence: Array
    unread_count: Array
    read_ms: Array


def count_instructors(settings: PastSettings, user_count: int) -> int:
    """Return how many users are instructors: the first ones. At least one is, and at least one is a student."""
    return min(max(1, round(settings.users.instructor_share * user_count)), user_count - 1)


def live_through(
    settings: PastSettings,
    source: Source,
    *,
    user_count: int,
    conversation_count: int,
    unopened_count: int,
    message_count: int,
) -> Part:
    """Return a part of the past.

    Args:
        user_count: from 2 on; any of them may take part.
        unopened_count: bookings without a conversation.
    """
    booking_count = conversation_count + unopened_count
    range_ms = settings.end_ms - LAST_BOOKING_BEFORE_END_MS - settings.start_ms
    booked_ms = np.sort(settings.start_ms + _within(source, np.full(booking_count, range_ms)))
    starts_ms = booked_ms + source.integers(booking_count, *settings.bookings.starts_after_hours) * HOUR_MS
    lesson = source.integers(booking_count, 0, len(settings.bookings.lessons) - 1)
    sizes, users = _gather(settings, source, user_count, booking_count)
    firsts = np.cumsum(sizes) - sizes  # of each booking, its first participant
    participant_booking = np.repeat(np.arange(booking_count), sizes)
    participant_place = np.arange(len(participant_booking)) - firsts[participant_booking]

    conversations = slice(0, conversation_count)
    after_ms = source.integers(conversation_count, *settings.conversations.opened_after_minutes) * MINUTE_MS
    opened_ms = np.minimum(booked_ms[conversations] + after_ms, settings.end_ms - LAST_OPENING_BEFORE_END_MS)
    counts, conversation, sequence, sent_ms = _write(settings, source, opened_ms, message_count)
    last_message_ms = np.zeros(conversation_count, np.int64)
    last_message_ms[counts > 0] = sent_ms[np.cumsum(counts)[counts > 0] - 1]

    place = source.below(sizes[conversation])  # of the sender among those who take part
    body = source.integers(message_count, 0, len(settings.messages.bodies) - 1)
    listening = participant_booking < conversation_count
    last_read, read_ms = _read(settings, source, participant_booking[listening], counts, sent_ms)

    in_time = np.argsort(sent_ms, kind="stable")  # of one instant: in the order of conversations and numbers
    conversation, sequence, place = conversation[in_time], sequence[in_time], place[in_time]
    other_count = sizes[conversation] - 1
    delivery_message = np.repeat(np.arange(message_count), other_count)
    other = np.arange(len(delivery_message)) - (np.cumsum(other_count) - other_count)[delivery_message]
    other += other >= place[delivery_message]  # everybody but the sender
    recipient = firsts[conversation[delivery_message]] + other
    is_unread = sequence[delivery_message] > last_read[recipient]
    return Part(
        booked_ms=booked_ms,
        starts_ms=starts_ms,
        lesson=lesson,
        participant_booking=participant_booking,
        participant_user=users,
        is_instructor=participant_place == 0,
        opened_ms=opened_ms,
        message_count=counts,
        last_message_ms=last_message_ms,
        message_conversation=conversation,
        message_sequence=sequence,
        message_sender=firsts[conversation] + place,
        message_body=body[in_time],
        sent_ms=sent_ms[in_time],
        delivery_message=delivery_message,
        delivery_participant=recipient,
        last_read_sequence=last_read,
        unread_count=np.bincount(recipient[is_unread], minlength=len(last_read)),
        read_ms=read_ms,
    )


def _gather(settings: PastSettings, source: Source, user_count: int, booking_count: int) -> tuple[Array, Array]:
    """Return how many take part in each booking, and who: one booking's after the other's, the instructor first."""
    instructor_count = count_instructors(settings, user_count)
    pupil_count = user_count - instructor_count
    least, most = (min(count, pupil_count) for count in settings.bookings.group_students)
    is_group = source.chances(booking_count, settings.bookings.group_share)
    students = np.where(is_group, source.integers(booking_count, least, most), 1)
    sizes = students + 1
    drawn = [source.integers(booking_count, 0, instructor_count - 1) for _ in range(2)]
    instructor = np.minimum(*drawn)
    # A class is of neighbours, so that nobody is in it twice.
    first_student = source.integers(booking_count, 0, pupil_count - 1)
    booking = np.repeat(np.arange(booking_count), sizes)
    place = np.arange(len(booking)) - (np.cumsum(sizes) - sizes)[booking]
    student = instructor_count + (first_student[booking] + place - 1) % pupil_count
    return sizes, np.where(place == 0, instructor[booking], student)


def _write(
    settings: PastSettings, source: Source, opened_ms: Array, message_count: int
) -> tuple[Array, Array, Array, Array]:
    """Return each conversation's number of messages; and of each message its conversation, its number and its time.

    Messages are in order of conversations, those of one in order of time.
    """
    conversation_count = len(opened_ms)
    activity = settings.conversations.activity
    group = source.choices(conversation_count, [each.share for each in activity])
    bounds = np.cumsum(np.array([each.weight for each in activity])[group])
    conversation = np.searchsorted(bounds, source.integers(message_count, 0, int(bounds[-1]) - 1), side="right")
    lasts_ms = source.integers(conversation_count, *settings.conversations.lasts_hours) * HOUR_MS
    lasts_ms = np.minimum(lasts_ms, settings.end_ms - LAST_OPENING_BEFORE_END_MS // 2 - opened_ms)
    sent_ms = opened_ms[conversation] + _within(source, lasts_ms[conversation])
    order = np.lexsort((sent_ms, conversation))
    conversation, sent_ms = conversation[order], sent_ms[order]
    counts = np.bincount(conversation, minlength=conversation_count)
    sequence = 1 + np.arange(message_count) - (np.cumsum(counts) - counts)[conversation]
    return counts, conversation, sequence, sent_ms


def _read(
    settings: PastSettings, source: Source, conversation: Array, counts: Array, sent_ms: Array
) -> tuple[Array, Array]:
    """Return up to which number each participant has read, and when; who has read nothing did so at 0.

    Args:
        conversation: of each participant.
        counts: of each conversation, how many messages it has.
        sent_ms: of these messages, one conversation's after the other's.
    """
    count = counts[conversation]
    reading = settings.reading
    rest = max(0.0, 1 - reading.all_share - reading.none_share)
    kind = source.choices(len(conversation), [reading.all_share, reading.none_share, rest])
    last_read = np.select([kind == 0, kind == 1], [count, 0], source.below(count + 1))
    after_ms = source.integers(len(conversation), *reading.after_seconds) * 1_000
    if not len(sent_ms):
        return last_read, np.zeros(len(conversation), np.int64)
    firsts = np.cumsum(counts) - counts
    seen_ms = sent_ms[np.maximum(firsts[conversation] + last_read - 1, 0)]
    return last_read, np.where(last_read > 0, np.minimum(seen_ms + after_ms, settings.end_ms - 1), 0)


def _within(source: Source, spans_ms: Array) -> Array:
    """Return a time in ms from 1 to each of the spans, which are at least two seconds.

    Drawn as seconds and a fraction: the source scales 32 bits, and a month has more milliseconds than half of that.
    """
    return 1_000 * source.below(spans_ms // 1_000) + source.integers(len(spans_ms), 1, 1_000)

"""A webhook is sent until it is answered, and one that is sent twice at once really is sent twice at once."""

import asyncio

from integrity.clients.deliveries import CausingCall, Deliveries, Due
from integrity.systems.service import Delivery

SECOND_US = 1_000_000
ORIGIN = CausingCall("request_funding", 0)


def webhook(delay_s: float, name: str = "e1") -> Delivery:
    return Delivery(delay_s, "receive_funding_webhook", {"event_id": name})


def queue(*deliveries: Delivery) -> Deliveries:
    owed = Deliveries()
    owed.add(deliveries, now_us=0, origin=ORIGIN, retry_s=0.2)
    return owed


def test_deliveries_are_taken_when_they_are_due_the_oldest_first() -> None:
    owed = queue(webhook(2, "late"), webhook(1, "soon"))

    taken = [owed.take(now_us) for now_us in (SECOND_US - 1, 2 * SECOND_US, 2 * SECOND_US, 9 * SECOND_US)]

    assert [due and due.arguments["event_id"] for due in taken] == [None, "soon", "late", None]


def test_what_was_taken_is_owed_until_it_is_acknowledged() -> None:
    owed = queue(webhook(0))
    due = owed.take(0)
    assert due is not None
    assert owed.outstanding == 1

    owed.acknowledge(due)

    assert owed.outstanding == 0


def test_what_is_hastened_is_due_at_once_in_its_order() -> None:
    owed = queue(webhook(9, "late"), webhook(5, "soon"))
    owed.hasten(SECOND_US)

    taken = [owed.take(SECOND_US) for _ in range(3)]

    assert [due and (due.arguments["event_id"], due.at_us) for due in taken] == [
        ("soon", SECOND_US),
        ("late", SECOND_US),
        None,
    ]
    assert owed.outstanding == 2


def test_an_unanswered_delivery_comes_again_after_a_pause_that_doubles_up_to_ten_seconds() -> None:
    owed = queue(webhook(0))
    now_us, pauses_s = 0, []

    for _ in range(8):
        due = owed.take(now_us)
        assert due is not None
        owed.send_again(due, now_us)
        assert owed.outstanding == 1
        assert owed.next_at_us is not None
        pauses_s.append((owed.next_at_us - now_us) / SECOND_US)
        now_us = owed.next_at_us

    assert pauses_s == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]


def test_deliveries_of_one_instant_wait_for_one_another() -> None:
    async def take_both() -> list[str]:
        owed = queue(webhook(0, "e1"), webhook(0, "e1"))
        first, second = owed.take(0), owed.take(0)
        assert first is not None
        assert second is not None
        assert first.meeting is not None
        assert second.meeting is not None
        order: list[str] = []

        async def send(due: Due, name: str) -> None:
            assert due.meeting is not None
            order.append(f"{name} is here")
            await due.meeting.wait()
            order.append(f"{name} sends")

        await asyncio.gather(send(first, "A"), send(second, "B"))
        return order

    order = asyncio.run(take_both())

    assert order[:2] == ["A is here", "B is here"]
    assert sorted(order[2:]) == ["A sends", "B sends"]


def test_nobody_waits_for_long_when_nobody_comes() -> None:
    async def take_one() -> None:
        due = queue(webhook(0), webhook(0)).take(0)
        assert due is not None
        assert due.meeting is not None
        await due.meeting.wait()

    asyncio.run(asyncio.wait_for(take_one(), timeout=5))


def test_a_delivery_of_its_own_instant_waits_for_nobody() -> None:
    owed = queue(webhook(0), webhook(1))

    dues = [owed.take(SECOND_US), owed.take(SECOND_US)]

    assert [due.meeting for due in dues if due] == [None, None]

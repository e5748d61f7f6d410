"""What the proxy reads in the bytes of real drivers is what another implementation of the protocol reads in them."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from integrity.engines.target import Target
from integrity.proxy.gate import Direction
from integrity.proxy.message import Message, join
from integrity.proxy.postgresql import bodies
from integrity.proxy.postgresql.cycles import Conversation, Cycle
from integrity.proxy.postgresql.framing import Framer
from tests.database.proxies import standing
from tests.database.test_proxy_drivers import with_asyncpg, with_psycopg, with_psycopg2

pygwire: Any = pytest.importorskip("pygwire", reason="pygwire is not installed, which the protocol is held against")


def read_by_pygwire(session: list[tuple[Direction, Message]]) -> list[Any]:
    """Return the messages as pygwire has them, which refuses one that has no place in the protocol's state."""
    ready = pygwire.ConnectionPhase.READY
    client, server = pygwire.FrontendConnection(initial_phase=ready), pygwire.BackendConnection(initial_phase=ready)
    found = []
    for direction, message in session:
        sender, receiver = (client, server) if direction is Direction.TO_SERVER else (server, client)
        (read,) = receiver.receive(message.raw)
        sender.send(read)
        found.append(read)
    return found


def first_session(passed: list[tuple[Direction, Message]]) -> list[tuple[Direction, Message]]:
    """Return what passed from the first "ready" up to the farewell of that client."""
    begin = next(place for place, (_, message) in enumerate(passed) if message.kind == b"Z")
    end = next(place for place, (way, message) in enumerate(passed) if way is Direction.TO_SERVER and message.kind == b"X")
    return passed[begin : end + 1]


# Not asyncpg: it sends data of a COPY before it is asked for it, and a query behind a Flush; pygwire has no such state.
@pytest.mark.parametrize("script", [with_psycopg, with_psycopg2])
def test_messages_and_what_stands_in_them_are_read_as_another_reads_them(
    database: Target, script: Callable[[str], Any]
) -> None:
    with standing(database) as stood:
        script(stood.url)
    session = first_session(stood.passed)[1:]
    for direction in Direction:
        ours, framer = [message for way, message in session if way is direction], Framer(begins_untyped=False)
        assert framer.feed(join(ours)) == ours
    for (_, own), other in zip(session, read_by_pygwire(session), strict=True):
        match type(other).__name__:
            case "Parse":
                name, text, _ = own.body.split(b"\0", 2)
                assert (bodies.read_text(name), bodies.read_text(text)) == (other.statement, other.query)
            case "Bind":
                parameters, _ = bodies.read_bind(own.body.split(b"\0", 2)[2], ())
                assert [each.value for each in parameters] == [
                    None if value is None else bytes(value) for value in other.param_values
                ]
            case "RowDescription":
                columns = bodies.read_columns(own.body)
                assert [(each.name, each.type_oid) for each in columns] == [
                    (each.name, each.type_oid) for each in other.fields
                ]
            case "DataRow":
                assert list(bodies.read_row(own.body)) == [
                    None if value is None else bytes(value) for value in other.columns
                ]


@pytest.mark.parametrize("script", [with_psycopg, with_psycopg2, with_asyncpg])
def test_each_cycle_is_answered_once_and_all_are_at_the_end(database: Target, script: Callable[[str], Any]) -> None:
    with standing(database) as stood:
        script(stood.url)
    conversation = Conversation(rows_most=3)
    answered: Counter[Cycle] = Counter()
    conversation.answer(Message(b"Z", b"Z\0\0\0\5I"))  # the one that the session began with
    for direction, message in first_session(stood.passed)[1:]:
        if direction is Direction.TO_SERVER:
            conversation.ask(message)
            continue
        done = conversation.answer(message)
        answered.update(done)
        assert message.kind != b"Z" or len(done) == 1
    assert set(answered.values()) == {1}
    assert conversation.unanswered == []
    assert conversation.status == "I"
    assert max(len(result.rows) for cycle in answered for result in cycle.answer.results) <= 3

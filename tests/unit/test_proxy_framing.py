"""The proxy reads the same messages whatever the chunks, and knows which of them speak of a commit."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrity.proxy.message import Message, ProtocolError, join
from integrity.proxy.postgresql.commits import CommitReplies, CommitRequests
from integrity.proxy.postgresql.framing import (
    CANCEL_REQUEST,
    SSL_REQUEST,
    Framer,
    make_message,
    make_refusal,
    make_startup,
    read_startup,
)

VERSION_3 = 196608


def untyped(code: int, rest: bytes = b"") -> Message:
    body = code.to_bytes(4) + rest
    return Message(b"", (len(body) + 4).to_bytes(4) + body)


STARTUP = make_startup(VERSION_3, {"user": "a", "database": "b"})
letters = st.integers(65, 122).map(lambda code: bytes([code]))
typed = st.builds(make_message, letters, st.binary(max_size=40))
texts = st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), min_size=1, max_size=8)


def feed_in_chunks(framer: Framer, stream: bytes, cuts: list[int]) -> list[Message]:
    places = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    return [message for start, end in pairwise(places) for message in framer.feed(stream[start:end])]


@given(st.lists(typed, max_size=8), st.lists(st.integers(0, 10_000), max_size=12))
def test_a_servers_messages_are_the_same_in_any_chunks(messages: list[Message], cuts: list[int]) -> None:
    framer = Framer(begins_untyped=False)
    assert feed_in_chunks(framer, join(messages), cuts) == messages
    assert framer.is_between_messages


@given(st.booleans(), st.lists(typed, max_size=8), st.lists(st.integers(0, 10_000), max_size=12))
def test_a_clients_messages_are_the_same_in_any_chunks(asks_first: bool, messages: list[Message], cuts: list[int]) -> None:
    """It begins with packets without letters: perhaps the question for encryption, then its startup."""
    sent = [*([untyped(SSL_REQUEST)] if asks_first else []), STARTUP, *messages]
    assert feed_in_chunks(Framer(begins_untyped=True), join(sent), cuts) == sent


@given(typed, st.integers(1, 45))
def test_half_a_message_is_none(message: Message, missing: int) -> None:
    framer = Framer(begins_untyped=False)
    whole = message.raw
    kept = max(1, len(whole) - missing)
    assert framer.feed(whole[:kept]) == []
    assert not framer.is_between_messages
    assert framer.feed(whole[kept:]) == [message]


def test_a_long_message_in_small_chunks_is_read_in_linear_time() -> None:
    """A row of 20 MB comes in thousands of chunks: copying what is there for each would take minutes."""
    message = make_message(b"D", bytes(20_000_000))
    framer = Framer(begins_untyped=False)
    found = [m for start in range(0, len(message.raw), 1000) for m in framer.feed(message.raw[start : start + 1000])]
    assert found == [message]


@pytest.mark.parametrize(
    ("begins_untyped", "data"),
    [
        (False, b"Z\0\0\0\3"),  # shorter than its own length
        (False, b"D\x7f\xff\xff\xff"),
        (True, b"\0\0\0\4"),
        (True, b"\x16\x03\x01\x02\0\x01"),  # TLS without asking first
        (True, b"GET / HTTP/1.1\r\n"),
    ],
)
def test_bytes_that_are_no_message_are_refused(begins_untyped: bool, data: bytes) -> None:
    with pytest.raises(ProtocolError):
        Framer(begins_untyped=begins_untyped).feed(data)


@given(st.dictionaries(texts, texts, max_size=5))
def test_startup_parameters_come_back_as_they_went(parameters: dict[str, str]) -> None:
    message = make_startup(VERSION_3, parameters)
    assert message.code == VERSION_3
    assert read_startup(message) == parameters


@pytest.mark.parametrize("rest", [b"", b"user\0a\0", b"user\0\0", b"user\0a\0\0\0"])
def test_startup_parameters_that_are_no_pairs_are_refused(rest: bytes) -> None:
    with pytest.raises(ProtocolError):
        read_startup(untyped(VERSION_3, rest))


def test_the_letter_length_and_body_of_a_message() -> None:
    assert make_message(b"Z", b"I") == Message(b"Z", b"Z\0\0\0\5I")
    assert make_message(b"Z", b"I").body == b"I"
    assert untyped(CANCEL_REQUEST, b"12345678").body[4:] == b"12345678"
    assert make_refusal("28000", "no").body == b"SFATAL\0VFATAL\0C28000\0Mno\0\0"


# What is said of commits, in the letters of the messages: C tag, Z state, E error, Q text, P name text, B portal name.


def tag(text: str) -> Message:
    return make_message(b"C", text.encode() + b"\0")


def ready(state: str) -> Message:
    return make_message(b"Z", state.encode())


ERROR = make_message(b"E", b"C23505\0\0")


@pytest.mark.parametrize(
    ("messages", "told"),
    [
        ([tag("COMMIT"), ready("I")], [True, False]),
        ([tag("BEGIN"), ready("T"), tag("INSERT 0 1"), ready("T"), tag("COMMIT")], [False, False, False, False, True]),
        ([tag("INSERT 0 1"), ready("I")], [False, True]),  # a transaction of its own
        ([tag("UPDATE 3"), ready("I"), ready("I")], [False, True, False]),
        ([tag("SELECT 1"), ready("I")], [False, False]),
        ([tag("ROLLBACK"), ready("I")], [False, False]),  # COMMIT of what was aborted is answered so
        ([tag("BEGIN"), ready("T"), tag("DELETE 1"), ready("T"), tag("ROLLBACK"), ready("I")], [False] * 6),
        ([tag("INSERT 0 1"), ERROR, ready("I")], [False, False, False]),  # a constraint that is checked at the end
        ([tag("COMMIT PREPARED"), ready("I")], [False, False]),
    ],
)
def test_what_a_server_says_of_commits(messages: list[Message], told: list[bool]) -> None:
    replies = CommitReplies()
    assert [replies.tells_of_commit(message) for message in messages] == told


def query(text: str) -> Message:
    return make_message(b"Q", text.encode() + b"\0")


def parse(name: str, text: str) -> Message:
    return make_message(b"P", f"{name}\0{text}\0".encode(), b"\0\0")


def bind(portal: str, name: str) -> Message:
    return make_message(b"B", f"{portal}\0{name}\0".encode(), bytes(6))


def execute(portal: str) -> Message:
    return make_message(b"E", f"{portal}\0".encode(), bytes(4))


@pytest.mark.parametrize(
    ("messages", "asked"),
    [
        ([query("commit")], [True]),
        ([query("  COMMIT;")], [True]),
        ([query("end")], [True]),
        ([query("commit prepared 'x'")], [False]),
        ([query("committed_totals")], [False]),
        ([query("select 'commit'")], [False]),
        ([parse("s1", "commit"), bind("", "s1"), execute("")], [False, False, True]),
        ([parse("s1", "commit"), parse("s1", "select 1"), bind("", "s1"), execute("")], [False] * 4),
        ([parse("s1", "commit"), bind("p", "s1"), bind("p", "s2"), execute("p")], [False] * 4),
        ([bind("", ""), execute("")], [False, False]),
        ([make_message(b"S"), make_message(b"E")], [False, False]),
    ],
)
def test_what_a_client_asks_of_commits(messages: list[Message], asked: list[bool]) -> None:
    requests = CommitRequests()
    assert [requests.asks_for_commit(message) for message in messages] == asked

"""A client that asks the proxy for encryption: it is served, however its bytes are cut, and nothing else of it passes."""

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import TypeVar

import asyncpg
import psycopg
import pytest
from sqlalchemy import create_engine, text

from integrity.engines.target import Target
from integrity.engines.url import Url
from integrity.jobs.calls_raced import NotHeld
from integrity.jobs.race_calls import CallRace
from integrity.proxy.postgresql.framing import PROTOCOL_MAJOR, SSL_REQUEST, make_message, make_startup
from integrity.proxy.postgresql.session import PostgresqlProtocol
from integrity.proxy.server import HOST
from integrity.race.gated.postgresql import stand
from tests.database.proxies import standing

ASKS = (8).to_bytes(4) + SSL_REQUEST.to_bytes(4)
T = TypeVar("T")
IS_READY = make_message(b"Z", b"I").raw
ANSWER_TIMEOUT_S = 30


@pytest.fixture(autouse=True)
def _certificates() -> None:
    pytest.importorskip("cryptography", reason="cryptography is not installed, which makes certificates")


@contextmanager
def asking(port: int, *, behind: bytes = b"") -> Iterator[socket.socket]:
    """Give a connection that asks for encryption, with something behind the question in the same packet."""
    with socket.create_connection(("127.0.0.1", port), timeout=ANSWER_TIMEOUT_S) as client:
        client.sendall(ASKS + behind)
        yield client


def startup_of(database: Target) -> bytes:
    names = {"user": str(database.url.username), "database": str(database.url.database)}
    return make_startup(PROTOCOL_MAJOR << 16, names).raw


@pytest.mark.parametrize("binding", ["disable", "prefer"])
def test_a_driver_that_insists_on_encryption_is_served(database: Target, binding: str) -> None:
    with standing(database, has_tls=True) as stood:
        with psycopg.connect(stood.url, sslmode="require", channel_binding=binding) as server:
            assert server.pgconn.ssl_in_use
            assert server.execute("select length(%s)", ["x" * 1_000_000]).fetchone() == (1_000_000,)
        with pytest.raises(psycopg.OperationalError, match="certificate"):
            psycopg.connect(stood.url, sslmode="verify-full", sslrootcert="system")


def test_a_server_that_demands_encryption_is_stood_in_front_of(database: Target) -> None:
    """The server is a proxy of ours that lets in what is encrypted; a race's own connections get there by libpq."""
    with closing(database.connect()) as connection:
        connection.execute(b"create table counts (n int); insert into counts values (0)")
        connection.commit()
    with standing(database, has_tls=True) as server:
        address = Url(
            "postgresql", username=database.url.username, host=HOST, port=server.port, database=database.url.database
        )
        demanding = Target(address.set(query={"sslmode": "require"}))
        with standing(demanding) as stood, psycopg.connect(stood.url, sslmode="disable") as own:
            assert own.execute("select length(%s)", ["x" * 1_000_000]).fetchone() == (1_000_000,)
        with CallRace(demanding, test_database=database.url.database) as race:

            def add() -> None:
                with psycopg.connect(race.url) as connection:
                    ((n,),) = connection.execute("select n from counts").fetchall()
                    connection.execute("update counts set n = %s", (n + 1,))

            assert race.url.endswith("sslmode=require")
            with pytest.raises(NotHeld, match="lost update"):
                race(add).holds()
    with standing(database) as server:
        unencrypted = Target(address.set(port=server.port, query={"sslmode": "require"}))
        with standing(unencrypted) as stood, pytest.raises(psycopg.OperationalError):
            psycopg.connect(stood.url, sslmode="disable")


def test_calls_whose_drivers_insist_on_encryption_are_raced_and_told_how_where_there_is_none(
    database: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(database.connect()) as connection:
        connection.execute(b"create table counts (n int); insert into counts values (0)")
        connection.commit()
    with ExitStack() as stack, CallRace(database, test_database=database.url.database) as race:
        assert race.url.endswith("sslmode=disable")
        url = race.url.partition("?")[0]
        engine = create_engine(url.replace("://", "+psycopg://"), connect_args={"sslmode": "require"})

        async def add_by_asyncpg() -> None:
            connection = await asyncpg.connect(url, ssl="require")
            n = await connection.fetchval("select n from counts")
            await connection.execute("update counts set n = $1", n + 1)
            await connection.close()

        def add_by_sqlalchemy() -> None:
            with engine.begin() as connection:
                n = connection.scalar(text("select n from counts"))
                connection.execute(text("update counts set n = :n"), {"n": n + 1})

        stack.callback(engine.dispose)
        with pytest.raises(NotHeld, match="A before B: B read n 0, not 1"):
            race(add_by_asyncpg, add_by_sqlalchemy).holds()
    monkeypatch.setattr(stand, "find_context", lambda _host: None)
    with CallRace(database, test_database=database.url.database) as race:
        insisting = f"{race.url.partition('?')[0]}?sslmode=require"
        with pytest.raises(NotHeld, match=r"(?s)no statement of A, B passed .*pip install 'integrity\[tls\]'"):
            race(lambda: psycopg.connect(insisting)).holds()


def test_what_a_server_that_demands_encryption_offers_is_passed_on_without_what_binds_to_it() -> None:
    session = PostgresqlProtocol("key", is_server_encrypted=True).begin()
    offered = make_message(b"R", (10).to_bytes(4) + b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0")
    assert session.read_server(offered.raw) == [make_message(b"R", (10).to_bytes(4) + b"SCRAM-SHA-256\0\0")]


class Encrypted:
    """A client's end of an encrypted connection, which says itself what goes into one packet."""

    def __init__(self, client: socket.socket) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self._client, self._incoming, self._outgoing = client, ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing)

    def _until(self, act: Callable[[], T]) -> T:
        while True:
            try:
                return act()
            except ssl.SSLWantReadError:
                self.flush()
                self._incoming.write(self._client.recv(1 << 16))

    def shake_hands(self) -> None:
        """The last packet of it waits for `flush`."""
        self._until(self._tls.do_handshake)

    def write(self, data: bytes) -> None:
        self._tls.write(data)

    def flush(self) -> None:
        self._client.sendall(self._outgoing.read())

    def read_answer(self) -> bytes:
        answer = b""
        while not answer.endswith(IS_READY):
            answer += self._until(self._tls.read)
        return answer


def test_a_session_that_begins_in_the_packet_that_ends_the_handshake_is_served(database: Target) -> None:
    """So it comes when the proxy is busy: the loop tells what it decrypts before it gives the encrypted transport."""
    with standing(database, has_tls=True) as stood, asking(stood.port) as client:
        assert client.recv(1) == b"S"
        encrypted = Encrypted(client)
        encrypted.shake_hands()
        encrypted.write(startup_of(database))
        encrypted.flush()
        assert encrypted.read_answer()[:1] == b"R"
        encrypted.write(make_message(b"Q", b"select 7\0").raw)
        encrypted.flush()
        assert encrypted.read_answer()[:1] == b"T"


@pytest.mark.parametrize("length", [3, None], ids=["a part", "the whole"])
def test_a_session_that_begins_unencrypted_behind_the_question_is_refused(database: Target, length: int | None) -> None:
    """Somebody in between could have put it there (CVE-2021-23214)."""
    with standing(database, has_tls=True) as stood, asking(stood.port, behind=startup_of(database)[:length]) as client:
        assert client.recv(1) == b"E"
        assert b"not encrypted" in client.recv(1 << 16)
    assert not stood.passed


def test_a_driver_that_insists_where_there_is_none_is_counted(database: Target) -> None:
    with standing(database) as stood, pytest.raises(psycopg.OperationalError, match="SSL"):
        psycopg.connect(stood.url, sslmode="require")
    assert stood.counts["clients that hung up when encryption was refused"] == 1

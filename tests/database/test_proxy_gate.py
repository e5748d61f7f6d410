"""The gate of a link: what it may do with messages, what it is told, and how a session begins."""

import asyncio
from contextlib import closing

import asyncpg
import psycopg
import pytest

from integrity.engines.target import Target
from integrity.proxy import link as links
from integrity.proxy.gate import Direction, Ruling
from integrity.proxy.link import Link
from integrity.proxy.message import Message
from integrity.proxy.postgresql.framing import make_message
from integrity.proxy.server import Proxy, address_of


class Keeper:
    """Holds the rows that go to the client, once it is told to; counts their bytes."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.is_holding = False
        self.is_over = False
        self.held: list[Message] = []

    def rule(self, direction: Direction, message: Message) -> Ruling:
        if not self.is_holding or direction is Direction.TO_SERVER:
            return Ruling.PASS
        self.held.append(message)
        return Ruling.HOLD

    def ended(self) -> None:
        self.is_over = True

    def release(self) -> None:
        messages, self.held = self.held, []
        self.link.send(Direction.TO_CLIENT, messages)

    @property
    def is_whole(self) -> bool:
        """Whether it holds the end of an answer."""
        return bool(self.held) and self.held[-1].kind in (b"Z", b"T")

    @property
    def bytes_held(self) -> int:
        return sum(len(message.raw) for message in self.held)


async def open_keeper(target: Target, **options: object) -> tuple[Proxy, list[Keeper]]:
    keepers: list[Keeper] = []

    def keep(link: Link) -> Keeper:
        keepers.append(Keeper(link))
        return keepers[-1]

    proxy = Proxy(address_of(target), gate_of=keep, admits_all=True, **options)  # type: ignore[arg-type]  # as given
    await proxy.start()
    return proxy, keepers


def url_of(proxy: Proxy, target: Target) -> str:
    return Target(proxy.target(target).url.set(query={})).text


def test_what_a_gate_holds_is_bounded_and_arrives_whole_when_it_lets_go(
    database: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "HELD_BYTES_MOST", 1 << 20)

    async def work() -> None:
        proxy, keepers = await open_keeper(database)
        server = await asyncpg.connect(url_of(proxy, database), ssl=False)
        (keeper,) = keepers
        keeper.is_holding = True
        asking = asyncio.ensure_future(server.fetch("select n, repeat('z', 1000) as z from generate_series(1, 30000) as n"))
        most = 0
        while not asking.done():
            await asyncio.wait([asking], timeout=0.001)
            most = max(most, keeper.bytes_held)
            if keeper.is_whole or not keeper.link.server.transport.is_reading():
                keeper.release()
        assert [row["n"] for row in await asking] == list(range(1, 30_001))
        assert most < 2 << 20
        keeper.is_holding = False
        await server.close()
        await proxy.close()
        assert keeper.is_over

    asyncio.run(asyncio.wait_for(work(), 60))


def test_a_gate_knows_who_it_stands_before(database: Target) -> None:
    async def work() -> None:
        proxy, keepers = await open_keeper(database)
        server = await asyncpg.connect(url_of(proxy, database), ssl=False, server_settings={"application_name": "shop"})
        link = keepers[0].link
        assert link.is_open
        assert link.backend_pid == await server.fetchval("select pg_backend_pid()")
        assert (link.parameters["application_name"], link.parameters["database"]) == ("shop", database.url.database)
        assert len(link.backend_secret) >= 4
        await server.close()
        await proxy.close()
        assert not link.is_open

    asyncio.run(asyncio.wait_for(work(), 60))


def test_a_gate_may_ask_in_the_place_of_its_client_and_keep_the_answer(database: Target) -> None:
    """Between two statements of a client that knows nothing of it."""

    answered = asyncio.Event()

    class Asker(Keeper):
        def rule(self, direction: Direction, message: Message) -> Ruling:
            if direction is Direction.TO_CLIENT and self.is_holding:
                self.held.append(message)
                if message.kind == b"Z":
                    self.is_holding = False
                    answered.set()
                return Ruling.DROP
            return Ruling.PASS

    async def work() -> None:
        askers: list[Asker] = []

        def make(link: Link) -> Asker:
            askers.append(Asker(link))
            return askers[-1]

        proxy = Proxy(address_of(database), gate_of=make, admits_all=True)
        await proxy.start()
        server = await asyncpg.connect(url_of(proxy, database), ssl=False)
        (asker,) = askers
        asker.is_holding = True
        asker.link.send(Direction.TO_SERVER, [make_message(b"Q", b"create temporary table own (n int)\0")])
        await answered.wait()
        assert [message.kind for message in asker.held] == [b"C", b"Z"]
        assert await server.fetchval("select count(*) from own") == 0
        await server.close()
        await proxy.close()

    asyncio.run(asyncio.wait_for(work(), 60))


def test_a_proxys_settings_win_over_those_that_a_client_begins_with_and_leave_its_options(database: Target) -> None:
    async def work() -> None:
        proxy, _ = await open_keeper(database, settings={"statement_timeout": "0", "lock_timeout": "7s"})

        def ask() -> tuple[str, ...]:
            options = "-c statement_timeout=5s -c work_mem=3MB"
            with closing(psycopg.connect(url_of(proxy, database), options=options, sslmode="disable")) as server:
                names = ("statement_timeout", "lock_timeout", "work_mem")
                return tuple(str(server.execute("select current_setting(%s)", [name]).fetchone()[0]) for name in names)  # type: ignore[index]  # one row

        assert await asyncio.to_thread(ask) == ("0", "7s", "3MB")
        await proxy.close()

    asyncio.run(asyncio.wait_for(work(), 60))


@pytest.mark.parametrize(
    ("begins", "says"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"sslnegotiation=direct"),
        ((8).to_bytes(4) + (2 << 16).to_bytes(4), b"version 2"),
    ],
)
def test_what_cannot_be_served_is_refused_by_name(database: Target, begins: bytes, says: bytes) -> None:
    async def work() -> None:
        proxy, _ = await open_keeper(database)
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(begins)
        assert says in await reader.read()
        writer.close()
        await proxy.close()

    asyncio.run(asyncio.wait_for(work(), 60))


def test_replication_is_refused_by_name(database: Target) -> None:
    async def work() -> None:
        proxy, _ = await open_keeper(database)

        def ask() -> None:
            psycopg.connect(url_of(proxy, database), replication="database", sslmode="disable")

        with pytest.raises(psycopg.OperationalError, match="replication does not pass"):
            await asyncio.to_thread(ask)
        assert proxy.counts["replication connections refused"] == 1
        await proxy.close()

    asyncio.run(asyncio.wait_for(work(), 60))

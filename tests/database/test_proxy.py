"""The proxy in front of a real server: with open gates it changes nothing, and each gate does what it says."""

import asyncio
import errno
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from typing import Any

import asyncpg
import pytest

from integrity.engines.target import Target
from integrity.errors import UsageError
from integrity.proxy.faults import Delay
from integrity.proxy.postgresql.framing import make_refusal
from integrity.proxy.postgresql.session import KEY_PARAMETER
from integrity.proxy.server import Address, Proxy, address_of

Work = Callable[[Proxy, Target], Awaitable[None]]


def with_proxy(database: Target, work: Work) -> None:
    """Do the work with a proxy in front of the database, on both event loops that a run can be on."""

    async def inside() -> None:
        async with running(database) as proxy:
            await work(proxy, proxy.target(database))

    import uvloop

    asyncio.run(asyncio.wait_for(inside(), 60))
    uvloop.run(asyncio.wait_for(inside(), 60))


@asynccontextmanager
async def running(database: Target) -> AsyncIterator[Proxy]:
    proxy = Proxy(address_of(database), seed=1)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.close()


async def connect(proxy: Proxy, target: Target) -> Any:
    url = Target(target.url.set(query={})).text
    return await asyncpg.connect(url, ssl="prefer", server_settings=proxy.settings, timeout=10)


async def count_rows(database: Target) -> int:
    """Return how many rows `marks` has, asked without the proxy."""

    def ask() -> int:
        with closing(database.connect()) as server:
            return int(server.execute("select count(*) from marks").fetchone()[0])  # type: ignore[index]  # one row

    return await asyncio.to_thread(ask)


@pytest.fixture
def marks(database: Target) -> Target:
    with closing(database.connect()) as server:
        server.execute("create table marks (id int generated always as identity, text text)")
    return database


LOST = (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, OSError)


async def is_lost(sent: Awaitable[Any]) -> bool:
    try:
        await sent
    except LOST:
        return True
    return False


def test_with_open_gates_everything_arrives_as_it_was_sent(marks: Target) -> None:
    """Long rows in both directions: who cannot take more makes the other wait."""

    async def work(proxy: Proxy, target: Target) -> None:
        server = await connect(proxy, target)
        long = "x" * 5_000_000
        assert await server.fetchval("select length($1::text)", long) == len(long)
        assert await server.fetchval("select repeat('y', 5000000)") == "y" * 5_000_000
        rows = await server.fetch("select n, repeat('z', 100) as z from generate_series(1, 50000) as n")
        assert [row["n"] for row in rows] == list(range(1, 50_001))
        with pytest.raises(asyncpg.DivisionByZeroError):
            await server.fetchval("select 1 / 0")
        assert await server.fetchval("show application_name") == ""
        await server.close()

    with_proxy(marks, work)


def test_a_statement_can_be_cancelled_through_it(database: Target) -> None:
    async def work(proxy: Proxy, target: Target) -> None:
        server = await connect(proxy, target)
        with pytest.raises(TimeoutError):
            await server.fetchval("select pg_sleep(600)", timeout=0.05)
        assert await server.fetchval("select 1") == 1
        await server.close()

    with_proxy(database, work)


def test_without_its_key_nobody_gets_through_and_the_server_never_sees_it(database: Target) -> None:
    async def work(proxy: Proxy, target: Target) -> None:
        url = Target(target.url.set(query={})).text
        for settings in ({}, {KEY_PARAMETER: "wrong"}):
            with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
                await asyncpg.connect(url, ssl=False, server_settings=settings)
        server = await connect(proxy, target)
        assert await server.fetchval("select current_setting($1, true)", KEY_PARAMETER) is None
        assert proxy.counts["connections turned away"] == 2
        await server.close()

    with_proxy(database, work)


def test_bytes_of_another_protocol_are_answered_with_an_error(database: Target) -> None:
    async def work(proxy: Proxy, target: Target) -> None:
        reader, writer = await asyncio.open_connection(str(target.url.host), target.url.port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        assert (await reader.read()).startswith(b"E")
        writer.close()

    with_proxy(database, work)


def test_a_server_that_is_not_there_looks_like_one_that_hung_up() -> None:
    async def work() -> None:
        proxy = Proxy(Address(path="/nowhere/.s.PGSQL.5432"), seed=1)
        await proxy.start()
        assert await is_lost(connect(proxy, proxy.target(Target.parse("postgresql://integrity@/integrity?host=/nowhere"))))
        assert proxy.counts["connections that the server did not take"] == 1
        await proxy.close()

    asyncio.run(work())


def test_connections_that_are_reset_while_they_are_being_made_leave_nothing_behind(database: Target) -> None:
    """At whatever moment: the proxy knows that they have ended, or it could not be closed."""

    async def work(proxy: Proxy, target: Target) -> None:
        for turns in range(40):
            making = asyncio.ensure_future(connect(proxy, target))
            for _ in range(turns):
                await asyncio.sleep(0)
            proxy.reset()
            if not await is_lost(making):
                making.result().terminate()

    with_proxy(database, work)


def test_a_server_on_tcp_is_found_by_any_of_its_addresses() -> None:
    """A name often has an address of IPv6 first, where nobody listens."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(make_refusal("57P03", "the server is starting up").raw)
        writer.close()

    async def work() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        target = Target.parse(f"postgresql://u@localhost:{server.sockets[0].getsockname()[1]}/d")
        async with running(target) as proxy:
            with pytest.raises(asyncpg.CannotConnectNowError):
                await connect(proxy, proxy.target(target))
        server.close()

    asyncio.run(work())


@pytest.mark.parametrize("direction", ["delay_to_server", "delay_to_client"])
def test_a_delay_holds_what_goes_in_its_direction_and_keeps_its_order(marks: Target, direction: str) -> None:
    async def work(proxy: Proxy, target: Target) -> None:
        server = await connect(proxy, target)
        setattr(proxy.gates, direction, Delay(0.05, 0.1))
        began = time.monotonic()
        assert await server.fetchval("select 1") == 1
        assert time.monotonic() - began >= 0.05
        rows = await server.fetch("select n, repeat('z', 100) as z from generate_series(1, 20000) as n")
        assert [row["n"] for row in rows] == list(range(1, 20_001))
        setattr(proxy.gates, direction, None)
        assert await server.fetchval("select 2") == 2
        await server.close()

    with_proxy(marks, work)


def test_a_reset_is_an_error_at_the_client_and_a_rollback_at_the_server(marks: Target) -> None:
    async def work(proxy: Proxy, target: Target) -> None:
        server = await connect(proxy, target)
        await server.execute("begin; insert into marks (text) values ('half')")
        assert proxy.reset() == 1
        assert await is_lost(server.execute("commit"))
        assert await count_rows(marks) == 0
        server.terminate()

    with_proxy(marks, work)


def test_a_reset_is_a_reset_on_the_wire(marks: Target) -> None:
    """Not just an end: a client that only waits must learn of it by an error."""

    async def work(proxy: Proxy, target: Target) -> None:
        reader, writer = await asyncio.open_connection(str(target.url.host), target.url.port)
        writer.write(bytes([0, 0, 0, 8, 4, 210, 22, 47]))  # may I have encryption?
        assert await reader.read(1) == b"N"
        assert proxy.reset() == 1
        with pytest.raises(ConnectionResetError) as caught:
            await reader.read()
        assert caught.value.errno == errno.ECONNRESET
        writer.close()

    with_proxy(marks, work)


def test_a_half_open_connection_says_nothing_and_keeps_its_locks_until_it_is_reset(marks: Target) -> None:
    async def work(proxy: Proxy, target: Target) -> None:
        frozen, other = await connect(proxy, target), await asyncpg.connect(marks.text)
        await frozen.execute("begin; lock table marks")
        (link,) = proxy.freeze()
        asking = asyncio.ensure_future(frozen.execute("commit"))
        with pytest.raises(asyncpg.LockNotAvailableError):
            await other.execute("set lock_timeout = '50ms'; lock table marks in share mode")
        assert not asking.done()
        link.reset()
        assert await is_lost(asking)
        await other.execute("set lock_timeout = '10s'")
        assert await other.fetchval("select count(*) from marks") is not None
        frozen.terminate()
        await other.close()

    with_proxy(marks, work)


def test_a_half_open_connection_that_thaws_goes_on_where_it_was(marks: Target) -> None:
    async def work(proxy: Proxy, target: Target) -> None:
        server = await connect(proxy, target)
        before = await count_rows(marks)
        await server.execute("begin; insert into marks (text) values ('late')")
        (link,) = proxy.freeze()
        asking = asyncio.ensure_future(server.execute("commit"))
        assert await count_rows(marks) == before
        assert not asking.done()
        link.thaw()
        assert await asking == "COMMIT"
        assert await count_rows(marks) == before + 1
        await server.close()

    with_proxy(marks, work)


def test_a_hidden_commit_has_happened_and_its_client_is_cut_off(marks: Target) -> None:
    async def work(proxy: Proxy, target: Target) -> None:
        before = await count_rows(marks)
        server = await connect(proxy, target)
        proxy.gates.hidden_share = 1.0
        await server.execute("begin; insert into marks (text) values ('committed')")
        assert await is_lost(server.execute("commit"))
        assert await count_rows(marks) == before + 1
        assert proxy.counts["commits hidden from their client"] == 1

    with_proxy(marks, work)


def test_the_answer_to_a_write_that_is_its_own_transaction_is_hidden_too_but_not_that_of_a_read(marks: Target) -> None:
    async def work(proxy: Proxy, target: Target) -> None:
        before = await count_rows(marks)
        server = await connect(proxy, target)
        proxy.gates.hidden_share = 1.0
        assert await server.fetchval("select 1") == 1
        assert await is_lost(server.execute("insert into marks (text) values ($1)", "alone"))
        assert await count_rows(marks) == before + 1

    with_proxy(marks, work)


@pytest.mark.parametrize(("gate", "row_count"), [("hidden_share", 1), ("lost_share", 0)])
def test_a_prepared_commit_is_hidden_or_lost_like_any_other(marks: Target, gate: str, row_count: int) -> None:
    """The client sends a name instead of the word: matching its text would miss this."""

    async def work(proxy: Proxy, target: Target) -> None:
        before = await count_rows(marks)
        server = await connect(proxy, target)
        commit = await server.prepare("commit")
        await server.execute("begin; insert into marks (text) values ('prepared')")
        setattr(proxy.gates, gate, 1.0)
        assert await is_lost(commit.fetch())
        assert await count_rows(marks) == before + row_count

    with_proxy(marks, work)


def test_a_lost_commit_has_not_happened_and_looks_the_same_to_its_client(marks: Target) -> None:
    async def work(proxy: Proxy, target: Target) -> None:
        before = await count_rows(marks)
        server = await connect(proxy, target)
        proxy.gates.lost_share = 1.0
        await server.execute("begin; insert into marks (text) values ('lost')")
        assert await is_lost(server.execute("commit"))
        assert await count_rows(marks) == before
        assert proxy.counts["commits not delivered"] == 1

    with_proxy(marks, work)


@pytest.mark.parametrize(
    "url",
    ["postgresql://u@h/d?sslmode=verify-full", "postgresql://u@a,b/d", "postgresql://u@/d?host=a,b"],
)
def test_a_server_that_it_cannot_stand_in_front_of_is_refused(url: str) -> None:
    with pytest.raises(UsageError):
        address_of(Target.parse(url))


def test_of_a_host_that_is_named_twice_the_last_counts_as_it_does_for_libpq() -> None:
    assert address_of(Target.parse("postgresql://u@/d?host=a&host=b")) == Address(host="b", port=5432)

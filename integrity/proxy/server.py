"""The proxy: listens on loopback, between clients of ours and a PostgreSQL server, and does to their connections what its
gates say (gate.py, link.py).

It listens on TCP, because only there can a connection be reset. Anyone on this machine could reach that port, and pass
where a unix socket's folder would have stopped them: so it has a key, which its own clients send as a startup parameter,
and which the server never sees.
"""

import asyncio
import secrets
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

from integrity.engines.postgresql.connecting import CONNECT_TIMEOUT_S
from integrity.engines.target import Target
from integrity.engines.url import Url
from integrity.errors import UsageError
from integrity.proxy.faults import FaultGate, Gates
from integrity.proxy.gate import Gate
from integrity.proxy.link import Link
from integrity.proxy.postgresql.session import KEY_PARAMETER, PostgresqlProtocol
from integrity.proxy.server_tls import demands_encryption, encrypt, server_context

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens: a unix socket's path, or a host and a port.

    Args:
        tls: with which connections to it are encrypted; None: they are not.
    """

    path: str | None = None
    host: str = ""
    port: int = 5432
    tls: ssl.SSLContext | None = None


def address_of(target: Target) -> Address:
    """Return where the server of this database listens.

    Raises:
        UsageError: on several hosts; or the certificates that the URL names cannot be used.
    """
    url = target.url
    hosts, ports = url.query.get("host", url.host or "localhost"), url.query.get("port", url.port or 5432)
    if "," in hosts:
        raise UsageError(f"{target}: faults on the wire need a single host", hint="Name one host in the URL.")
    if hosts.startswith("/"):
        return Address(path=f"{hosts}/.s.PGSQL.{ports}")
    return Address(host=hosts, port=int(ports), tls=server_context(target))


class Proxy:
    """A proxy in front of one server, in the event loop that starts it.

    Args:
        address: the server's.
        seed: of what the gates of faults draw.
        gate_of: makes a link's gate; by default that of faults.
        database: whoever names it may pass, without the key: its name is not to be guessed.
        admits_all: everybody may pass, without the key.
        settings: parameters that the server is told at the start of each session, whatever the client says there.
        tls: with which a client that asks for encryption is given it; None: it is told that there is none.
        port: to listen on; 0: any that is free.
    """

    def __init__(
        self,
        address: Address,
        *,
        seed: int = 0,
        gate_of: Callable[[Link], Gate] | None = None,
        database: str = "",
        admits_all: bool = False,
        settings: Mapping[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
        port: int = 0,
    ) -> None:
        self.gates = Gates(random=Random(f"{seed}/proxy"))
        self.key = secrets.token_hex(16)
        self._gate_of = gate_of or (lambda _link: FaultGate(self.gates))
        self._protocol = PostgresqlProtocol(
            self.key,
            database=database,
            admits_all=admits_all,
            settings=settings or {},
            tls=tls,
            is_server_encrypted=address.tls is not None,
        )
        self._tls = tls
        self.port = port
        self._address = address
        self._links: dict[Link, None] = {}  # in the order in which they came, so that choices can be repeated
        self._listener: asyncio.Server | None = None
        self._is_empty = asyncio.Event()
        self._is_empty.set()

    @property
    def counts(self) -> Counter[str]:
        """What it has done so far."""
        return self.gates.counts

    @property
    def settings(self) -> dict[str, str]:
        """What a client must send as startup parameters to be let through."""
        return {KEY_PARAMETER: self.key}

    def target(self, target: Target) -> Target:
        """Return the same database, reached through here; encrypted where it was to be, and can be."""
        kept = {
            name: value
            for name, value in target.url.query.items()
            if name not in ("host", "port", "channel_binding") and not name.startswith("ssl")
        }
        address = Url(
            target.url.drivername,
            username=target.url.username,
            password=target.url.password,
            host=HOST,
            port=self.port,
            database=target.url.database,
            query={**kept, "sslmode": "require" if self._tls and demands_encryption(target) else "disable"},
        )
        return Target(address)

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: the port is taken.
        """
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(self._accept, HOST, self.port)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Listen no more and cut off who is left; return when all connections have ended."""
        if self._listener is not None:
            self._listener.close()
        for link in list(self._links):
            link.is_frozen = False
            link.cut()
        await self._is_empty.wait()

    def reset(self, share: float = 1.0) -> int:
        """Reset that share of the connections; return how many those are."""
        chosen = self._choose(share)
        for link in chosen:
            link.reset()
        self.counts["connections reset"] += len(chosen)
        return len(chosen)

    def freeze(self, share: float = 1.0) -> list[Link]:
        """Let that share of the connections become half open: nothing passes, nobody is told. Return them."""
        chosen = self._choose(share)
        for link in chosen:
            link.freeze()
        self.counts["connections half open"] += len(chosen)
        return chosen

    def _choose(self, share: float) -> list[Link]:
        links = list(self._links)
        return self.gates.random.sample(links, min(len(links), round(share * len(links))))

    def _accept(self) -> asyncio.Protocol:
        link = Link(
            self._protocol.begin(),
            gate_of=self._gate_of,
            dial=self._dial,
            over=self._end,
            count=self._count,
            delay_of=self.gates.delay_of,
            tls=self._tls,
        )
        self._links[link] = None
        self._is_empty.clear()
        return link.client

    def _end(self, link: Link) -> None:
        self._links.pop(link, None)
        if not self._links:
            self._is_empty.set()

    async def _dial(self, protocol: asyncio.Protocol) -> None:
        loop, address = asyncio.get_running_loop(), self._address
        if address.path is not None:
            await loop.create_unix_connection(lambda: protocol, address.path)
            return
        connection = await _connect(address.host, address.port)
        if address.tls is not None:
            await encrypt(connection, address.tls, address.host, lambda: protocol)
            return
        await loop.create_connection(lambda: protocol, sock=connection)

    def _count(self, what: str) -> None:
        self.counts[what] += 1


async def _connect(host: str, port: int) -> socket.socket:
    """Return a connection to the first of the host's addresses that takes it.

    Raises:
        OSError: none does.
    """
    loop = asyncio.get_running_loop()
    refusal: OSError = ConnectionError(f"{host} has no address")
    for family, _, _, _, place in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        connection = socket.socket(family)
        connection.setblocking(False)  # noqa: FBT003  a flag by position is all that it takes
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await loop.sock_connect(connection, place)
        except OSError as error:
            connection.close()
            refusal = error
        else:
            return connection
    raise refusal

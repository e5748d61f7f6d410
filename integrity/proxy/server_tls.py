"""Encryption between the proxy and a server that demands it: as the URL says, whom to believe and by which certificate.

The client's side is not encrypted by it. So that it does not take the server's words for its own connection, what binds a
password to an encrypted one is left out of what the server offers (postgresql/session.py).
"""

import asyncio
import socket
import ssl
import struct
from collections.abc import Callable

from integrity.engines.target import Target
from integrity.engines.url import Secret
from integrity.errors import UsageError
from integrity.proxy.postgresql.framing import SSL_REQUEST

_DEMANDING = ("require", "verify-ca", "verify-full")


def demands_encryption(target: Target) -> bool:
    """Return whether a URL says that connections are encrypted, or none."""
    return target.url.query.get("sslmode", "") in _DEMANDING


def server_context(target: Target) -> ssl.SSLContext | None:
    """Return what encrypts the connections to a server; None: its URL does not demand it.

    Raises:
        UsageError: a certificate is missing, or cannot be read.
    """
    query = target.url.query
    mode = query.get("sslmode", "")
    if not demands_encryption(target):
        return None
    root = query.get("sslrootcert", "")
    if mode != "require" and not root:
        raise UsageError(
            f"{target}: sslmode={mode} needs sslrootcert, the certificate of whom to believe",
            hint="Add sslrootcert=FILE, or sslrootcert=system.",
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = mode == "verify-full" or root == "system"
    context.verify_mode = ssl.CERT_REQUIRED if root else ssl.CERT_NONE
    try:
        if root == "system":
            context.load_default_certs()
        elif root:
            context.load_verify_locations(root)
        if own := query.get("sslcert"):
            password = query.get("sslpassword")
            told = password.reveal() if isinstance(password, Secret) else password
            context.load_cert_chain(own, query.get("sslkey"), told)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(f"{target}: its certificates cannot be read: {error}", hint="Mend the URL.") from None
    return context


async def encrypt(
    connection: socket.socket, context: ssl.SSLContext, host: str, make_protocol: Callable[[], asyncio.Protocol]
) -> None:
    """Ask the server on a new connection for encryption, and give the encrypted one to the protocol.

    Raises:
        OSError: it has none, or it is not whom to believe.
    """
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(connection, struct.pack(">II", 8, SSL_REQUEST))
    if await loop.sock_recv(connection, 1) != b"S":
        connection.close()
        raise ConnectionError("the server has no encryption")
    await loop.create_connection(make_protocol, sock=connection, ssl=context, server_hostname=host)

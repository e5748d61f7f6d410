"""How a session of PostgreSQL's protocol begins at a proxy: who is let in, what is refused by name, what is added.

Requests for encryption are answered "no", or "yes" where there is a certificate to offer; with GSSAPI always "no", as no
key of the server's is ours. A session that asks for replication is refused: its messages are not the protocol's. Everything
else passes as it is, passwords of all methods included, and the server's word on which version it speaks. As the proxy's
own connection to the server is not encrypted, the server never offers to bind a password to the channel, and a client
that would like that goes without.
"""

import hmac
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field

from integrity.proxy.message import Message, ProtocolError
from integrity.proxy.postgresql.framing import (
    CANCEL_REQUEST,
    GSSENC_REQUEST,
    PROTOCOL_MAJOR,
    SSL_REQUEST,
    Framer,
    make_cancel,
    make_message,
    make_refusal,
    make_startup,
    read_startup,
)
from integrity.proxy.protocol import Opening, Step

KEY_PARAMETER = "integrity.proxy_key"
_KEY = re.compile(rf"-c\s*{re.escape(KEY_PARAMETER)}=(\w+)")
HUNG_UP = "clients that hung up when encryption was refused"
DISBELIEVED = "clients that hung up at the proxy's own certificate"
_NO, _YES = Message(b"N", b"N"), Message(b"S", b"S")
_SASL = (10).to_bytes(4)
_BOUND = b"SCRAM-SHA-256-PLUS\0"
_TLS_HANDSHAKE = 0x16  # the first byte of a client that does not ask


@dataclass(frozen=True, slots=True)
class PostgresqlProtocol:
    """What all sessions of a proxy have in common.

    Args:
        key: who sends it as KEY_PARAMETER, or among `options` (PGOPTIONS), is let in; the server never sees it.
        database: who names it, or what a suite of tests calls its own one beside it (test_NAME), is let in, without the
            key: its name is not to be guessed; empty: none.
        admits_all: everybody is let in, without the key.
        settings: parameters that the server is told at the start of each session. They come last: they win over the
            client's own startup parameters and over its `options`, which pass as they are; not over what it sets later.
        tls: with which a client that asks for encryption is given it; None: it is not.
        is_server_encrypted: the connection to the server is, whatever the client's is.
    """

    key: str
    database: str = ""
    admits_all: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)
    tls: ssl.SSLContext | None = None
    is_server_encrypted: bool = False

    def begin(self) -> "PostgresqlSession":
        """See protocol.WireProtocol."""
        return PostgresqlSession(self)

    def admits(self, parameters: Mapping[str, str], key: str) -> bool:
        """Return whether a client is let in."""
        named = parameters.get("database") or parameters.get("user")
        is_known = self.admits_all or (bool(self.database) and self.database in (named or ""))
        return is_known or hmac.compare_digest(key.encode("utf-8", "surrogateescape"), self.key.encode())


class PostgresqlSession:
    """See protocol.Session."""

    def __init__(self, common: PostgresqlProtocol) -> None:
        self.parameters: dict[str, str] = {}
        self.backend_pid = 0
        self.backend_secret = b""
        self._common = common
        self._key_data = b""  # as the server sent it: the process and its secret, of any length since version 3.2
        self._from_client, self._from_server = Framer(begins_untyped=True), Framer(begins_untyped=False)
        self._has_begun = self._is_encrypted = self._was_refused = self._has_opened = False

    @property
    def unmet(self) -> str:
        """See protocol.Session."""
        if self._has_opened:
            return ""
        return DISBELIEVED if self._is_encrypted else HUNG_UP if self._was_refused else ""

    def read_client(self, data: bytes) -> list[Message]:
        """See protocol.Session."""
        if not self._has_begun and data and data[0] == _TLS_HANDSHAKE:
            raise ProtocolError("encryption without asking for it first (sslnegotiation=direct) does not pass this proxy")
        self._has_begun = True
        return self._from_client.feed(data)

    def read_server(self, data: bytes) -> list[Message]:
        """See protocol.Session."""
        messages = self._from_server.feed(data)
        if self._common.is_server_encrypted and not self._key_data:
            return [_without_binding(message) for message in messages]
        return messages

    def open(self, message: Message) -> Opening:
        """See protocol.Session."""
        common = self._common
        if message.code == SSL_REQUEST:
            if common.tls is None or self._is_encrypted:
                self._was_refused = True
                return Opening(Step.ANSWER, _NO)
            if not self._from_client.is_between_messages:
                raise ProtocolError("bytes that are not encrypted behind a request for encryption")
            self._is_encrypted = True
            return Opening(Step.ENCRYPT, _YES)
        if message.code == GSSENC_REQUEST:
            return Opening(Step.ANSWER, _NO)
        self._has_opened = True
        if message.code == CANCEL_REQUEST:
            return Opening(Step.CONNECT, message)  # it has a key of its own
        if message.code >> 16 != PROTOCOL_MAJOR:
            raise ProtocolError(f"version {message.code >> 16} of the protocol; the proxy speaks {PROTOCOL_MAJOR}")
        return self._open_session(message)

    def _open_session(self, message: Message) -> Opening:
        common = self._common
        parameters = read_startup(message)
        options, in_options = _without_key(parameters.get("options", ""))
        if in_options:
            parameters = {**parameters, "options": options}
        self.parameters = dict(parameters)
        if not common.admits(parameters, parameters.pop(KEY_PARAMETER, in_options)):
            refusal = make_refusal("28000", "this proxy belongs to a run of integrity")
            return Opening(Step.REFUSE, refusal, "connections turned away")
        if parameters.get("replication", "false").lower() not in ("false", "off", "no", "0", ""):
            refusal = make_refusal("0A000", "replication does not pass this proxy: connect to the server itself")
            return Opening(Step.REFUSE, refusal, "replication connections refused")
        own = {name.lower() for name in common.settings}
        kept = {name: value for name, value in parameters.items() if name.lower() not in own}
        return Opening(Step.CONNECT, make_startup(message.code, {**kept, **common.settings}))

    def note(self, message: Message) -> None:
        """See protocol.Session."""
        if message.kind == b"K":
            self._key_data = message.body
            self.backend_pid, self.backend_secret = int.from_bytes(message.body[:4]), message.body[4:]

    def make_cancel(self) -> Message | None:
        """See protocol.Session."""
        return make_cancel(self._key_data) if self._key_data else None

    def make_refusal(self, reason: str) -> Message:
        """See protocol.Session."""
        return make_refusal("08P01", reason)


def options_with(key: str, options: str = "") -> str:
    """Return the value of PGOPTIONS with which clients of libpq send the key."""
    return f"{options} -c {KEY_PARAMETER}={key}".strip()


def _without_key(options: str) -> tuple[str, str]:
    """Return `options` without the key, and the key; empty: there is none."""
    found = _KEY.search(options)
    return (options, "") if found is None else (_KEY.sub("", options).strip(), found[1])


def _without_binding(message: Message) -> Message:
    """Return what a server offers without what binds a password to the encrypted connection: the client's is another."""
    if message.kind == b"R" and message.body.startswith(_SASL) and _BOUND in message.body:
        return make_message(b"R", message.body.replace(_BOUND, b""))
    return message

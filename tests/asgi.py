"""Asking a web application of ours without a socket: one request, one answer."""

from collections.abc import Mapping, Sequence
from urllib.parse import unquote

from starlette.types import ASGIApp, Message, Scope


async def ask(
    app: ASGIApp,
    method: str,
    target: str,
    headers: Mapping[str, str] = {},
    body: bytes | Sequence[bytes] = b"",
) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers by names in lower case, and body.

    Args:
        body: in parts, where it comes so.
    """
    path, _, query = target.partition("?")
    parts = [body] if isinstance(body, bytes) else list(body)
    coming: list[Message] = [
        {"type": "http.request", "body": part, "more_body": number < len(parts)} for number, part in enumerate(parts, 1)
    ]
    got: list[Message] = []

    async def receive() -> Message:
        return coming.pop(0) if coming else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        got.append(message)

    scope: Scope = {
        "type": "http",
        "http_version": "1.1",
        "scheme": "http",
        "method": method,
        "path": unquote(path),
        "raw_path": path.encode("latin-1"),
        "query_string": query.encode("latin-1"),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()],
        "client": None,
        "server": None,
        "state": {},
    }
    await app(scope, receive, send)
    told = {name.decode(): value.decode() for name, value in got[0]["headers"]}
    return got[0]["status"], told, b"".join(message.get("body", b"") for message in got[1:])

"""What every request to a server of ours goes through: its body is read within bounds, it is measured and gets an id, and
what was refused, or went wrong, is answered with JSON.
"""

import asyncio
import logging
import re
import time
import uuid
from collections.abc import Collection, Mapping
from typing import Any

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from integrity.endpoints.requests import JSON, BadRequest
from integrity.serve.metrics import Metrics

BODY_S = 30.0
"""So long a client may take to send a body."""

ROUTE = "integrity.route"
"""In a scope: what metrics call the request."""

OTHER = "other"
"""What they call one that asks for nothing here: paths that anybody makes up would be names without end."""

_REQUEST_ID = re.compile(r"[\w.\-]{1,100}")
_log = logging.getLogger("integrity.serve")


async def read_body(request: Request, bytes_most: int) -> bytes:
    """Return a request's body.

    Raises:
        BadRequest: it is longer than that, or does not come to its end.
    """
    said = request.headers.get("content-length", "0")
    too_long = BadRequest(413, f"the body is longer than {bytes_most:,} bytes, which is what may be sent here")
    if not said.isdecimal() or int(said[:20]) > bytes_most:
        raise too_long
    parts, count = [], 0
    try:
        async with asyncio.timeout(BODY_S):
            async for part in request.stream():
                count += len(part)
                if count > bytes_most:
                    raise too_long
                parts.append(part)
    except TimeoutError:
        raise BadRequest(408, f"the body did not come to its end within {BODY_S:g} s") from None
    return b"".join(parts)


class Observing:
    """Measures each request, gives it an id, and answers what was refused, or went wrong, with JSON."""

    def __init__(self, app: ASGIApp, metrics: Metrics, fixed: Collection[str]) -> None:
        self._app = app
        self._fixed = fixed
        self._observe = metrics.requests.observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began_s = time.perf_counter()
        request_id = _request_id(scope)
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except ClientDisconnect:
            status = 499  # as nginx has it: nobody is there to be answered
        except Exception as error:
            if status:
                raise
            await _describe(error, request_id)(scope, receive, sending)
        finally:
            route = scope.get(ROUTE) or (scope["path"] if scope["path"] in self._fixed else OTHER)
            self._observe(time.perf_counter() - began_s, scope["method"], route, str(status))


def _describe(error: Exception, request_id: str) -> Response:
    """Return the answer that tells of an exception."""
    if isinstance(error, BadRequest):
        members = {"error": str(error), **({"field": error.field} if error.field else {})}
        headers = {"allow": error.allow} if error.allow else {}
        headers |= {"www-authenticate": "Bearer"} if error.status == 401 else {}
        return json_answer({**members, "request_id": request_id}, error.status, headers)
    _log.error("request %s", request_id, exc_info=error)
    return json_answer({"error": "an error of the server's own", "request_id": request_id}, 500)


def json_answer(members: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] = {}) -> Response:
    return Response(orjson.dumps(members), status, {"content-type": JSON, **headers})


def _request_id(scope: Scope) -> str:
    given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"").decode("latin-1")
    return given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex

"""Answers: how a call ended as an answer over HTTP, and what a client may conclude from one. Each undoes the other.

    ok           200 or the endpoint's own; the reply as JSON
    declined     409 or the reason's own (402, 404, 422, 429); {"outcome": "declined", "reason": ...}
    unavailable  503
    failed       500; 422 where the database refused a value; {"outcome": "failed", "error": ...}
    unknown      504

Whoever stands between (a proxy, a balancer) answers without an outcome. Then 503 says that nobody took the request, any
other 5xx that nobody knows, and what is below 500 that nothing was done.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from integrity.endpoints.requests import JSON
from integrity.history import Outcome, Returned
from integrity.operation import Row, Rows
from integrity.value import told

ATTEMPTS = "attempts"
"""The header that says how often a call was begun, where that is more than once."""

ABANDONED = "abandoned"
"""The header of an answer to a call in which a process was made to die: no failure of the system's."""

REPLY = "operation-reply"
"""The header that the reply travels in, where the answer itself is a list of rows."""

RETRY_AFTER_S = 1
"""When to ask again where nobody knows better."""

SHOWN_MOST = 200

_REFUSED_VALUES = ("22", "23")
"""Classes of SQLSTATE: data exceptions, and constraints that what was asked for does not keep."""


@dataclass(frozen=True, slots=True)
class WireAnswer:
    """An answer as it travels; headers by names in lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


def encode_return(
    returned: Returned,
    events: Rows | None = None,
    *,
    ok_status: int = 200,
    declines: Mapping[str, int] = {},
    retry_after_s: int = RETRY_AFTER_S,
) -> WireAnswer:
    """Return the answer that tells how a call ended.

    Args:
        events: what it pushed; None: such a call pushes nothing.
        declines: reason -> its status.
        retry_after_s: when what was refused for want of room may be asked for again.
    """
    headers = {"content-type": JSON}
    if returned.attempts > 1:
        headers[ATTEMPTS] = str(returned.attempts)
    if returned.was_abandoned:
        headers[ABANDONED] = "true"
    outcome, reply = returned.outcome, returned.reply or {}
    if outcome is Outcome.OK:
        told_of = {**reply, "events": [_spell_event(each) for each in events]} if events is not None else reply
        return WireAnswer(ok_status, headers, orjson.dumps(told_of, default=told))
    status = _status(returned, declines)
    if status in (429, 503):
        headers["retry-after"] = str(retry_after_s)
    members = {"outcome": outcome.value, **({"error": returned.error} if returned.error else {}), **reply}
    return WireAnswer(status, headers, orjson.dumps(members, default=told))


def encode_rows(returned: Returned, rows: Rows, *, count: int | None, ok_status: int = 200) -> WireAnswer:
    """Return the answer that is a list of rows.

    Args:
        count: of all rows that there are; None: nobody asked.
    """
    total = "*" if count is None else str(count)
    headers = {
        "content-type": JSON,
        "content-range": f"{f'0-{len(rows) - 1}' if rows else '*'}/{total}",
        REPLY: json.dumps(returned.reply or {}, default=told),
    }
    if returned.attempts > 1:
        headers[ATTEMPTS] = str(returned.attempts)
    return WireAnswer(ok_status, headers, orjson.dumps(list(rows), default=told))


def decode_return(
    status: int, headers: Mapping[str, str], body: bytes, *, has_events: bool = False
) -> tuple[Returned, Rows]:
    """Return how a call ended, and what it pushed.

    Args:
        headers: by names in lower case.
        has_events: such a call pushes events.
    """
    attempts = int(text) if (text := headers.get(ATTEMPTS, "1")).isdecimal() and len(text) < 10 else 1
    members = _members(headers[REPLY].encode() if REPLY in headers and 200 <= status < 300 else body)
    if 200 <= status < 300:
        if members is None:
            unread = f"HTTP {status}, and its body is no object of JSON: {_shown(body)}"
            return Returned(Outcome.UNKNOWN, None, unread, attempts), ()
        events = tuple(map(_read_event, members.pop("events", ()))) if has_events else ()
        return Returned(Outcome.OK, members, "", attempts), events
    said: dict[str, Any] = members or {}
    try:
        outcome = Outcome(said.pop("outcome", None))
    except ValueError:
        return Returned(*_of_a_stranger(status, body), attempts), ()
    error = str(said.pop("error", ""))
    reply = said if outcome in (Outcome.DECLINED, Outcome.UNAVAILABLE) else None
    return Returned(outcome, reply, error, attempts, was_abandoned=ABANDONED in headers), ()


def _status(returned: Returned, declines: Mapping[str, int]) -> int:
    match returned.outcome:
        case Outcome.DECLINED:
            return declines.get(str((returned.reply or {}).get("reason")), 409)
        case Outcome.UNAVAILABLE:
            return 503
        case Outcome.FAILED:
            return 422 if returned.error.startswith(_REFUSED_VALUES) else 500
        case _:
            return 504


def _of_a_stranger(status: int, body: bytes) -> tuple[Outcome, Mapping[str, Any] | None, str]:
    """Return what an answer without an outcome says: outcome, reply, error."""
    said = f"HTTP {status}: {_shown(body)}"
    if status == 503:
        return Outcome.UNAVAILABLE, {"reason": "http_503"}, said
    return (Outcome.UNKNOWN if status >= 500 else Outcome.FAILED), None, said


def _members(body: bytes) -> dict[str, Any] | None:
    try:
        members = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return members if isinstance(members, dict) else None


def _shown(body: bytes) -> str:
    text = " ".join(body[: 4 * SHOWN_MOST].decode(errors="replace").split())
    return text if len(text) <= SHOWN_MOST else f"{text[:SHOWN_MOST]}..."


def _spell_event(event: Row) -> dict[str, Any]:
    at = event["sent_at"]
    return {**event, "sent_at": at.isoformat() if isinstance(at, datetime) else at}  # SQLite has moments as texts


def _read_event(event: dict[str, Any]) -> dict[str, Any]:
    return {**event, "sent_at": datetime.fromisoformat(event["sent_at"])}

"""Outside parties over HTTP: what a system's server asks of them, and what it is answered.

    POST /safebox/mint/melt
    webhooks: http://127.0.0.1:8000      where what follows is to be sent
    caused-by: pay_invoice               the call that asks, and when its client's came
    caused-at-us: 1700000000000000
    {"do": "melt", "payment_id": 41, "amount_minor": 100}

is answered 200 with what the party says; what it refuses with its status (429, 500, 404), nothing done; what it does not
answer it may have done. A webhook that follows says when the call came that it follows from, and is signed, so that it
is believed: the server that gets one knows whose it is.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from integrity.errors import quote
from integrity.value import Value

WEBHOOKS = "webhooks"
CAUSED_BY = "caused-by"
CAUSED_AT = "caused-at-us"
"""Headers of a request; CAUSED_AT of a webhook, too."""

OWED = "/owed"
"""The path that says how much is still to be sent to whom: ?webhooks=URL&since_us=N, {"owed": 2, "owed_since": 1}."""

UNREACHABLE = "unreachable"
"""In the place of a status, where nobody listened: nothing was done."""

OK = 200


def path_of(system: str, service: str, asked: str) -> str:
    """Return where a party is asked.

    Args:
        asked: what it is asked to do; empty: it does one thing.
    """
    return f"/{system}/{service}/{asked}" if asked else f"/{system}/{service}"


def decode_answer(status: int, body: bytes) -> Mapping[str, Value]:
    """Return what an operation is told of an answer.

    Raises:
        ValueError: it is none that a party of ours gives.
    """
    if status != OK:
        return refusal(status)
    members: Any = orjson.loads(body)
    if not isinstance(members, dict):
        raise ValueError(f"{quote(body[:40].decode(errors='replace'))} is no object of JSON")  # noqa: TRY004
    return members


def refusal(code: Value) -> Mapping[str, Value]:
    """Return what an operation is told where nothing was done."""
    return {"status": "error", "code": code}

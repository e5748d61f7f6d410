"""The record of a server: what it did that no client saw. A run that asks it takes that into its history.

Webhooks and jobs are calls that a server makes by itself, and what operations ask of outside services is asked behind its
endpoints. An audit that knows none of it finds rows that nobody asked for. A page of the record is asked for with numbers
of lines, from 0 on since the server began, and answers with what came behind those:

    GET /integrity/record?calls=120&requests=80
    {"session": "01a2...", "owed": 2, "calls": {"from": 120, "to": 124, "lines": [...]}, "requests": {...}}

Lines are those of a history (integrity/history.py). `from` is more than was asked for where lines are not kept any more,
and another session is another process, which counts anew.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

PATH = "/integrity/record"
PASSWORD = "integrity-password"  # noqa: S105  (the name of a header)
CALLS, REQUESTS = "calls", "requests"


@dataclass(frozen=True, slots=True)
class RecordedLines:
    """Some lines of one kind.

    Args:
        first: the number of the first; end: of the one that comes next.
    """

    first: int
    end: int
    lines: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class RecordPage:
    """What a server did by itself.

    Args:
        session: tells the server's process from any other.
        owed: webhooks and jobs that are still to be made.
    """

    session: str
    owed: int
    calls: RecordedLines
    requests: RecordedLines


def query_of(calls: int, requests: int) -> str:
    """Return the query of a page that begins with these lines."""
    return f"{CALLS}={calls}&{REQUESTS}={requests}"


def decode_page(body: bytes) -> RecordPage:
    """Return the page that an answer holds.

    Raises:
        ValueError: it holds none.
    """
    try:
        members = orjson.loads(body)
        kinds = [
            RecordedLines(int(each["from"]), int(each["to"]), list(each["lines"]))
            for each in (members[CALLS], members[REQUESTS])
        ]
        return RecordPage(str(members["session"]), int(members["owed"]), *kinds)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"it is no page of a record: {error}") from None

"""The record of a server: what it did that no client saw. A run that asks it takes that into its history.

Webhooks and jobs are calls that a server makes by itself, and what operations ask of outside services is asked behind its
endpoints. An audit that knows none of it finds rows that nobody asked for. A page of the record is asked for with numbers
of lines, from 0 on since the server began, and answers with what came behind those:

    GET /integrity/record?calls=120&requests=80&since_us=17
    {"session": "01a2...", "at_us": 23, "owed": 2, "owed_since": 1,
     "calls": {"from": 120, "to": 124, "lines": [...]}, "requests": {...}}

Lines are those of a history (integrity/history.py). `from` is more than was asked for where lines are not kept any more,
and another session is another process, which counts anew. A line of a call that begins says when the client's call came
that it follows from (`caused_at_us`): by the server's clock, as all moments here, so that a run can tell what is its own.
One of a return says whether a process was made to die in the call (`abandoned`), which is no failure of the system's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

PATH = "/integrity/record"
PASSWORD = "integrity-password"  # noqa: S105  (the name of a header)
CALLS, REQUESTS = "calls", "requests"
SINCE = "since_us"
CAUSED = "caused_at_us"
ABANDONED = "abandoned"


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
        at_us: when it was made.
        owed: webhooks and jobs that are still to be made.
        owed_since: of them, those that follow from calls since the moment that was asked about.
    """

    session: str
    at_us: int
    owed: int
    owed_since: int
    calls: RecordedLines
    requests: RecordedLines


def query_of(calls: int, requests: int, since_us: int = 0) -> str:
    """Return the query of a page that begins with these lines."""
    return f"{CALLS}={calls}&{REQUESTS}={requests}&{SINCE}={since_us}"


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
        at_us, owed, owed_since = (int(members[name]) for name in ("at_us", "owed", "owed_since"))
        return RecordPage(str(members["session"]), at_us, owed, owed_since, *kinds)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"it is no page of a record: {error}") from None

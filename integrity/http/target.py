"""The requests that an application is loaded with, as somebody declared them for its target; nothing is sent here."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import orjson

from integrity.http.answer import Answer
from integrity.http.request import Request
from integrity.http.statuses import Statuses
from integrity.http.values import find


@dataclass(frozen=True, slots=True)
class AnswerCheck:
    """What an answer is checked for, beside how the call ended; all that it names must hold.

    Args:
        path: where in the body something is, as `take` has it: "$.id".
        equals: what is there, alone in a tuple; none: anything.
        under_ms: so fast it came, from when the request was sent.
    """

    name: str
    statuses: Statuses | None = None
    path: str = ""
    equals: tuple[Any, ...] = ()
    under_ms: float | None = None

    def holds(self, answer: Answer, took_ms: float) -> bool:
        """Return whether an answer is as it says."""
        if self.statuses is not None and answer.status not in self.statuses:
            return False
        if self.under_ms is not None and took_ms >= self.under_ms:
            return False
        if not self.path:
            return True
        found = find(answer, self.path)
        return bool(found) and (not self.equals or found[:1] == self.equals)


@dataclass(frozen=True, slots=True)
class Declines:
    """Which answers are the application's correct no.

    Args:
        words: or such words in their bodies.
    """

    statuses: Statuses | None = None
    words: tuple[str, ...] = ()

    def __contains__(self, answer: Answer) -> bool:
        return (self.statuses is not None and answer.status in self.statuses) or any(
            word.lower() in answer.text.lower() for word in self.words
        )


@dataclass(frozen=True, slots=True)
class TargetRequest:
    """A request that clients make, again and again.

    Args:
        declines: None: every answer of 4xx but 401, 403, 404 and 405 that it does not expect.
    """

    request: Request
    declines: Declines | None = None
    checks: tuple[AnswerCheck, ...] = ()


@dataclass(frozen=True, slots=True)
class TargetRequests:
    """All of a target's.

    Args:
        requests: by the names of their operations.
        login: sent once, before the first of them; what it leaves is in each.
        bearer: where in its last answer a token is; None: there is none.
        secrets: texts that are shown nowhere.
    """

    requests: Mapping[str, TargetRequest]
    login: tuple[Request, ...] = ()
    bearer: str | None = None
    secrets: frozenset[str] = field(default=frozenset(), repr=False)


NOT_FOUND = (401, 403, 404, 405)
"""Statuses that say that the request is a wrong one, and not that the application declines it."""
_REASONS = ("reason", "code", "error", "detail", "message", "title")
_WORDS_MOST = 60


def reason_of(answer: Answer) -> str:
    """Return why an application declined, in its own words where they are few; else its status."""
    try:
        said = orjson.loads(answer.text)
    except orjson.JSONDecodeError:
        said = None
    for text in _texts(said):
        if text and len(text) <= _WORDS_MOST:
            return _without_numbers(text)
    return f"HTTP {answer.status}"


def _texts(said: Any) -> Iterator[str]:
    if isinstance(said, dict):
        for name in _REASONS:
            value = said.get(name)
            if isinstance(value, dict):
                yield from _texts(value)
            elif isinstance(value, str):
                yield value.strip()


@lru_cache(maxsize=1024)
def _without_numbers(text: str) -> str:
    """Reasons are counted: one that holds an id or an amount would be another each time."""
    return re.sub(r"\b[0-9a-f]{8}-[0-9a-f-]{27}\b|\d+", "N", text)

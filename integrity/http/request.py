"""A request as somebody declared it: method, URL or path, headers, body, and which answers are expected.

Nothing is sent here. `{name}` in it stands for a value that is put in before (`values.py`). What could be a secret (a
password, a token, cookies) is in no text that is shown: `shown` and `repr` give the method and the URL only.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from integrity.errors import UsageError, quote, quote_url
from integrity.http.statuses import Statuses

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
JSON_TYPE = "application/json"
FORM_TYPE = "application/x-www-form-urlencoded"

_SECRET = re.compile(r"pass|secret|token|auth|key|session|signature|credential|code|jwt", re.IGNORECASE)
_INLINE = re.compile(r"(?P<method>[A-Za-z]+)\s+(?P<url>\S+)(?:\s+(?P<body>.+))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Json:
    """A body of JSON, as a value: a text in it that is `{name}` alone becomes a value of that type."""

    value: Any = field(repr=False)


@dataclass(frozen=True, slots=True)
class Raw:
    """A body that is sent as it is written; its type stands in the headers."""

    content: str | bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Part:
    """One field of a form of several parts.

    Args:
        filename: as the server is told; None: it is no file.
    """

    name: str
    content: str | bytes = field(repr=False)
    filename: str | None = None
    content_type: str | None = None


@dataclass(frozen=True, slots=True)
class Parts:
    """A form of several parts (multipart/form-data)."""

    parts: tuple[Part, ...]


Body = Json | Raw | Parts


@dataclass(frozen=True, slots=True, repr=False)
class Request:
    """A request.

    Args:
        url: whole, or a path at the application's address.
        headers: in order; a name may come twice.
        expected: answers that are right; None: all below 400.
        takes: name -> where in the answer its value is, as `values.py` reads it.
        is_insecure: the server's certificate is not looked at.
        follows_redirects: it goes where the answer points to.
        name: what it is called where it was declared.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: Body | None = None
    expected: Statuses | None = None
    takes: Mapping[str, str] = field(default_factory=dict)
    is_insecure: bool = False
    follows_redirects: bool = False
    name: str = ""

    @property
    def shown(self) -> str:
        """The request as people see it: no header, no body, no password."""
        return f"{self.method} {shown_url(self.url)}"

    def __repr__(self) -> str:
        return f"Request({self.shown})"

    def header(self, name: str) -> str | None:
        """Return the value of a header, the last one of that name."""
        return next((value for each, value in reversed(self.headers) if each.lower() == name.lower()), None)

    def expects(self, status: int) -> bool:
        """Return whether an answer of that status is right."""
        return status < 400 if self.expected is None else status in self.expected


def with_header(headers: tuple[tuple[str, str], ...], name: str, value: str) -> tuple[tuple[str, str], ...]:
    """Return headers in which one has that value, whatever it had."""
    return (*((each, said) for each, said in headers if each.lower() != name.lower()), (name, value))


def shown_url(url: str) -> str:
    """Return a URL without its password, and without values in its query whose name sounds like a secret's."""
    try:
        split = urlsplit(url)
    except ValueError:
        return quote_url(url)
    user, at, host = split.netloc.rpartition("@")
    place = f"{user.partition(':')[0]}{':***' if ':' in user else ''}{at}{host}"
    query = split.query
    if _SECRET.search(query):
        pairs = [
            (name, "***" if _SECRET.search(name) else value) for name, value in parse_qsl(query, keep_blank_values=True)
        ]
        query = urlencode(pairs, safe="*{}/:")
    return urlunsplit((split.scheme, place, split.path, query, ""))


def read_inline(text: str, *, place: str) -> Request:
    """Return the request that a line declares: "GET /wallets/7", 'POST /pay {"amount": 5}', "POST /pay amount=5&to=7".

    Raises:
        UsageError: it is no such line.
    """
    found = _INLINE.fullmatch(text.strip())
    if found is None:
        first = (text.split() or [""])[0]
        raise UsageError(
            f"{place}: {quote(first)} is no request", hint='Write "POST /pay", "POST /pay {...}" or a curl line.'
        )
    method, body = found["method"].upper(), found["body"]
    if method not in METHODS:
        from integrity.suggestion import suggest

        known = f"Known: {', '.join(METHODS)}."
        raise UsageError(f"{place}: {quote(found['method'])} is no method", hint=suggest(method, METHODS, always=known))
    check_url(found["url"], place=place)
    if body is None:
        return Request(method, found["url"])
    kind = JSON_TYPE if body[0] in '{["' else FORM_TYPE
    return Request(method, found["url"], (("Content-Type", kind),), Raw(body))


def check_url(url: str, *, place: str) -> None:
    """Raise UsageError unless it is a URL of HTTP or a path."""
    if not re.match(r"(?:https?://[^/\s]|/|\{)", url, re.IGNORECASE) or re.search(r"\s", url):
        raise UsageError(
            f"{place}: {quote_url(shown_url(url))} is neither a path nor a URL of HTTP",
            hint="Write /pay, which is at the application's address, or http://127.0.0.1:8000/pay.",
        )

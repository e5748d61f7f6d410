"""Tokens against forged requests: where frameworks give them, and where they want them back.

Django, Laravel and Angular give one in a cookie; Rails, Laravel and Spring in a <meta> of the page; Django, Rails, Laravel,
Flask-WTF, Spring, gorilla and ASP.NET in a hidden field of a form. It goes back in a header, and in a form's field.
A cookie goes first: it is renewed with a login, and a page that was read before it is not.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from integrity.http.request import FORM_TYPE, SAFE_METHODS, Body, Part, Parts, Raw, Request, with_header


@dataclass(frozen=True, slots=True)
class Token:
    """A token.

    Args:
        header: that it goes back in.
        field: of a form that it goes back in; empty: none.
        renewed: fields that hold it where a form has them already.
    """

    value: str = field(repr=False)
    header: str
    field: str = ""
    renewed: frozenset[str] = frozenset()


_OF_COOKIES = {"csrftoken": ("X-CSRFToken", "csrfmiddlewaretoken"), "XSRF-TOKEN": ("X-XSRF-TOKEN", "")}
_OF_FIELDS = {
    "csrfmiddlewaretoken": "X-CSRFToken",  # Django
    "authenticity_token": "X-CSRF-Token",  # Rails
    "_token": "X-CSRF-TOKEN",  # Laravel
    "csrf_token": "X-CSRFToken",  # Flask-WTF
    "_csrf": "X-CSRF-TOKEN",  # Spring, Express
    "gorilla.csrf.Token": "X-CSRF-Token",
    "__RequestVerificationToken": "RequestVerificationToken",  # ASP.NET
}
_OF_METAS = ("csrf-token", "_csrf")


def token_of_cookies(cookies: Mapping[str, str]) -> Token | None:
    """Return the token that the application gave as a cookie; None: none."""
    for name, (header, form_field) in _OF_COOKIES.items():
        if cookies.get(name):
            return Token(unquote(cookies[name]), header, form_field)
    return None


def token_of_page(html: str) -> Token | None:
    """Return the token in a page: of its <meta>, else of its first form with one; None: none."""
    page = _Page()
    page.feed(html)
    for name in _OF_METAS:
        if value := page.metas.get(name):
            header = page.metas.get("_csrf_header") or "X-CSRF-Token"
            form_field = page.metas.get("csrf-param") or ("_csrf" if name == "_csrf" else page.first_field())
            return Token(value, header, form_field, frozenset(_OF_FIELDS))
    name = page.first_field()
    return Token(page.fields[name], _OF_FIELDS[name], name) if name else None


class _Page(HTMLParser):
    """The metas and the hidden fields of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.metas: dict[str, str] = {}
        self.fields: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attrs}
        if tag == "meta" and "name" in said:
            self.metas[said["name"]] = said.get("content", "")
        elif tag == "input" and said.get("name") in _OF_FIELDS:
            self.fields.setdefault(said["name"], said.get("value", ""))

    def first_field(self) -> str:
        return next((name for name, value in self.fields.items() if value), "")


def with_token(request: Request, token: Token | None, *, url: str) -> Request:
    """Return a request with the token, in place of an older one; one that changes nothing goes as it is.

    Args:
        url: whole, that it goes to. Django wants a Referer where it is https.
    """
    if token is None or request.method in SAFE_METHODS:
        return request
    headers = with_header(request.headers, token.header, token.value)
    if url.startswith("https:") and request.header("referer") is None and request.header("origin") is None:
        split = urlsplit(url)
        headers = with_header(headers, "Referer", f"{split.scheme}://{split.netloc.rpartition('@')[2]}/")
    return replace(request, headers=headers, body=_with_field(request, token))


def _with_field(request: Request, token: Token) -> Body | None:
    body = request.body
    if isinstance(body, Parts):
        names = _fields(token, (part.name for part in body.parts))
        others = (part for part in body.parts if part.name not in names)
        return Parts((*others, *(Part(name, token.value) for name in names)))
    if (
        isinstance(body, Raw)
        and isinstance(body.content, str)
        and (request.header("content-type") or "").startswith(FORM_TYPE)
    ):
        pairs = parse_qsl(body.content, keep_blank_values=True)
        names = _fields(token, (name for name, _ in pairs))
        kept = [(name, value) for name, value in pairs if name not in names]
        return Raw(urlencode(kept + [(name, token.value) for name in names])) if names else body
    return body


def _fields(token: Token, given: Iterable[str]) -> list[str]:
    """Return the fields of a form that the token goes into."""
    return sorted({token.field, *(token.renewed & set(given))} - {""})

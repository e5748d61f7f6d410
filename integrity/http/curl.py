"""A line as a browser copies it ("copy as cURL (bash)"), or as one types it: curl's words, read into a request.

What changes what is sent is taken over; what is about the terminal or about curl alone (-s, -o, --compressed) is left
out; the rest is refused by its name, so that a request is never another one than the line says. Headers that the
client must make itself (Content-Length, Accept-Encoding) are left out.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote_plus

from integrity.errors import UsageError, quote
from integrity.http.request import FORM_TYPE, JSON_TYPE, METHODS, Body, Part, Parts, Raw, Request, check_url
from integrity.http.shell_words import Word, split_words
from integrity.suggestion import suggest

_LONG_OF = {
    "X": "request", "H": "header", "d": "data", "F": "form", "b": "cookie", "u": "user", "A": "user-agent",
    "e": "referer", "k": "insecure", "L": "location", "G": "get", "I": "head", "s": "silent", "S": "show-error",
    "v": "verbose", "i": "include", "f": "fail", "g": "globoff", "N": "no-buffer", "o": "output", "w": "write-out",
    "m": "max-time", "c": "cookie-jar", "4": "ipv4", "6": "ipv6", "#": "progress-bar", "0": "http1.0",
}  # fmt: skip
_OF_THE_REQUEST = frozenset({
    "request", "header", "data", "data-ascii", "data-raw", "data-binary", "data-urlencode", "json", "form", "form-string",
    "cookie", "user", "user-agent", "referer", "url", "oauth2-bearer",
})  # fmt: skip
_LEFT_OUT_WITH_VALUE = frozenset({"output", "write-out", "max-time", "connect-timeout", "cookie-jar"})
_FLAGS = frozenset({"insecure", "location", "get", "head"})
_FLAGS_LEFT_OUT = frozenset({
    "compressed", "silent", "show-error", "verbose", "include", "fail", "fail-with-body", "globoff", "no-buffer", "ipv4",
    "ipv6", "progress-bar", "http1.0", "http1.1", "http2", "http2-prior-knowledge", "http3", "path-as-is",
    "no-progress-meter", "no-keepalive", "tcp-nodelay", "basic",
})  # fmt: skip
_KNOWN = _OF_THE_REQUEST | _LEFT_OUT_WITH_VALUE | _FLAGS | _FLAGS_LEFT_OUT
_MADE_BY_THE_CLIENT = frozenset({"content-length", "accept-encoding", "connection", "transfer-encoding"})


@dataclass(slots=True)
class _Line:
    """A line, and what was read of it so far; values may be secrets."""

    place: str
    folder: Path
    method: str = ""
    url: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list, repr=False)
    data: list[str | bytes] = field(default_factory=list, repr=False)
    parts: list[Part] = field(default_factory=list, repr=False)
    cookies: list[str] = field(default_factory=list, repr=False)
    flags: set[str] = field(default_factory=set)
    removed: set[str] = field(default_factory=set)
    is_json: bool = False


def is_curl(text: str) -> bool:
    """Return whether a text is a line of curl's, by its first word."""
    return text.split(maxsplit=1)[:1] in (["curl"], ["curl.exe"], ["$"])


def read_curl(text: str, *, place: str = "--curl", folder: Path | None = None) -> Request:
    """Return the request that a line of curl's sends.

    Args:
        place: where the line stands, for messages.
        folder: that names of files in it (`-d @body.json`) are looked for in; None: the current one.

    Raises:
        UsageError: it says something that is not known, or not to be had.
    """
    words = split_words(text, place=place)
    while words and words[0].text in ("$", ""):  # a prompt that was pasted with it
        words = words[1:]
    if not words or words[0].text not in ("curl", "curl.exe"):
        shown = quote(words[0].text) if words else "an empty line"
        raise UsageError(f"{place}: {shown} is no curl line", hint='In the browser: "Copy as cURL (bash)".')
    line = _Line(place, folder or Path())
    _read_words(words[1:], line)
    return _request(line)


def _read_words(words: Sequence[Word], line: _Line) -> None:
    position = 0
    only_urls = False
    while position < len(words):
        word = words[position]
        position += 1
        if only_urls or not word.text.startswith("-") or word.text == "-":
            _set_url(line, word)
        elif word.text == "--":
            only_urls = True
        elif word.text.startswith("--"):
            position += _read_option(word.text[2:], None, word, words[position : position + 1], line)
        else:
            position += _read_short(word, words[position : position + 1], line)


def _read_short(word: Word, following: Sequence[Word], line: _Line) -> int:
    """Read letters behind one dash; return how many of the words behind it were used."""
    for number, letter in enumerate(word.text[1:], start=1):
        name = _LONG_OF.get(letter)
        if name is None:
            raise _unknown(f"-{letter}", word, line.place)
        if name in _OF_THE_REQUEST | _LEFT_OUT_WITH_VALUE:
            return _read_option(name, word.text[number + 1 :] or None, word, following, line)
        line.flags.add(name)
    return 0


def _read_option(name: str, attached: str | None, word: Word, following: Sequence[Word], line: _Line) -> int:
    if name not in _KNOWN:
        raise _unknown(f"--{name}", word, line.place)
    if name in _FLAGS | _FLAGS_LEFT_OUT:
        line.flags.add(name)
        return 0
    if attached is None and not following:
        raise UsageError(
            f"{line.place}: column {word.at}: nothing stands behind {_option(word)}", hint="Paste the whole line."
        )
    value = attached if attached is not None else following[0].text
    where = f"{line.place}: column {word.at}: {_option(word)}"
    if name == "url":
        _set_url(line, Word(value, word.at))
    elif name in _OF_THE_REQUEST:
        _take(name, value, line, where)
    return 0 if attached is not None else 1


def _take(name: str, value: str, line: _Line, where: str) -> None:
    match name:
        case "request":
            line.method = _method(value, where)
        case "header":
            _take_header(value, line, where)
        case "form" | "form-string":
            line.parts.append(_part(value, where, line.folder, is_plain=name == "form-string"))
        case "cookie" if "=" in value:
            line.cookies.append(value.strip("; "))
        case "cookie":
            raise UsageError(f"{where}: a file of cookies is not read", hint="Write the cookies: -b 'name=value'.")
        case "user":
            pair = value if ":" in value else f"{value}:"
            line.headers.append(("Authorization", f"Basic {base64.b64encode(pair.encode()).decode()}"))
        case "oauth2-bearer":
            line.headers.append(("Authorization", f"Bearer {value}"))
        case "user-agent" | "referer":
            line.headers.append((name.title(), value))
        case _:
            line.is_json = line.is_json or name == "json"
            line.data.append(_data(name, value, where, line.folder))


def _data(name: str, value: str, where: str, folder: Path) -> str | bytes:
    if name == "data-raw":
        return value
    if name == "data-urlencode":
        return _encoded(value, where, folder)
    content = _content(value, where, folder)
    return _without_ends(content) if name.startswith("data") and name != "data-binary" else content


def _take_header(value: str, line: _Line, where: str) -> None:
    name, colon, said = value.partition(":")
    if value.startswith(":"):  # of HTTP/2 itself, e.g. ":authority: shop": what they say is in the URL
        return
    if not colon and value.endswith(";"):
        line.headers.append((value[:-1].strip(), ""))
        return
    if not colon or not name.strip() or value.startswith("@"):
        raise UsageError(f"{where}: what stands behind it is no header", hint="Write -H 'Name: value'.")
    if not said.strip():  # curl's way to send none of that name
        line.removed.add(name.strip().lower())
    elif name.strip().lower() == "cookie":
        line.cookies.append(said.strip().strip(";"))
    elif name.strip().lower() not in _MADE_BY_THE_CLIENT:
        line.headers.append((name.strip(), said.strip()))


def _request(line: _Line) -> Request:
    if not line.url:
        raise UsageError(f"{line.place}: the line has no URL", hint="Paste the whole line.")
    if line.data and line.parts:
        raise UsageError(f"{line.place}: a body of -d and one of -F cannot both be sent", hint="Leave one of them out.")
    headers = list(line.headers)
    if line.cookies:
        headers.append(("Cookie", "; ".join(line.cookies)))
    url, body = line.url, None
    if "get" in line.flags and line.data:
        joined = _joined(line)
        query = joined if isinstance(joined, str) else joined.decode("utf-8", "replace")
        url += f"{'&' if '?' in url else '?'}{query}"
    else:
        body = _body(line, headers)
    method = line.method or ("HEAD" if "head" in line.flags else "POST" if body is not None else "GET")
    kept = tuple((name, value) for name, value in headers if name.lower() not in line.removed)
    return Request(
        method, url, kept, body,
        is_insecure="insecure" in line.flags, follows_redirects="location" in line.flags,
    )  # fmt: skip


def _body(line: _Line, headers: list[tuple[str, str]]) -> Body | None:
    named = {name.lower() for name, _ in headers} | line.removed
    if line.parts:
        headers[:] = [(name, value) for name, value in headers if name.lower() != "content-type"]  # its boundary is new
        return Parts(tuple(line.parts))
    if not line.data:
        return None
    if "content-type" not in named:
        headers.append(("Content-Type", JSON_TYPE if line.is_json else FORM_TYPE))
    if line.is_json and "accept" not in named:
        headers.append(("Accept", JSON_TYPE))
    return Raw(_joined(line))


def _joined(line: _Line) -> str | bytes:
    between = "" if line.is_json else "&"
    if all(isinstance(each, str) for each in line.data):
        return between.join(str(each) for each in line.data)
    return between.encode().join(each.encode() if isinstance(each, str) else each for each in line.data)


def _part(value: str, where: str, folder: Path, *, is_plain: bool) -> Part:
    name, sign, content = value.partition("=")
    if not sign:
        raise UsageError(f"{where}: what stands behind it is no field", hint="Write -F 'name=value' or 'name=@file'.")
    if is_plain:
        return Part(name, content)
    content, *options = content.split(";")
    kinds = dict(option.strip().partition("=")[::2] for option in options)
    kind = kinds.get("type")
    if not content.startswith(("@", "<")):
        return Part(name, content.removeprefix('"').removesuffix('"') if content.startswith('"') else content, None, kind)
    read = _read_file(content[1:], where, folder)
    if content.startswith("<"):
        return Part(name, read, None, kind)
    filename = kinds.get("filename", Path(content[1:]).name).strip('"')
    return Part(name, read, filename, kind or "application/octet-stream")


def _encoded(value: str, where: str, folder: Path) -> str:
    """Return what --data-urlencode makes of: text, =text, name=text, @file or name@file."""
    before, sign, after = value.partition("=")
    if sign:
        return f"{before}={quote_plus(after)}" if before else quote_plus(after)
    before, sign, after = value.partition("@")
    if not sign:
        return quote_plus(value)
    read = quote_plus(_read_file(after, where, folder))
    return f"{before}={read}" if before else read


def _content(value: str, where: str, folder: Path) -> str | bytes:
    return _read_file(value[1:], where, folder) if value.startswith("@") else value


def _read_file(name: str, where: str, folder: Path) -> bytes:
    if name == "-":
        raise UsageError(f"{where}: @- reads what is typed, and nothing is", hint="Write the text, or name a file.")
    try:
        return (folder / name).read_bytes()
    except OSError as error:
        raise UsageError(
            f"{where}: {folder / name} cannot be read: {error.strerror}", hint="Name a file that is there."
        ) from None


def _without_ends(content: str | bytes) -> str | bytes:
    return content.replace(b"\r", b"").replace(b"\n", b"") if isinstance(content, bytes) else content


def _method(value: str, where: str) -> str:
    if value.upper() not in METHODS:
        known = f"Known: {', '.join(METHODS)}."
        raise UsageError(f"{where}: {quote(value)} is no method", hint=suggest(value.upper(), METHODS, always=known))
    return value.upper()


def _set_url(line: _Line, word: Word) -> None:
    where = f"{line.place}: column {word.at}"
    if line.url:
        raise UsageError(
            f"{where}: a second URL, or a word that no option takes", hint="Give one request a line; quote what has spaces."
        )
    has_scheme = "://" in word.text or word.text.startswith(("/", "{"))
    line.url = word.text if has_scheme else f"http://{word.text}"
    check_url(line.url, place=where)


def _option(word: Word) -> str:
    """Return the option as it is written, without a value that hangs on it, which may be a secret."""
    return word.text if word.text.startswith("--") else word.text[:2]


def _unknown(option: str, word: Word, place: str) -> UsageError:
    name = option.lstrip("-").partition("=")[0]
    shown = f"--{name}" if option.startswith("--") else option
    if option.startswith("--") and "=" in option and name in _KNOWN:
        return UsageError(
            f"{place}: column {word.at}: curl takes no = behind {shown}", hint=f"Write a space: {shown} VALUE."
        )
    known = [f"--{each}" for each in sorted(_KNOWN)] if option.startswith("--") else []
    return UsageError(
        f"{place}: column {word.at}: the option {shown} of curl is not known here",
        hint=suggest(shown, known, otherwise="Leave it out if the request is the same without it."),
    )

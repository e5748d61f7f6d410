"""Keys that look live: of accounts where money is real, or people would be written to. Load never goes out with one.

What is told apart is how providers spell them. Where a provider spells test and live keys alike, both are refused: nobody
can see that it is the harmless one. A token that says by itself who issued it (a JWT's `iss`) is refused unless its issuer
is this machine, a local stack's own, or a host that the project lists as a target.
"""

import base64
import binascii
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from integrity.errors import UsageError


@dataclass(frozen=True, slots=True)
class _Spelling:
    """How keys are spelt.

    Args:
        what: is spelt so.
        why: it is refused, and what would be taken instead.
    """

    what: str
    pattern: re.Pattern[str]
    why: str


def _spelt(what: str, pattern: str, why: str) -> _Spelling:
    return _Spelling(what, re.compile(rf"(?<![A-Za-z0-9]){pattern}"), why)


_ALIKE = "test and live ones are spelt alike, so nobody can see that it is harmless"
SPELLINGS = (
    _spelt("a live Stripe key", r"(?:sk|rk|pk)_live_\w+", "it charges cards; take the test mode's, sk_test_..."),
    _spelt("a live payment key", r"live_[A-Za-z0-9]{20,}", "Mollie's and Adyen's charge cards; take test_..."),
    _spelt("a Square key", r"(?:sq0(?:atp|csp)-[\w-]{20,}|EAAA[\w-]{50,})", "it charges cards; take the sandbox's"),
    _spelt("a Braintree token", r"access_token\$production\$\w+", "it charges cards; take the sandbox's"),
    _spelt("an AWS key", r"A(?:KIA|SIA)[A-Z0-9]{16}(?![A-Za-z0-9])", "an account that pays for what is called"),
    _spelt("a Twilio account or key", r"(?:AC|SK)[0-9a-f]{32}(?![A-Za-z0-9])", f"it writes to people; {_ALIKE}"),
    _spelt("a SendGrid key", r"SG\.[\w-]{16,}\.[\w-]{16,}", "it writes to people"),
    _spelt("a Mailgun key", r"key-[0-9a-f]{32}(?![A-Za-z0-9])", "it writes to people"),
    _spelt("a Slack token", r"xox[abprs]-[\w-]{10,}", "it writes to people"),
    _spelt("a Telegram bot's token", r"\d{8,10}:AA[\w-]{32,}", f"it writes to people; {_ALIKE}"),
    _spelt("a token of Meta's", r"EAA[A-Za-z0-9]{60,}", f"it writes to people; {_ALIKE}"),
    _spelt("a Google key", r"AIza[\w-]{35}", "an account that pays for what is called"),
    _spelt("a GitHub token", r"(?:gh[opsur]_[A-Za-z0-9]{30,}|github_pat_\w{30,})", "somebody's rights on his code"),
    _spelt("a secret key of a hosted service", r"sb_secret_[\w-]{10,}", f"it may all in a project's database; {_ALIKE}"),
    _spelt("a private key", r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----", "it stands for whoever it is of"),
)
_JWT = re.compile(r"(?<![\w.-])eyJ[\w-]*\.(eyJ[\w-]+)\.[\w-]*")
OUR_ISSUERS = ("integrity", "supabase-demo")
"""Whose tokens open nothing but test servers: ours, and those of a local stack whose signing key everybody knows."""

_LOCAL = ("localhost", "127.0.0.1", "::1")


def find_live(text: str, hosts: Collection[str] = ()) -> tuple[str, str] | None:
    """Return what looks live in a text, in a few words, and why it is refused; None: nothing.

    Args:
        hosts: that the project lists as targets: their tokens are meant.
    """
    for spelling in SPELLINGS:
        if spelling.pattern.search(text):
            return spelling.what, spelling.why
    for found in _JWT.finditer(text):
        issuer = _foreign_issuer(found[1], hosts)
        if issuer:
            return "a token of a foreign issuer", f"{issuer} issued it, which is no target that integrity.toml lists"
    return None


def check_no_live_keys(values: Mapping[str, str], *, place: str, hosts: Collection[str] = ()) -> None:
    """Raise UsageError where a value looks like a live key; the value itself is never shown.

    Args:
        values: by their names.
        place: where they stand, "the environment: ".
    """
    for name, value in values.items():
        if found := find_live(value, hosts):
            what, why = found
            raise UsageError(
                f"{place}{name} holds {what}: {why}", hint="Load goes to test accounts only: put a test's there."
            )


def texts_of(given: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield the texts of tables and lists, each behind the path that leads to it: targets.shop.headers.0."""
    if isinstance(given, Mapping):
        for key, each in given.items():
            yield from texts_of(each, f"{name}.{key}" if name else str(key))
    elif isinstance(given, Sequence) and not isinstance(given, str | bytes):
        for number, each in enumerate(given):
            yield from texts_of(each, f"{name}.{number}")
    elif isinstance(given, str):
        yield name, given


def _foreign_issuer(part: str, hosts: Collection[str]) -> str:
    """Return who issued a token, where he is none of ours; empty: it does not say, or is."""
    try:
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (binascii.Error, ValueError):
        return ""
    issuer = str(claims.get("iss", "")) if isinstance(claims, dict) else ""
    if not issuer or issuer in OUR_ISSUERS:
        return ""
    host = urlsplit(issuer).hostname or issuer
    if host in (*_LOCAL, *hosts) or any(host == each.partition(".")[0] for each in hosts):
        return ""
    project = str(claims.get("ref", ""))  # of a hosted project: its host begins with it
    if project and any(each.partition(".")[0] == project for each in hosts):
        return ""
    return repr(issuer[:60])

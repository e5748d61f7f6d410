"""Secrets in texts that others wrote, such as an answer's body or a line of a log: each becomes ***.

Known are those that the environment holds under a name of a plan's; guessed, and made wide, is what stands where a secret
stands (behind `Authorization:`, `Cookie:`, `"access_token":`) or is spelt like one (a JWT, a provider's key).
"""

import os
import re
from collections.abc import Mapping
from typing import Any

from integrity.live_keys import SPELLINGS

SHOWN = "***"
SECRET_NAMES = (
    "LOADTEST_PASSWORD", "SUPABASE_ANON_KEY", "SUPABASE_SERVICE_KEY", "LOADTEST_BYPASS_TOKEN", "STRIPE_TEST_KEY",
)  # fmt: skip
"""Variables of the environment that hold one."""

_LETTERS_LEAST = 6
"""A shorter one is a part of so many words that hiding it would hide the cause."""

_NAME = (
    r"(?:proxy-)?authorization|set-cookie|cookie|(?:access|refresh|id|bearer)[-_]?token|api[-_]?key|apikey|passwd|password"
    r"|(?:client|webhook)[-_]?secret|(?:stripe|webhook)-signature|x-[\w-]*(?:token|key|secret|signature|bypass)"
)
_NAMED = re.compile(
    rf"""(?P<before>(?<![\w-])(?:{_NAME})\\?["']?\s*[:=]\s*)(?P<value>\\"[^"\\]*|"[^"]*|'[^']*|[^\s"',;}}\]][^\n"'}}\]]*)""",
    re.IGNORECASE,
)
_SCHEME = re.compile(r"(?P<before>\b(?:bearer|basic)\s+)(?P<value>(?=\S*[\d._=+/~]|\S{16})[\w.~+/=-]{6,})", re.IGNORECASE)
_SPELT = re.compile(
    "|".join((
        r"(?<![\w.-])eyJ[\w-]{5,}\.[\w-]+\.[\w-]*",
        r"(?<![A-Za-z0-9])(?:sk|rk|whsec)_(?:test_)?\w{8,}",
        r"(?<!\w)v1=[0-9a-f]{64}",
        *(spelling.pattern.pattern for spelling in SPELLINGS),
    ))
)  # fmt: skip
_FIRST = re.compile(r"eyJ|[:=]|earer |asic |[_A-Z]{2}", re.IGNORECASE)


def mask_tokens(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """Return the text with bearer tokens, keys, cookies and signatures replaced by ***."""
    if not text or not _FIRST.search(text):
        return _without_known(text, environment)
    text = _NAMED.sub(lambda found: found["before"] + _shown(found["value"]), text)
    text = _SCHEME.sub(lambda found: found["before"] + SHOWN, text)
    return _without_known(_SPELT.sub(SHOWN, text), environment)


def mask_spelt(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """Return a text of ours without what is spelt like a secret, or is one of the environment's.

    What stands where one would stand is left: it may be a place for one, as in what we tell somebody to type.
    """
    if _FIRST.search(text):
        text = _SPELT.sub(SHOWN, _SCHEME.sub(lambda found: found["before"] + SHOWN, text))
    return _without_known(text, environment)


def mask_reply(reply: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a call was answered, without secrets in its texts."""
    found = {name: masked for name, value in reply.items() if (masked := _masked_value(name, value)) is not value}
    return {**reply, **found} if found else reply


_SECRET_MEMBER = re.compile(rf"(?:{_NAME})", re.IGNORECASE)


def _masked_value(name: str, value: Any) -> Any:
    if isinstance(value, str):
        if value and _SECRET_MEMBER.fullmatch(name):
            return SHOWN
        masked = mask_tokens(value)
        return value if masked == value else masked
    if isinstance(value, Mapping):
        return mask_reply(value)
    if isinstance(value, list):
        masked_each = [_masked_value(name, each) for each in value]
        return masked_each if any(one is not other for one, other in zip(masked_each, value, strict=True)) else value
    return value


def _shown(value: str) -> str:
    quote = next((mark for mark in ('\\"', '"', "'") if value.startswith(mark)), "")
    return value if value in ("", quote) or value.strip(quote).startswith(("{", "$", SHOWN)) else f"{quote}{SHOWN}"


def _without_known(text: str, environment: Mapping[str, str]) -> str:
    for name in SECRET_NAMES:
        value = environment.get(name, "")
        if len(value) >= _LETTERS_LEAST and value in text:
            text = text.replace(value, SHOWN)
    return text

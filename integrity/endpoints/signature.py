"""Signatures of webhooks: whoever sends one proves that he knows the key, and when he sent it.

`t=1700000000,v1=hex` of HMAC-SHA256 over `t.body`, as card processors have it. One that is older than five minutes is
nobody's: what was overheard once is not sent again for ever.
"""

import hashlib
import hmac
import os
import re
from collections.abc import Mapping

SIGNATURE = "webhook-signature"
"""The header that it is in."""

SIGNING_NAMES = ("STRIPE_TEST_KEY",)
OLD_S = 300
_SAID = re.compile(r"t=(\d{1,15}),v1=([0-9a-f]{64})")


def signing_key_of(environment: Mapping[str, str] = os.environ) -> str:
    """Return the key that webhooks are signed with; empty: they are not."""
    return next((environment[name] for name in SIGNING_NAMES if environment.get(name)), "")


def sign(body: bytes, key: str, *, now_s: float) -> str:
    """Return the signature of a webhook."""
    at = int(now_s)
    return f"t={at},v1={hmac.digest(key.encode(), b'%d.' % at + body, hashlib.sha256).hex()}"


def why_not_signed(signature: str, body: bytes, key: str, *, now_s: float) -> str:
    """Return why a webhook is not taken; empty: it is signed with the key."""
    said = _SAID.fullmatch(signature)
    if said is None:
        return f"the header {SIGNATURE} must be t=seconds,v1=hex" if signature else f"the header {SIGNATURE} is missing"
    if not hmac.compare_digest(sign(body, key, now_s=int(said[1])), signature):
        return f"the header {SIGNATURE} was made with another key, or for another body"
    return f"the header {SIGNATURE} is older than {OLD_S} s" if abs(now_s - int(said[1])) > OLD_S else ""

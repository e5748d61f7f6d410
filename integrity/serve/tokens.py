"""Bearer tokens: what somebody is, signed so that nobody can say it of himself (a JWT, HS256; RFC 7519)."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from integrity.value import Value

TOKEN_S = 86_400
"""So long a token is good."""

_HEADER = {"alg": "HS256", "typ": "JWT"}


class Tokens:
    """Makes and reads tokens.

    Args:
        secret: that signs; another one makes all tokens void.
        now_s: seconds since the epoch.
    """

    def __init__(self, secret: bytes, now_s: Callable[[], float]) -> None:
        self._secret = secret
        self._now_s = now_s
        self._header = _encode(_HEADER)

    def make(self, claims: Mapping[str, Value]) -> str:
        """Return the token that says this."""
        said = f"{self._header}.{_encode({**claims, 'exp': int(self._now_s()) + TOKEN_S})}"
        return f"{said}.{self._sign(said)}"

    def read(self, token: str) -> dict[str, Any] | None:
        """Return what a token says; None: it is none of ours, or too old."""
        said, _, signature = token.rpartition(".")
        if not hmac.compare_digest(self._sign(said).encode(), signature.encode()):
            return None
        claims = _decode(said.partition(".")[2])
        return None if claims is None or claims.pop("exp", 0) < self._now_s() else claims

    def _sign(self, said: str) -> str:
        return _text(hmac.digest(self._secret, said.encode(), hashlib.sha256))


def _encode(members: Mapping[str, Any]) -> str:
    return _text(orjson.dumps(members, default=str))


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> dict[str, Any] | None:
    try:
        members = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (binascii.Error, ValueError):
        return None
    return members if isinstance(members, dict) else None

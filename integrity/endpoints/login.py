"""Logging in: a request that says who somebody is, and is answered with a bearer token.

Everybody's address is what the token says: wallet_id.41@example.org. The password is one for all, and so is a service's
key where it has one: these are test servers.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from integrity.declaring import check_fields
from integrity.endpoints.kinds import Kind, Unreadable, read, spell
from integrity.endpoints.requests import JSON, BadRequest, WireRequest
from integrity.endpoints.signature import signing_key_of
from integrity.errors import UsageError
from integrity.value import Value

PASSWORD_NAMES = ("LOADTEST_PASSWORD",)
PASSWORD = "integrity"  # noqa: S105  (of test servers that nobody told another)

NOBODY = "nobody"
"""Whose token says nothing: of services of one's own."""

API_KEY_NAMES = ("SUPABASE_ANON_KEY",)
API_KEY = "integrity-anon"

SERVICE_KEY_NAMES = ("SUPABASE_SERVICE_KEY",)
"""The key of who may all: a server tells him what it does by itself, and does not count what he asks."""

BYPASS = "x-loadtest-bypass"
"""The header of who is not counted by a limiter."""
BYPASS_NAME = "LOADTEST_BYPASS_TOKEN"

_ADDRESS = re.compile(r"([a-z_]+)\.([^@]+)@example\.org")


def password_of(environment: Mapping[str, str] = os.environ) -> str:
    """Return the password of everybody.

    Raises:
        UsageError: it is set, and empty: a script's secret that was never filled in.
    """
    for name in PASSWORD_NAMES:
        if name in environment:
            if not environment[name].strip():
                raise UsageError(
                    f"{name} is set, and empty: everybody could log in who knows that",
                    hint=f"Give it a value, or unset {name} for the test servers' own password.",
                )
            return environment[name]
    return PASSWORD


def api_key_of(environment: Mapping[str, str] = os.environ) -> str:
    """Return the key that a service is asked with, where it has one."""
    return next((environment[name] for name in API_KEY_NAMES if environment.get(name)), API_KEY)


def webhook_key_of(environment: Mapping[str, str] = os.environ) -> str:
    """Return the key that webhooks are signed with between servers of ours, which always sign them."""
    return signing_key_of(environment) or password_of(environment)


def service_key_of(environment: Mapping[str, str] = os.environ) -> str:
    """Return the key of who may all; empty: nobody has one."""
    return next((environment[name] for name in SERVICE_KEY_NAMES if environment.get(name)), "")


def bypass_of(environment: Mapping[str, str] = os.environ) -> str:
    """Return what lets by a limiter; empty: nothing does."""
    return environment.get(BYPASS_NAME, "")


PASSWORD_HINT = f"Say the password that the server was started with, as {PASSWORD_NAMES[0]} in the environment."


@dataclass(frozen=True, slots=True)
class Login:
    """How one logs in.

    Args:
        query: parameters that always are so.
        kinds: what a token may say, and of what kind it is: {"wallet_id": Kind.INTEGER}.
    """

    path: str
    kinds: Mapping[str, Kind]
    query: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_fields(self)

    def encode(self, claims: Mapping[str, Value], password: str) -> WireRequest:
        """Return the request that asks for a token which says this one thing, or nothing."""
        who = "".join(f"{name}.{spell(self.kinds[name], value)}" for name, value in claims.items()) or NOBODY
        body = {"email": f"{who}@example.org", "password": password}
        query = "&".join(f"{key}={each}" for key, each in self.query.items())
        return WireRequest("POST", self.path, query, {"content-type": JSON}, orjson.dumps(body))

    def decode(self, body: bytes, password: str) -> dict[str, Value]:
        """Return what a token says that the request with this body asks for.

        Raises:
            BadRequest: it asks for none, or the password is another.
        """
        try:
            members: Any = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise BadRequest(400, f"the body is no JSON: {error}") from None
        if not isinstance(members, dict) or not isinstance(members.get("email"), str):
            raise BadRequest(422, "email is missing from the body: a text belongs there", field="email")
        if members["email"] == f"{NOBODY}@example.org" and members.get("password") == password:
            return {}
        found = _ADDRESS.fullmatch(members["email"])
        kind = self.kinds.get(found[1]) if found else None
        if found is None or kind is None or members.get("password") != password:
            raise BadRequest(401, "nobody has this email and password")
        try:
            return {found[1]: read(kind, found[2])}
        except Unreadable:
            raise BadRequest(401, "nobody has this email and password") from None


def read_address(email: str) -> tuple[str, str]:
    """Return what an account's address says, and of which key: participant_id, 41; both empty: it is nobody's here."""
    found = _ADDRESS.fullmatch(email)
    return (found[1], found[2]) if found else ("", "")


def decode_token(status: int, body: bytes) -> str | None:
    """Return the token that the answer to a login gives; None: it gives none."""
    try:
        members = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    token = members.get("access_token") if status == 200 and isinstance(members, dict) else None
    return token if isinstance(token, str) else None

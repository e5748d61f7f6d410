"""Requests: a call as a request over HTTP, and a request as the call that it asks for. One is the other's inverse.

Who sends a request gives it the bearer token of its claims, and whoever receives one reads the claims from the token: what
tokens look like is the server's matter.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode
from urllib.parse import quote as encode
from uuid import UUID

import orjson

from integrity.endpoints.endpoint import OPERATION_ID, Argument, Endpoint, Where
from integrity.endpoints.kinds import Unreadable, read, read_json, spell, spell_json
from integrity.errors import quote
from integrity.value import Value

JSON = "application/json"
UPLOAD = "application/octet-stream"

PARAMETERS_MOST = 50
_IN_QUERY = "*.,:@-_"
_IN_HEADER = "".join(map(chr, range(0x21, 0x7F))).replace("%", "")


class BadRequest(Exception):
    """A request that is none of ours, or does not say what it must.

    Args:
        status: of the answer.
        field: what of it is wrong, as the client named it; empty: no single part.
        allow: methods, where the path takes others.
    """

    def __init__(self, status: int, reason: str, *, field: str = "", allow: str = "") -> None:
        super().__init__(reason)
        self.status = status
        self.field = field
        self.allow = allow


@dataclass(frozen=True, slots=True)
class WireRequest:
    """A request as it travels.

    Args:
        path: escaped.
        query: escaped, without the question mark; empty: none.
        headers: by names in lower case.
        claims: what its bearer token says: one thing, or nothing.
        needs_token: it must have one, whatever it says.
        is_signed: it is an outside service's, which signs it where there is a key.
    """

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    claims: Mapping[str, Value] = field(default_factory=dict)
    needs_token: bool = False
    is_signed: bool = False

    @property
    def target(self) -> str:
        """Path and query."""
        return f"{self.path}?{self.query}" if self.query else self.path


def encode_call(endpoint: Endpoint, arguments: Mapping[str, Any], operation_id: UUID) -> WireRequest:
    """Return the request that asks for a call.

    Args:
        arguments: as the operation names them, without operation_id.
    """
    path, parameters = endpoint.path, list(endpoint.query.items())
    headers, members, claims = {OPERATION_ID: str(operation_id)}, dict[str, Any](), dict[str, Value]()
    sent = b""
    for name, each in endpoint.arguments.items():
        value, wire_name = arguments[name], endpoint.wire_name(name)
        if value is None and each.is_optional:
            continue
        match each.where:
            case Where.PATH:
                path = path.replace(f"{{{wire_name}}}", encode(spell(each.kind, value), safe=""))
            case Where.QUERY:
                parameters.append((wire_name, f"{each.before}{spell(each.kind, value)}{each.after}"))
            case Where.HEADER:
                headers[wire_name] = encode(spell(each.kind, value), safe=_IN_HEADER)
            case Where.BODY:
                members[wire_name] = spell_json(each.kind, value)
            case Where.TOKEN:
                claims[wire_name] = value
            case Where.LENGTH:
                sent = _file(value, operation_id)
                headers["content-type"] = UPLOAD
    if members or endpoint.extra:
        sent = orjson.dumps({**endpoint.extra, **members})
        headers["content-type"] = JSON
    asked = urlencode(parameters, quote_via=encode, safe=_IN_QUERY)
    needs_token = endpoint.is_authenticated
    return WireRequest(endpoint.method, path, asked, headers, sent, claims, needs_token, is_signed=endpoint.is_signed)


def decode_call(
    endpoint: Endpoint, placed: Mapping[str, str], request: WireRequest
) -> tuple[dict[str, Value], UUID | None]:
    """Return the arguments of the call that a request asks for, and its operation_id if it names one.

    Args:
        placed: what stands at the names in the endpoint's path.

    Raises:
        BadRequest: it says not all of them, or one is not of its kind.
    """
    parameters = read_query(request.query)
    members = _members(request) if any(each.where is Where.BODY for each in endpoint.arguments.values()) else {}
    arguments: dict[str, Value] = {}
    for name, each in endpoint.arguments.items():
        wire_name = endpoint.wire_name(name)
        if each.where is Where.LENGTH:
            arguments[name] = len(request.body)
            continue
        held: Mapping[str, Any] = {
            Where.PATH: placed,
            Where.QUERY: parameters,
            Where.HEADER: request.headers,
            Where.BODY: members,
            Where.TOKEN: request.claims,
        }[each.where]
        arguments[name] = _read(each, wire_name, held)
    return arguments, _operation_id(request)


def read_query(text: str) -> dict[str, str]:
    """Return the parameters of a query; of several with one name the last.

    Raises:
        BadRequest: there are too many.
    """
    try:
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=PARAMETERS_MOST, errors="strict"))
    except UnicodeDecodeError:
        raise BadRequest(400, "the query is no UTF-8") from None
    except ValueError:
        raise BadRequest(400, f"the query has more than {PARAMETERS_MOST} parameters") from None


def _read(argument: Argument, name: str, held: Mapping[str, Any]) -> Value:
    """Return one argument out of what holds its like."""
    where = argument.where
    value = held.get(name)
    if value is None:
        if argument.is_optional:
            return None
        if where is Where.TOKEN:
            raise BadRequest(
                403, f"this is for whoever is logged in as {name}, and the token is somebody else's", field=name
            )
        raise BadRequest(422, f"{name} is missing from the {where.value}: {argument.wanted} belongs there", field=name)
    try:
        return _read_value(argument, value)
    except (Unreadable, UnicodeDecodeError):
        around = f" between {quote(argument.before)} and {quote(argument.after)}" if argument.after else ""
        around = f" behind {quote(argument.before)}" if argument.before and not around else around
        raise BadRequest(
            422, f"{name} in the {where.value} is {quote(value)}, and must be {argument.wanted}{around}", field=name
        ) from None


def _read_value(argument: Argument, value: Any) -> Value:
    found = _read_kind(argument, value)
    if not argument.admits(found):
        raise Unreadable
    return found


def _read_kind(argument: Argument, value: Any) -> Value:
    if argument.one_of and value not in argument.one_of:
        raise Unreadable
    if argument.where is Where.BODY:
        return read_json(argument.kind, value)
    if argument.where is Where.TOKEN:
        return read_json(argument.kind, spell_json(argument.kind, value))
    text = unquote(value, errors="strict") if argument.where in (Where.PATH, Where.HEADER) else value
    return read(argument.kind, _without(argument, text))


def _without(argument: Argument, text: str) -> str:
    end = len(text) - len(argument.after)
    if not (text.startswith(argument.before) and text.endswith(argument.after) and end >= len(argument.before)):
        raise Unreadable
    return text[len(argument.before) : end]


def _members(request: WireRequest) -> Mapping[str, Any]:
    """Return the members of a body's JSON."""
    if not request.body:
        raise BadRequest(400, "the body is empty: an object of JSON belongs there")
    try:
        members = orjson.loads(request.body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(400, f"the body is no JSON: {error}") from None
    if not isinstance(members, dict):
        raise BadRequest(422, f"the body is {type(members).__name__}: an object of JSON belongs there")
    return members


_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def _operation_id(request: WireRequest) -> UUID | None:
    text = request.headers.get(OPERATION_ID)
    if text is None:
        return None
    if not _UUID.fullmatch(text):
        raise BadRequest(422, f"the header Operation-Id is {quote(text)}, and must be a UUID", field="Operation-Id")
    return UUID(text)


def _file(size_bytes: int, operation_id: UUID) -> bytes:
    """Return a file of that size, another one for each call."""
    return (operation_id.bytes * (size_bytes // 16 + 1))[:size_bytes]

"""The endpoints of a system: found by the operation that a client asks for, or by the request that a server gets.

table = Endpoints((Endpoint("GET", "/api/me", "get_config", {"wallet_id": token()}), ...))
request = table.encode("get_config", {"wallet_id": 7}, operation_id)          a client sends it
asked = table.decode(request)                                                  the server reads it
answer = table.encode_return(asked.endpoint, returned, now_s=...)              and answers
returned, events = table.decode_return("get_config", 200, headers, body)       the client reads that
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil
from typing import Any
from uuid import UUID

from integrity.declaring import check_fields
from integrity.endpoints.answers import RETRY_AFTER_S, WireAnswer, decode_return, encode_return, encode_rows
from integrity.endpoints.endpoint import Endpoint, Where
from integrity.endpoints.login import Login
from integrity.endpoints.requests import BadRequest, WireRequest, decode_call, encode_call, read_query
from integrity.endpoints.stream import Stream
from integrity.errors import UsageError, quote
from integrity.history import Outcome, Returned
from integrity.operation import Operation, Rows
from integrity.suggestion import suggest
from integrity.value import Value


@dataclass(frozen=True, slots=True)
class Act:
    """What an operation is over the wire that is a client's own doing: a call of another one.

    Args:
        operation: its name.
        arguments: texts that the client makes up for it: {"idempotency_key": "tap-{operation_id}"}.
        is_played: clients under load carry it out themselves: it asks nothing but services on their side, such as an app
            that sends a vote until it is answered, and what these send are the calls.
    """

    operation: str
    arguments: Mapping[str, str] = field(default_factory=dict)
    is_played: bool = False

    def complete(self, arguments: Mapping[str, Any], operation_id: UUID) -> dict[str, Any]:
        """Return the other operation's arguments."""
        made = {name: text.format(operation_id=operation_id) for name, text in self.arguments.items()}
        return {**arguments, **made}


@dataclass(frozen=True, slots=True)
class Limit:
    """How often somebody may ask.

    Args:
        path: what the paths of the requests that count begin with.
        count: of requests in a window, of whoever the token says.
        window_s: windows of so many seconds begin at multiples of it.
    """

    path: str
    count: int
    window_s: int

    def __post_init__(self) -> None:
        check_fields(self)

    def left_s(self, now_s: float) -> int:
        """Return how long the window goes on, in whole seconds: 1 at least."""
        return ceil(self.window_s - now_s % self.window_s)


@dataclass(frozen=True, slots=True)
class Asked:
    """A call that a request asks for.

    Args:
        operation_id: None: the client leaves it to the server.
    """

    endpoint: Endpoint
    arguments: Mapping[str, Value]
    operation_id: UUID | None


@dataclass(frozen=True, slots=True)
class Endpoints:
    """All of a system's.

    Args:
        table: of an operation the first is what clients send; those behind it are other names that servers know.
        acts: operations without an endpoint, as a client does them itself.
        declines: reason -> the status of its answer; of those that are not named it is 409.
        login: how one gets a token; None: nobody needs one.
        api_key: the header in which every request has the service's key; empty: it has none.
        limit: how often one may ask; None: nobody counts.
        counters: name of a metric -> the operation whose calls that are ok, and wrote, it counts.
        counted: name of such a metric -> the query of `queries/` that tells the rows that it counts.
        pages: path -> HTML that is served beside.
        streams: what can be kept open; of an operation the first is what clients open.
    """

    table: tuple[Endpoint, ...]
    acts: Mapping[str, Act] = field(default_factory=dict)
    declines: Mapping[str, int] = field(default_factory=dict)
    login: Login | None = None
    api_key: str = ""
    limit: Limit | None = None
    counters: Mapping[str, str] = field(default_factory=dict)
    counted: Mapping[str, str] = field(default_factory=dict)
    pages: Mapping[str, str] = field(default_factory=dict)
    streams: tuple[Stream, ...] = ()
    _by_operation: dict[str, Endpoint] = field(default_factory=dict, init=False, repr=False, compare=False)
    _by_path: "dict[str, list[Endpoint]]" = field(default_factory=dict, init=False, repr=False, compare=False)
    _patterns: "list[tuple[re.Pattern[str], list[Endpoint]]]" = field(
        default_factory=list, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        check_fields(self)
        for endpoint in self.table:
            self._by_operation.setdefault(endpoint.operation, endpoint)
            self._by_path.setdefault(endpoint.path, []).append(endpoint)
        for path, those in self._by_path.items():
            if "{" in path:
                parts = re.split(r"\{([a-z_]+)\}", path)
                texts = [re.escape(each) if not number % 2 else f"(?P<{each}>[^/]+)" for number, each in enumerate(parts)]
                self._patterns.append((re.compile("".join(texts)), those))

    def check(self, operations: Mapping[str, Operation]) -> None:
        """Raise UsageError where an endpoint is of no operation, or does not carry what its operation takes."""
        streamed = (stream.operation for stream in self.streams)
        for name in (*self._by_operation, *self.acts, *self.counters.values(), *streamed):
            if name not in operations:
                raise UsageError(f"endpoints: there is no operation {quote(name)}", hint=suggest(name, operations))
        for endpoint in (*self.table, *(stream.request for stream in self.streams)):
            endpoint.check(operations[endpoint.operation])
            claims = [endpoint.wire_name(name) for name, each in endpoint.arguments.items() if each.where is Where.TOKEN]
            if endpoint.is_authenticated and (self.login is None or not set(claims) <= set(self.login.kinds)):
                raise UsageError(
                    f"{endpoint}: it asks for a token that says {', '.join(claims) or 'something'}, and none can be had",
                    hint='Say how one logs in: login=Login("/login", {"wallet_id": Kind.INTEGER}).',
                )
        for name, act in self.acts.items():
            if act.operation not in self._by_operation:
                raise UsageError(
                    f"endpoints: {name} stands for {quote(act.operation)}, which has no endpoint",
                    hint=suggest(act.operation, self._by_operation),
                )

    def of(self, operations: Collection[str]) -> "Endpoints":
        """Return those of some operations alone."""
        table = tuple(each for each in self.table if each.operation in operations)
        known = {each.operation for each in table}
        acts = {name: act for name, act in self.acts.items() if name in operations and act.operation in known}
        counters = {metric: name for metric, name in self.counters.items() if name in operations}
        streams = tuple(each for each in self.streams if each.operation in operations)
        return replace(self, table=table, acts=acts, counters=counters, streams=streams)

    def find(self, operation: str) -> Endpoint:
        """Return the endpoint by which a client asks for an operation.

        Raises:
            UsageError: there is none.
        """
        name = self.acts[operation].operation if operation in self.acts else operation
        if name not in self._by_operation:
            raise UsageError(
                f"operation {operation} has no endpoint", hint=suggest(operation, (*self._by_operation, *self.acts))
            )
        return self._by_operation[name]

    def encode(self, operation: str, arguments: Mapping[str, Any], operation_id: UUID) -> WireRequest:
        """Return the request that asks for a call.

        Raises:
            UsageError: the operation has no endpoint.
        """
        endpoint = self.find(operation)
        act = self.acts.get(operation)
        return encode_call(endpoint, act.complete(arguments, operation_id) if act else arguments, operation_id)

    def match(self, method: str, path: str, query: str) -> tuple[Endpoint, Mapping[str, str]]:
        """Return the endpoint that a request asks for, and what stands at the names in its path.

        Raises:
            BadRequest: there is none.
        """
        known, placed = self._at(path)
        if not known:
            raise BadRequest(404, f"there is no {path} here")
        mine = [each for each in known if each.method == method]
        if not mine:
            allowed = ", ".join(dict.fromkeys(each.method for each in known))
            raise BadRequest(405, f"{path} takes {allowed}, not {method}", allow=allowed)
        if len(mine) == 1 and not mine[0].query:
            return mine[0], placed
        parameters = read_query(query)
        for endpoint in mine:
            if _is_asked_by(endpoint, parameters):
                return endpoint, placed
        asked = " or ".join(sorted(_describe_query(each) for each in mine))
        raise BadRequest(422, f"the query must be {asked}, and is {quote(query)}")

    def decode(self, request: WireRequest) -> Asked:
        """Return the call that a request asks for.

        Raises:
            BadRequest: it asks for none.
        """
        endpoint, placed = self.match(request.method, request.path, request.query)
        arguments, operation_id = decode_call(endpoint, placed, request)
        return Asked(endpoint, arguments, operation_id)

    def encode_return(
        self, endpoint: Endpoint, returned: Returned, events: Rows = (), *, now_s: float, count: int | None = None
    ) -> WireAnswer:
        """Return the answer that tells how a call ended.

        Args:
            now_s: seconds since the epoch.
            count: of all rows of which the answer shows some; None: nobody asked.
        """
        if returned.outcome is Outcome.OK and endpoint.has_rows:
            return encode_rows(returned, events, count=count, ok_status=endpoint.ok_status)
        if returned.outcome is Outcome.OK and endpoint.also:
            reply = returned.reply or {}
            also = {name: reply[member] for name, member in endpoint.also.items() if member in reply}
            returned = replace(returned, reply={**reply, **also})
        limit = self.limit if returned.outcome is Outcome.DECLINED else None
        return encode_return(
            returned,
            events if endpoint.has_events else None,
            ok_status=endpoint.ok_status,
            declines=self.declines,
            retry_after_s=RETRY_AFTER_S if limit is None else limit.left_s(now_s),
        )

    def decode_return(self, operation: str, status: int, headers: Mapping[str, str], body: bytes) -> tuple[Returned, Rows]:
        """Return how a call ended, and what it pushed.

        Args:
            headers: by names in lower case.
        """
        endpoint = self.find(operation)
        returned, events = decode_return(status, headers, body, has_events=endpoint.has_events)
        if endpoint.also and returned.outcome is Outcome.OK:
            reply = {name: each for name, each in (returned.reply or {}).items() if name not in endpoint.also}
            returned = replace(returned, reply=reply)
        return returned, events

    def check_streams(self, subscriptions: Collection[str]) -> None:
        """Raise UsageError where a stream is of no subscription: nobody would know what comes down it."""
        for stream in self.streams:
            if stream.operation not in subscriptions:
                raise UsageError(
                    f"{stream}: operation {stream.operation} opens no subscription",
                    hint=suggest(stream.operation, subscriptions, always="Name it in System(subscriptions=...)."),
                )

    def streams_of(self, operation: str) -> Sequence[Stream]:
        """Return the streams that an operation opens: clients take them in turn."""
        return [each for each in self.streams if each.operation == operation]

    def names(self) -> Iterator[str]:
        """Yield the operations that clients can ask for."""
        yield from self._by_operation
        yield from self.acts

    def _at(self, path: str) -> "tuple[list[Endpoint], Mapping[str, str]]":
        known = self._by_path.get(path)
        if known is not None and "{" not in path:
            return known, {}
        for pattern, those in self._patterns:
            if found := pattern.fullmatch(path):
                return those, found.groupdict()
        return [], {}


def _is_asked_by(endpoint: Endpoint, parameters: Mapping[str, str]) -> bool:
    fixed = all(parameters.get(name) == value for name, value in endpoint.query.items())
    asked = (endpoint.wire_name(name) for name, each in endpoint.arguments.items() if each.where is Where.QUERY)
    return fixed and all(name in parameters for name in asked)


def _describe_query(endpoint: Endpoint) -> str:
    asked = [f"{name}={value}" for name, value in endpoint.query.items()]
    for name, each in endpoint.arguments.items():
        if each.where is Where.QUERY:
            asked.append(f"{endpoint.wire_name(name)}={each.before}...{each.after}")
    return "&".join(asked)

"""An endpoint: the request by which a client asks for an operation, said once and read in both directions.

    Endpoint("POST", "/api/votes", "vote", {
        "wallet_id": token(),                                   whose bearer token it is
        "live_event_id": body("eventId"),                       a member of the body's JSON
        "choice": body(),
        "idempotency_key": header("Idempotency-Key", Kind.TEXT),
    })

table.py finds an operation's endpoint and a request's, requests.py makes a request of a call and a call of a request by it,
answers.py does so with what came of the call. The
call's own id travels as Operation-Id: the rows that it writes hold it, so that who asked can find what became of it.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import Enum

from integrity.declaring import check_fields
from integrity.domain import IntegerIn
from integrity.endpoints.kinds import Kind, kind_of
from integrity.errors import UsageError, quote
from integrity.operation import Operation
from integrity.suggestion import suggest

OPERATION_ID = "operation-id"
"""The header, in lower case as all are here, that an operation_id travels in; without it the server makes one."""

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

BODY_BYTES_MOST = 64 * 1024
UPLOAD_BYTES_MOST = 16 * 1024 * 1024

_PLACE = re.compile(r"\{([a-z_]+)\}")


class Where(Enum):
    """Where in a request an argument is."""

    PATH = "path"
    QUERY = "query"
    BODY = "body"
    HEADER = "header"
    TOKEN = "bearer token"  # noqa: S105  (a word, no secret)
    LENGTH = "length of the body"


@dataclass(frozen=True, slots=True)
class Argument:
    """How an argument of an operation travels.

    Args:
        name: of the parameter, the member of JSON, the header or the token's claim; empty: as the operation names it.
        before, after: what stands around the value in a query: "eq.", as in `id=eq.7`.
        is_optional: left out, it is None.
        one_of: all that a text may be; none: anything.
        least, most: what a whole number may be, both included; None: anything.
        is_filled: a text that must not be empty, as a key must not.
    """

    where: Where
    name: str = ""
    kind: Kind = Kind.INTEGER
    before: str = ""
    after: str = ""
    is_optional: bool = False
    one_of: tuple[str, ...] = ()
    least: int | None = None
    most: int | None = None
    is_filled: bool = False

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def wanted(self) -> str:
        """What it must be, as messages say it."""
        if self.one_of:
            return f"one of {', '.join(self.one_of)}"
        span = [f" {word} {bound}" for word, bound in (("from", self.least), ("to", self.most)) if bound is not None]
        return f"{self.kind.value}{''.join(span)}{' that is not empty' if self.is_filled else ''}"

    def admits(self, value: object) -> bool:
        """Return whether it may be this value, of its kind."""
        if isinstance(value, int):
            return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)
        return value != "" or not self.is_filled


def path(name: str = "", kind: Kind = Kind.INTEGER) -> Argument:
    """Return an argument that stands in the path, at `{name}`."""
    return Argument(Where.PATH, name, kind)


def query(
    name: str = "", kind: Kind = Kind.INTEGER, *, before: str = "", after: str = "", is_optional: bool = False
) -> Argument:
    """Return an argument that is a parameter of the query."""
    return Argument(Where.QUERY, name, kind, before, after, is_optional)


def body(
    name: str = "",
    kind: Kind = Kind.INTEGER,
    *,
    one_of: Collection[str] = (),
    least: int | None = None,
    most: int | None = None,
    is_filled: bool = False,
) -> Argument:
    """Return an argument that is a member of the body's JSON."""
    kind = Kind.TEXT if one_of else kind
    return Argument(Where.BODY, name, kind, one_of=tuple(one_of), least=least, most=most, is_filled=is_filled)


def header(name: str, kind: Kind = Kind.INTEGER, *, is_optional: bool = False, is_filled: bool = False) -> Argument:
    """Return an argument that is a header; what is not printable ASCII in it is escaped as in a URL."""
    return Argument(Where.HEADER, name.lower(), kind, is_optional=is_optional, is_filled=is_filled)


def token(name: str = "", kind: Kind = Kind.INTEGER) -> Argument:
    """Return an argument that the bearer token says: who asks."""
    return Argument(Where.TOKEN, name, kind)


def length() -> Argument:
    """Return an argument that is how many bytes are sent: of a file that is uploaded."""
    return Argument(Where.LENGTH)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A request, and which operation it asks for.

    Args:
        path: with arguments in braces by the names that they have there: "/sales/{sale_id}/refund".
        operation: its name.
        arguments: by the names that the operation has for them.
        query: parameters that always are so: they tell endpoints of one path apart, `select=count` from `select=*`.
        extra: members of the body that clients send and nobody reads.
        ok_status: of an answer that is ok.
        has_events: what the call pushes comes with the answer.
        has_rows: what it pushes is the answer, a list as PostgREST gives it; the reply travels in a header.
        counted_by: the operation that counts such rows, with the same arguments, for who asks `Prefer: count=exact`.
        also: members of the answer under the names that other clients know: theirs -> the reply's.
        needs_token: nobody is let in without a bearer token, though it says no argument.
        is_signed: an outside service sends it, and signs it where there is a key (signature.py).
    """

    method: str
    path: str
    operation: str
    arguments: Mapping[str, Argument] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, str | int] = field(default_factory=dict)
    ok_status: int = 200
    has_events: bool = False
    has_rows: bool = False
    counted_by: str = ""
    also: Mapping[str, str] = field(default_factory=dict)
    needs_token: bool = False
    is_signed: bool = False

    def __post_init__(self) -> None:
        check_fields(self)
        if self.method not in METHODS:
            raise UsageError(f"{self}: {quote(self.method)} is no method", hint=f"Write one of: {', '.join(METHODS)}.")
        if not self.path.startswith("/") or "?" in self.path:
            raise UsageError(
                f"{self}: {quote(self.path)} is no path",
                hint='Begin it with a /; what follows a ? goes into query={"a": "b"}.',
            )
        in_path = {self.wire_name(name) for name, each in self.arguments.items() if each.where is Where.PATH}
        for name in {*in_path, *_PLACE.findall(self.path)}:
            if name not in in_path or f"{{{name}}}" not in self.path:
                raise UsageError(
                    f"{self}: {name} is not both in the path and an argument that stands there",
                    hint=f'Write {{{name}}} in the path, and "{name}": path() among its arguments.',
                )
        for name, each in self.arguments.items():
            if each.where is Where.PATH and each.kind in (Kind.TEXT, Kind.BYTES):
                raise UsageError(
                    f"{self}: {name} is {each.kind.value}, which a path can lose: it may be empty, or a dot",
                    hint=f'Let it travel in the query: "{name}": query(kind=Kind.TEXT).',
                )
        claims = [name for name, each in self.arguments.items() if each.where is Where.TOKEN]
        if len(claims) > 1:
            raise UsageError(
                f"{self}: a token says one thing, and not {', '.join(claims)}", hint="Let one travel otherwise."
            )

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def name(self) -> str:
        """What figures and metrics call it: method, path, and what in its query tells it from others."""
        return f"{self}{'?' if self.query else ''}{'&'.join(f'{name}={value}' for name, value in self.query.items())}"

    @property
    def is_authenticated(self) -> bool:
        return self.needs_token or any(each.where is Where.TOKEN for each in self.arguments.values())

    @property
    def is_upload(self) -> bool:
        return any(each.where is Where.LENGTH for each in self.arguments.values())

    @property
    def body_bytes_most(self) -> int:
        """So long a body may be."""
        return UPLOAD_BYTES_MOST if self.is_upload else BODY_BYTES_MOST

    def wire_name(self, argument: str) -> str:
        """Return what an argument is called where it travels."""
        return self.arguments[argument].name or argument

    def check(self, operation: Operation) -> None:
        """Raise UsageError unless the endpoint carries the operation's arguments, all of them and as what they are."""
        taken = operation.arguments
        for name in {*self.arguments, *taken}:
            if taken and name not in taken:
                hint = suggest(name, taken, always=f"It takes: {', '.join(taken) or 'nothing'}.")
                raise UsageError(f"{self}: operation {operation.name} takes no {quote(name)}", hint=hint)
            if name not in self.arguments:
                raise UsageError(
                    f"{self}: operation {operation.name} takes {quote(name)}, which no part of the request holds",
                    hint=f'Say where it travels: "{name}": body().',
                )
            kind = kind_of(taken[name]) if name in taken else None
            if kind is not None and kind is not self.arguments[name].kind:
                raise UsageError(
                    f"{self}: {name} travels as {self.arguments[name].kind.value}, and is {kind.value}",
                    hint=f"Write kind=Kind.{kind.name}.",
                )
            domain = taken.get(name)
            if isinstance(domain, IntegerIn) and not all(map(self.arguments[name].admits, (domain.least, domain.most))):
                raise UsageError(
                    f"{self}: {name} must be {self.arguments[name].wanted}, and calls have {domain.least} to {domain.most}",
                    hint="Let the endpoint take all that calls have.",
                )

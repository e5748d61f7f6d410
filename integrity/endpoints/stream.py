"""A stream: the request that opens it, and what then comes down it, said once and read in both directions.

    event_stream("/api/messages/events", "open_stream", {
        "participant_id": token(),
        "last_sequence": header("Last-Event-ID", is_optional=True),
    }, event="new_message")

What was missed comes first, then what the call that opened it replied, then what happens; where the stream passes
something over without showing it, it says where it stands. messages.py spells that for each form.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from integrity.declaring import check_fields
from integrity.endpoints.endpoint import Argument, Endpoint, Where
from integrity.endpoints.phoenix import CHANGES, Channel
from integrity.errors import UsageError, quote

OPENED, POSITION, REFUSED = "OPENED", "POSITION", "REFUSED"
"""What messages are called that are no events."""


class Form(Enum):
    """How a stream travels."""

    WEBSOCKET = "websocket"
    EVENT_STREAM = "event stream"
    REALTIME = "realtime socket"


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream of a system.

    Args:
        request: opens it; its operation is that of the subscription.
        event: what its events are called on the wire.
        channels: of a realtime socket: what is shown to who listens to a table; the first shows whole events.
    """

    form: Form
    request: Endpoint
    event: str
    channels: tuple[Channel, ...] = ()

    def __post_init__(self) -> None:
        check_fields(self)
        if self.request.method != "GET":
            raise UsageError(f"{self}: a stream is opened with GET", hint='Write Endpoint("GET", ...).')
        for name, each in self.request.arguments.items():
            if each.where in (Where.BODY, Where.LENGTH):
                raise UsageError(
                    f"{self}: {name} is in the body, and who opens a stream sends none",
                    hint=f'Let it travel in the query: "{name}": query().',
                )
        if not self.event.strip() or not self.event.isprintable() or self.event.upper() in (OPENED, POSITION, REFUSED):
            raise UsageError(f"{self}: its events cannot be called {quote(self.event)}", hint='Name them: event="UPDATED".')

    def __str__(self) -> str:
        return f"{'GET' if self.form is Form.EVENT_STREAM else 'WS'} {self.request.path}"

    @property
    def operation(self) -> str:
        """The name of the operation that opens it."""
        return self.request.operation


def websocket(path: str, operation: str, arguments: Mapping[str, Argument], *, event: str) -> Stream:
    """Return a stream of JSON messages over a websocket."""
    return Stream(Form.WEBSOCKET, Endpoint("GET", path, operation, arguments), event)


def event_stream(path: str, operation: str, arguments: Mapping[str, Argument], *, event: str) -> Stream:
    """Return a stream of server-sent events."""
    return Stream(Form.EVENT_STREAM, Endpoint("GET", path, operation, arguments), event)


def realtime(path: str, operation: str, arguments: Mapping[str, Argument], channels: Sequence[Channel]) -> Stream:
    """Return a socket as a Supabase has it, whose channels are joined one by one."""
    return Stream(Form.REALTIME, Endpoint("GET", path, operation, arguments), CHANGES, tuple(channels))

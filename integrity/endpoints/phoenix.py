"""Frames of a Phoenix socket, and the changes of rows that a Supabase brings down one: read and written by both sides.

    vsn 1.0.0   {"topic": "realtime:public:messages", "event": "phx_join", "payload": {...}, "ref": "1", "join_ref": "1"}
    vsn 2.0.0   ["1", "1", "realtime:public:messages", "phx_join", {...}]

A change is told as `postgres_changes`, with the row as it is after it. Supabase has no resuming: who says `last_sequence`
in the config of a join is told what was missed, which is this server's own, as is `integrity` in the answer to a join.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from integrity.declaring import check_fields
from integrity.endpoints.kinds import UnreadableMessage
from integrity.errors import UsageError
from integrity.operation import Row
from integrity.value import told

JOIN, LEAVE, REPLY, CLOSE, HEARTBEAT, TOKEN = "phx_join", "phx_leave", "phx_reply", "phx_close", "heartbeat", "access_token"
CHANGES = "postgres_changes"
SYSTEM_TOPIC = "phoenix"
PREFIX = "realtime:"
SCHEMA = "public"
VERSIONS = ("1.0.0", "2.0.0")

OWN = "integrity"
"""The member of the answer to a join that says where the stream stands, and how many that were missed come first."""

ANY = "*"
_EQUAL, _OTHER, _ONE_OF = "eq", "neq", "in"


@dataclass(frozen=True, slots=True)
class Channel:
    """What of an event the listeners to a table are shown: which change of which row.

    Args:
        change: INSERT or UPDATE.
        columns: of the row -> what the event calls it.
    """

    table: str
    change: str
    columns: Mapping[str, str]

    def __post_init__(self) -> None:
        check_fields(self)
        if self.change not in ("INSERT", "UPDATE"):
            raise UsageError(f"channel {self.table}: there is no change {self.change}", hint="Write INSERT or UPDATE.")

    @property
    def topic(self) -> str:
        """The topic that is of this table alone."""
        return f"{PREFIX}{SCHEMA}:{self.table}"

    def record(self, event: Row) -> dict[str, Any]:
        """Return the row that an event tells of."""
        return {column: event[name] for column, name in self.columns.items()}

    def event(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Return the event that such a row tells of."""
        return {name: record.get(column) for column, name in self.columns.items()}


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame, as either side sends it."""

    topic: str
    event: str
    payload: Mapping[str, Any] = field(default_factory=dict)
    ref: str | None = None
    join_ref: str | None = None

    def reply(self, status: str, response: Mapping[str, Any]) -> "Frame":
        """Return the answer to this one."""
        payload = {"status": status, "response": response}
        return Frame(self.topic, REPLY, payload, self.ref, self.join_ref)


def encode_frame(frame: Frame, version: str) -> bytes:
    """Return a frame as it travels."""
    if version == VERSIONS[1]:
        members: Any = [frame.join_ref, frame.ref, frame.topic, frame.event, frame.payload]
    else:
        members = {"topic": frame.topic, "event": frame.event, "payload": frame.payload, "ref": frame.ref}
        members |= {"join_ref": frame.join_ref} if frame.join_ref is not None else {}
    return orjson.dumps(members, default=told)


def decode_frame(text: bytes | str, version: str) -> Frame:
    """Return the frame that a text is.

    Raises:
        UnreadableMessage: it is none.
    """
    try:
        members = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise UnreadableMessage(f"a frame is no JSON: {error}") from None
    if version == VERSIONS[1]:
        if not isinstance(members, list) or len(members) != 5:
            raise UnreadableMessage("a frame is no array of five")
        join_ref, ref, topic, event, payload = members
    elif isinstance(members, dict):
        join_ref, ref, topic, event, payload = (
            members.get(each) for each in ("join_ref", "ref", "topic", "event", "payload")
        )
    else:
        raise UnreadableMessage("a frame is no object of JSON")
    if not isinstance(topic, str) or not isinstance(event, str):
        raise UnreadableMessage("a frame does not say its topic and event")
    said = payload if isinstance(payload, dict) else {}
    return Frame(topic, event, said, None if ref is None else str(ref), None if join_ref is None else str(join_ref))


@dataclass(frozen=True, slots=True)
class Binding:
    """What a client wants to be told of: a change, a table, and of which rows. The id is what it knows it by."""

    id: int
    asked: Mapping[str, Any]

    def covers(self, channel: Channel, record: Mapping[str, Any]) -> bool:
        """Return whether such a change of that row is told."""
        change, schema, table = (self.asked.get(each, ANY) for each in ("event", "schema", "table"))
        if change not in (ANY, channel.change) or schema not in (ANY, SCHEMA) or table not in (ANY, channel.table):
            return False
        column, how, wanted = _read_filter(self.asked.get("filter") or "")
        if not column:
            return True
        held = str(record.get(column))
        return {_EQUAL: held == wanted, _OTHER: held != wanted, _ONE_OF: held in wanted.strip("()").split(",")}[how]


def read_bindings(frame: Frame, channels: Sequence[Channel]) -> list[Binding]:
    """Return what a join asks for: what its config says, or the table that its topic is of.

    Raises:
        UnreadableMessage: it asks for what there is not; `str` says what.
    """
    config = frame.payload.get("config")
    asked = config.get(CHANGES) if isinstance(config, dict) else None
    if not asked:
        mine = [each for each in channels if each.topic == frame.topic]
        asked = [{"event": ANY, "schema": SCHEMA, "table": each.table} for each in mine]
    if not isinstance(asked, list) or not all(isinstance(each, dict) for each in asked):
        raise UnreadableMessage(f"{CHANGES} is no list of objects")
    tables = {ANY, *(each.table for each in channels)}
    for each in asked:
        if each.get("table", ANY) not in tables:
            raise UnreadableMessage(
                f"there is no table {each.get('table')} to listen to, only {', '.join(sorted(tables - {ANY}))}"
            )
        _read_filter(each.get("filter") or "")
    return [Binding(number, each) for number, each in enumerate(asked, 1)]


def describe_binding(binding: Binding) -> dict[str, Any]:
    """Return what the answer to a join says of a binding: what was asked, and its id."""
    return {
        "id": binding.id,
        **{name: binding.asked[name] for name in ("event", "schema", "table", "filter") if name in binding.asked},
    }


def tell_change(channel: Channel, record: Mapping[str, Any], moment: Any, ids: Sequence[int]) -> dict[str, Any]:
    """Return the payload that tells of a change."""
    columns = [{"name": name, "type": "int8" if isinstance(value, int) else "text"} for name, value in record.items()]
    data = {
        "schema": SCHEMA,
        "table": channel.table,
        "type": channel.change,
        "commit_timestamp": moment,
        "columns": columns,
        "record": record,
        "errors": None,
    }
    if channel.change == "UPDATE":
        data["old_record"] = {"id": record["id"]} if "id" in record else {}
    return {"ids": list(ids), "data": data}


def _read_filter(text: str) -> tuple[str, str, str]:
    """Return a filter's column, how it compares, and with what; none: all rows."""
    if not text:
        return "", "", ""
    column, _, rest = text.partition("=")
    how, _, wanted = rest.partition(".")
    if not column or how not in (_EQUAL, _OTHER, _ONE_OF):
        raise UnreadableMessage(f"the filter {text!r} is not understood here: column=eq.value, neq, or in.(a,b)")
    return column, how, wanted

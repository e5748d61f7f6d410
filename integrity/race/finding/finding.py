"""Findings: a race that was found, as a file from which it is played again, by people and in CI.

The file says what was raced, in which order, what came out, every statement with its values, and what the tables were
like. So a replay on another version can say what has changed since: a statement, a table, or only the outcome.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import orjson
from pydantic import (
    BaseModel,
    ConfigDict,
    SerializerFunctionWrapHandler,
    ValidationError,
    field_validator,
    model_serializer,
)
from sqlalchemy import MetaData

import integrity
from integrity.engines.known import USUAL
from integrity.engines.values import evidence_of, from_json
from integrity.errors import UsageError
from integrity.operation import Declined, Isolation, Ok, Unavailable
from integrity.race.finding.scenario_record import ScenarioRecord
from integrity.race.judge.oracles import Alarmed, Oracle, fingerprint_of
from integrity.race.play.ddl import create_statements_by_table
from integrity.race.program.trace import Failed, Return, Trace, TraceEvent

FORMAT = 1

_NAME_MOST = 60  # of a file: whole URLs are named there, and it is typed again
_NOT_OF_FILES = re.compile(r"[^\w.-]+")

_KINDS = {
    Oracle.INVARIANT: "",
    Oracle.SERIAL: "",
    Oracle.FAILURE: "failure-{}",
    Oracle.DEADLOCK: "deadlock",
    Oracle.SWALLOWED: "swallowed-{}",
    Oracle.REPLIES: "answers",
}

"""On which a finding was made unless its file and its name say otherwise."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CallRecord(_Model):
    """One call: its keys by name, e.g. wallets_1; `returned` as {"ok": ...}, {"declined": ...}, {"unavailable": ...} or
    {"failed": ...}.

    The arguments are as values.json_of writes them: they are what a replay plays with. All else is for people.
    """

    operation: str
    arguments: Mapping[str, Any]
    returned: Mapping[str, Any]

    @field_validator("arguments")
    @classmethod
    def _can_be_read(cls, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        for value in arguments.values():
            from_json(value)
        return arguments

    @property
    def values(self) -> dict[str, Any]:
        """The arguments themselves."""
        return {name: from_json(value) for name, value in self.arguments.items()}


class EventRecord(_Model):
    """One thing an actor did: trace.Event as JSON."""

    actor: str
    phase: str
    sql: str
    parameters: Mapping[str, Any] = {}
    opens: bool = False
    closes: bool = False
    rows: tuple[Mapping[str, Any], ...] = ()
    tag: str = ""
    refused: str = ""
    waits_for: str = ""


class AlarmRecord(_Model):
    """What was wrong: the oracle that spoke, the invariant, its rows.

    `is_serial`: the calls violate it one after the other, too, so that it is no part of a race; not written: it is one.
    """

    oracle: Oracle
    name: str
    rows: tuple[Mapping[str, Any], ...]
    is_serial: bool = False

    @model_serializer(mode="wrap")
    def _without_what_is_not_said(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = serialize(self)
        if not self.is_serial:
            del fields["is_serial"]
        return fields

    @property
    def fingerprint(self) -> tuple[str, str]:
        return fingerprint_of(self.oracle, self.name)


class CureRecord(_Model):
    """What was tried against it; see cure.Cure."""

    kind: str
    name: str
    verdict: str
    is_prevented: bool
    is_sound: bool | None
    schedules: int
    sql: str = ""
    choices: int = 0
    not_for: tuple[str, ...] = ()
    but_then: tuple[str, ...] = ()
    held_against: tuple[str, ...] = ()
    no_races: tuple[str, ...] = ()


class Finding(_Model, Alarmed):
    """A race that was found.

    `reference` says where the system is found, as "module:attribute"; empty, and not written: by its name.
    `levels` are those that its transactions were begun at; empty, and not written: `isolation`, of those that name none.
    `raced` are the operations whose rows it was played on, maybe more than those of `calls`; empty, and not written: all.
    `dialect` is the engine's, as Target.dialect names it. `keys` are those of the rows it played on, `tables` maps each
    table to a hash of its definition, with what the bug left out left out. `anomaly` is its name in Adya's terms;
    `explanation` and `timeline` are lines of text. `scenario` is what was raced where that are requests of an application;
    None, and not written: operations of a system are. `is_served` says that their calls were requests to the system's own
    server; not written: they were carried out here.
    """

    format: Literal[1] = 1
    version: str = integrity.__version__
    system: str
    reference: str = ""
    raced: tuple[str, ...] = ()
    bug: str | None
    isolation: Isolation
    levels: tuple[Isolation, ...] = ()
    dialect: str = USUAL
    seed: int
    schedule: str
    letters: str
    preemptions: int
    alarms: tuple[AlarmRecord, ...]
    calls: Mapping[str, CallRecord]
    keys: Mapping[str, Any]
    events: tuple[EventRecord, ...]
    tables: Mapping[str, str]
    schedules_played: int
    seconds: float
    anomaly: str
    explanation: tuple[str, ...]
    timeline: tuple[str, ...]
    cures: tuple[CureRecord, ...] = ()
    scenario: ScenarioRecord | None = None
    is_served: bool = False

    @model_serializer(mode="wrap")
    def _without_what_is_not_said(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = serialize(self)
        if not self.reference:
            del fields["reference"]
        if not self.raced:
            del fields["raced"]
        if not self.levels:
            del fields["levels"]
        if self.scenario is None:
            del fields["scenario"]
        if not self.is_served:
            del fields["is_served"]
        return fields

    @property
    def operations(self) -> tuple[str, ...]:
        """One a call: of A, B, ..."""
        return tuple(call.operation for _, call in sorted(self.calls.items()))

    @property
    def is_strict(self) -> bool:
        """It is of answers that no serial order gives, over rows that are right."""
        return any(alarm.oracle == Oracle.REPLIES for alarm in self.alarms)

    @property
    def name(self) -> str:
        """A name for its file; it says in what way the calls went wrong where the data is right."""
        parts = [self.system, *([self.bug] if self.bug else ()), *self.operations, *(["served"] if self.is_served else ())]
        parts += sorted({_KINDS[alarm.oracle].format(alarm.name.rpartition(": ")[2]) for alarm in self.alarms} - {""})
        parts += [self.isolation.value] if self.isolation is not Isolation.READ_COMMITTED else []
        parts += [self.dialect] if self.dialect != USUAL else []
        name = "-".join(_NOT_OF_FILES.sub("_", part).strip("_") for part in parts)
        if len(name) <= _NAME_MOST:
            return name
        return f"{name[: _NAME_MOST - 9].rstrip('-_.')}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"

    def encode(self) -> bytes:
        """Return the file's text."""
        return orjson.dumps(self.model_dump(mode="json"), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def read_finding(path: Path) -> Finding:
    """Return the finding in a file.

    Raises:
        UsageError: it cannot be read, is no finding, or was written by a version with another format.
    """
    try:
        content = orjson.loads(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}", hint="`integrity race` writes findings.") from None
    except orjson.JSONDecodeError as error:
        raise UsageError(f"{path}: not the file of a finding: {error}", hint="`integrity race` writes findings.") from None
    found = content.get("format") if isinstance(content, dict) else None
    if found != FORMAT:
        shown = "it has no format" if found is None else f"it has format {found!r}, this version reads format {FORMAT}"
        made_by = content.get("version") if isinstance(content, dict) else None
        hint = f"Replay it with integrity {made_by}, or find it anew: integrity race" if made_by else None
        raise UsageError(f"{path}: not a finding that this version can replay: {shown}", hint=hint)
    try:
        return Finding.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UsageError(
            f"{path}: {where}: {first['msg']}", hint="The file was changed by hand; find the race anew: integrity race"
        ) from None


def kept_schedules(folder: Path, system: str) -> tuple[tuple[tuple[str, ...], str], ...]:
    """Return the schedules of the findings in a folder, with their operations; those that cannot be read are left out.

    They are tried first by the next search, whatever bug was planted then: a fix is judged by what it is to fix.
    """
    kept: dict[tuple[tuple[str, ...], str], None] = {}
    for path in sorted(folder.glob("*.json")):
        try:
            finding = read_finding(path)
        except UsageError:  # of another version, or changed by hand: `replay` says so, a search goes on without it
            continue
        if finding.system == system and finding.scenario is None:
            kept[finding.operations, finding.letters] = None
    return tuple(kept)


def write_finding(finding: Finding, path: Path) -> None:
    """Write the file, its folder made if need be.

    Raises:
        UsageError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(finding.encode())
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}", hint="Name another file: --output") from None


def hash_tables(metadata: MetaData, *, dropped: frozenset[str]) -> dict[str, str]:
    """Return a hash of each table's definition, indexes included."""
    return {
        table: hashlib.sha256(";".join(statements).encode()).hexdigest()[:16]
        for table, statements in create_statements_by_table(metadata, dropped=dropped).items()
    }


def names_of(finding: Finding) -> tuple[str, ...]:
    """Return what goes wrong in a finding: the invariants' names, and the other oracles' with what they are about."""
    return tuple(sorted({_name(alarm) for alarm in finding.alarms}))


def _name(alarm: AlarmRecord) -> str:
    match alarm.oracle:
        case Oracle.INVARIANT:
            return alarm.name
        case Oracle.FAILURE | Oracle.SWALLOWED:
            return f"{alarm.oracle} ({alarm.name})"
    return alarm.oracle


def events_of(trace: Trace) -> tuple[EventRecord, ...]:
    """Return the events as they stand in a file: values as JSON has them, without unneeded space in statements."""
    return tuple(_event_record(event) for event in trace.events)


def return_record(value: Return | None) -> dict[str, Any]:
    """Return a call's return as JSON has it."""
    match value:
        case Ok():
            return {"ok": plain_row(value.value)}
        case Declined():
            return {"declined": value.reason}
        case Unavailable():
            return {"unavailable": value.reason}
        case Failed():
            return {"failed": value.sqlstate, "reason": value.reason}
        case None:
            return {"unfinished": None}


def plain_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row as JSON has it."""
    return {name: evidence_of(value) for name, value in row.items()}


def statements_of(events: Sequence[EventRecord]) -> dict[str, list[str]]:
    """Return each actor's statements in order, commits and rollbacks included, one entry for one that waited."""
    statements: dict[str, list[str]] = {}
    for event in events:
        if event.phase != "resumed":
            statements.setdefault(event.actor, []).append(event.sql)
    return statements


def _event_record(event: TraceEvent) -> EventRecord:
    return EventRecord(
        actor=event.actor,
        phase=event.phase.value,
        sql=" ".join(event.sql.split()),
        parameters=plain_row(event.parameters),
        opens=event.opens,
        closes=event.closes,
        rows=tuple(plain_row(row) for row in event.rows),
        tag=event.tag,
        refused=f"{event.refusal.sqlstate} {event.refusal.message}" if event.refusal else "",
        waits_for=event.waits_for,
    )

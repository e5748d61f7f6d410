"""The header of an operation's file: what it is, what a call is given, what a race is played on, what a call promises.

    -- title: a guest takes money out of a wallet
    -- parameter wallet_id: key of wallets
    -- parameter amount_minor: integer 1..500
    -- row wallet: wallets(balance_minor = 100)
    -- stores: entries.operation_id = :operation_id
    -- on 40001: retry
    -- may: decline in_progress
    -- reply: balance_minor

Read as the headers of invariants are; but for the title every entry may be left out, and it, too.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from integrity.engines.places import DEFAULT_SCHEMA
from integrity.errors import quote
from integrity.operation import RESTARTED, Allowed
from integrity.sql.header import HeaderEntry, TextFault, header_length, read_entries
from integrity.sql.place import WrittenAt
from integrity.systems.script.domains import (
    DOMAIN_WORDS,
    FORMS,
    NAME,
    TABLE,
    DeclaredDomain,
    NoDomain,
    plain_name,
    read_domain,
    schema_name,
)
from integrity.systems.script.notes import NoNote, Reaction, Tell, read_on, read_reply
from integrity.systems.script.playing import OPERATION_ID
from integrity.systems.script.rows import ROW_FORM, NoRowWanted, read_row
from integrity.systems.script.slips import find_slip
from integrity.systems.wanted_row import WantedRow

OPERATION_KEYS = ("title", "source", "why", "hint", "parameter", "row", "stores", "on", "may", "reply")
_NAMED = ("parameter", "row", "on")
_PARAMETER = re.compile(r"[a-z_][a-z0-9_]*")
_BARE_PARAMETER = re.compile(rf"--\s?parameter\s+(?P<name>\w+)(?:\s+(?P<domain>(?:{'|'.join(DOMAIN_WORDS)})\b[^:]*))?")
_STORES = re.compile(
    rf"(?P<table>{TABLE})\s*\.\s*(?P<column>{NAME})\s*=\s*(?::(?P<argument>[a-z_]\w*)|reply\s*\.\s*(?P<reply>[A-Za-z_]\w*))"
    rf"(?:\s+at\s+(?P<at>{NAME}))?"
)
_COMMENT = re.compile(r"\s*--\s*(?P<said>\S.*)")
_MAY = re.compile(r"decline\s+(?P<reason>[A-Za-z_]\w*)|fail\s+(?P<state>[0-9A-Z]{5})")


@dataclass(frozen=True, slots=True)
class Stores:
    """Where the row stands that an ok of the operation promises.

    Args:
        table: as SQL names it.
        column: of it, as SQL names it.
        argument: that it is equal to; empty: `reply` says to what of the reply.
        made_at: the column that says when the row was made, as SQL names it; empty: none is said to.
        line: where it was written.
    """

    table: str
    column: str
    argument: str
    reply: str
    made_at: str
    line: int

    @property
    def place(self) -> tuple[str, str, str]:
        """Schema, table and column, as the database has them."""
        return schema_name(self.table) or DEFAULT_SCHEMA, plain_name(self.table), plain_name(self.column)


@dataclass(slots=True)
class OperationHeader:
    """What a header says.

    Args:
        parameters: what each is drawn from.
        lines: of the file, where each is declared.
        reactions: to what any statement is refused with, by SQLSTATE.
        told: what the client is told.
        written: the lines of the file.
    """

    operation: str
    title: str = ""
    parameters: dict[str, DeclaredDomain] = field(default_factory=dict)
    lines: dict[str, WrittenAt] = field(default_factory=dict)
    rows: list[WantedRow] = field(default_factory=list)
    stores: list[Stores] = field(default_factory=list)
    reactions: dict[str, Reaction] = field(default_factory=dict)
    allowed: Allowed = field(default_factory=Allowed)
    told: Tell | None = None
    written: list[str] = field(default_factory=list)


def read_operation_header(text: str, *, operation: str, place: str) -> OperationHeader:
    """Return what the header of a file says.

    Args:
        operation: its name.
        place: of the file.

    Raises:
        TextFault: it says something that cannot be understood, or says it twice.
    """
    header = OperationHeader(operation, written=text.splitlines())
    taken: set[int] = set()
    for entry in read_entries(text, OPERATION_KEYS, named=_NAMED):
        taken.update(range(entry.line, entry.line + entry.line_count))
        if entry.key in _NAMED and not entry.name:
            hint = f"Write `-- {entry.key} {'23505' if entry.key == 'on' else 'wallet_id'}: ...`."
            raise TextFault(f"a name is missing between {entry.key} and the colon", entry.line, hint=hint)
        _TAKERS.get(entry.key, _take_nothing)(header, entry, place)
    lines = text.splitlines()
    for number, line in enumerate(lines[: header_length(lines)], start=1):
        if re.match(r"--\s*decline\b", line):
            reason = "a decline stands behind the statement whose row it asks"
            raise TextFault(reason, number, column=1, hint="Above it there is none: move it down.")
        if bare := _BARE_PARAMETER.fullmatch(line.strip()):
            hint = f"Write `-- parameter {bare['name']}: {bare['domain'] or 'integer 1..500'}`. {FORMS}"
            reason = (
                f"parameter {bare['name']!r} has no colon"
                if bare["domain"]
                else f"parameter {bare['name']!r} has no domain"
            )
            raise TextFault(reason, number, column=line.index("parameter") + 1, hint=hint)
        comment = _COMMENT.match(line) if number not in taken else None
        if comment and (slip := find_slip(comment["said"])):
            column = comment.start("said") + 1
            hint = f"Perhaps you meant `-- {slip.written}`."
            raise TextFault(slip.describe(), number, column=column, hint=hint)
    return header


def _take_parameter(header: OperationHeader, entry: HeaderEntry, place: str) -> None:
    if not _PARAMETER.fullmatch(entry.name) or entry.name == OPERATION_ID:
        hint = f"A name has small letters, digits and _; :{OPERATION_ID} is there by itself."
        raise _fault(entry, f"{entry.name} cannot be a parameter", hint)
    if entry.name in header.parameters:
        raise _fault(entry, f"parameter {entry.name!r} is declared twice")
    try:
        header.parameters[entry.name] = read_domain(entry.value, operation=header.operation, parameter=entry.name)
    except NoDomain as fault:
        raise _fault(entry, f"not a domain: {quote(entry.value)}", str(fault)) from None
    header.lines[entry.name] = _written_at(header, entry, place)


def _take_row(header: OperationHeader, entry: HeaderEntry, place: str) -> None:
    known = [row.key for row in header.rows]
    if entry.name in known:
        free = next(name for name in (f"{entry.name}_{number}" for number in range(2, len(known) + 3)) if name not in known)
        hint = f"Give it a name of its own: -- row {free}: ..., which other rows call :{free}."
        raise _fault(entry, f"a second row with the key {entry.name!r}", hint)
    try:
        row = read_row(entry.name, entry.value, known=known)
    except NoRowWanted as fault:
        raise _fault(entry, str(fault), ROW_FORM) from None
    header.rows.append(replace(row, written_at=_written_at(header, entry, place)))


def _written_at(header: OperationHeader, entry: HeaderEntry, place: str) -> WrittenAt:
    return WrittenAt(place, entry.line, "\n".join(header.written[entry.line - 1 :][: entry.line_count]))


def _take_stores(header: OperationHeader, entry: HeaderEntry, _place: str) -> None:
    match = _STORES.fullmatch(entry.value)
    if match is None:
        hint = "Write `-- stores: payments.idempotency_key = :key`, or `... = reply.payment_id`; and `at created_at`."
        raise _fault(entry, f"not where a row is stored: {quote(entry.value)}", hint)
    table, column, argument, reply, made_at = (match[each] or "" for each in ("table", "column", "argument", "reply", "at"))
    header.stores.append(Stores(table, column, argument, reply, made_at, entry.line))


def _take_on(header: OperationHeader, entry: HeaderEntry, _place: str) -> None:
    try:
        on = read_on(entry.name, entry.value)
    except NoNote as fault:
        raise _fault(entry, str(fault), fault.hint) from None
    header.reactions[on.state] = on.reaction
    if on.reaction.is_retry and on.state in RESTARTED:  # whoever calls begins it again, as the driver does
        header.allowed |= Allowed(retries=frozenset({on.state}))


def _take_may(header: OperationHeader, entry: HeaderEntry, _place: str) -> None:
    for said in entry.value.split(","):
        match = _MAY.fullmatch(said.strip())
        if match is None:
            hint = "Write `-- may: decline in_progress` or `-- may: fail 23505`; several with commas."
            raise _fault(entry, f"not what a call may come to: {quote(said.strip())}", hint)
        declines = frozenset({match["reason"]} if match["reason"] else ())
        header.allowed |= Allowed(frozenset({match["state"]} if match["state"] else ()), declines)


def _take_reply(header: OperationHeader, entry: HeaderEntry, _place: str) -> None:
    try:
        header.told = read_reply(entry.value)
    except NoNote as fault:
        raise _fault(entry, str(fault), fault.hint) from None


def _take_title(header: OperationHeader, entry: HeaderEntry, _place: str) -> None:
    if header.title:
        raise _fault(entry, "a second title in the header")
    header.title = entry.value


def _take_nothing(_header: OperationHeader, _entry: HeaderEntry, _place: str) -> None:
    """Do nothing: it is for people."""


_TAKERS: Mapping[str, Callable[[OperationHeader, HeaderEntry, str], None]] = {
    "title": _take_title,
    "parameter": _take_parameter,
    "row": _take_row,
    "stores": _take_stores,
    "on": _take_on,
    "may": _take_may,
    "reply": _take_reply,
}


def _fault(entry: HeaderEntry, reason: str, hint: str | None = None) -> TextFault:
    return TextFault(reason, entry.line, column=entry.column, hint=hint)

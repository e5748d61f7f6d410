"""A system's effects.toml: where the effects of its operations stand, so that four invariants can be made of it.

    subject = "account_id"                # whose effect it is: a column of each table, and of the rows that are found

    [[effects]]
    table = "bank.entries"
    name = "entry"                        # what reports call it
    made_at = "created_at"
    where = "entries.kind <> 'opening'"
    stored = ["deposit", "withdraw"]      # an ok of these operations promises such a row

An effect is one of four invariants' unless it says otherwise, by the invariant's key: `failed = false` leaves it out there,
`failed = { where = "entries.is_final" }` says for that invariant alone what is different. `stored` is only asked about
where it is said. A column is a name of the table's; in parentheses it is SQL: `name = "('scanned_' || scans.direction)"`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from integrity.errors import quote
from integrity.invariants.effects.written import Mistake, Section, Written, parse_text
from integrity.sql.name import quoted
from integrity.verdict import Severity

FAMILIES = {
    "asked": "row-was-asked-for",
    "once": "call-at-most-once",
    "stored": "acknowledged-call-is-stored",
    "failed": "failed-call-left-nothing",
}
"""The invariants' names, by their keys."""

_KEYS = ("system", "schema", "subject", *FAMILIES, "effects")
_HEADER_KEYS = ("title", "severity", "source", "why", "hint")
_USE_KEYS = ("name", "id", "subject", "made_at", "operation_id", "join", "where")
_MORE_KEYS = {"stored": ("by", "operation", "found_by"), "failed": ("moved",)}
_EFFECT_KEYS = ("table", "as", *_USE_KEYS, *FAMILIES)
_TAKEN = ("calls", "effects")  # what the relations are called that a place of `found_by` is joined to


@dataclass(frozen=True, slots=True)
class Use:
    """An effect as one of the invariants asks about it.

    Args:
        table: with its schema, as SQL has it.
        alias: what the table is called in the query, as SQL has it.
        columns: name, id, subject, made_at, operation_id -> SQL; those that are needed.
        join, where: conditions are joined by `and`.
        by: the operations whose ok promises such a row, and in which line they are named.
        operation: which of them a row is of.
        found_by: what ties a call to its row, where that is not the operation_id.
        moved: what is summed up; None: that such a row is there is asked.
        is_left: rows to which nothing is joined stay.
    """

    table: Written
    alias: str
    columns: Mapping[str, Written]
    join: tuple[Written, ...]
    where: tuple[Written, ...]
    by: tuple[str, ...] = ()
    by_line: int = 0
    is_left: bool = False
    operation: Written | None = None
    found_by: tuple[Written, ...] = ()
    moved: Written | None = None

    @property
    def is_told_by_calls(self) -> bool:
        """Whether only a call tells which row is its own, and not the row which call."""
        return bool(self.found_by) or (len(self.by) > 1 and self.operation is None)


@dataclass(frozen=True, slots=True)
class Declaration:
    """All that an effects.toml says.

    Args:
        system: whose history is asked, and in which line it is named; 0: in none, it is the folder's.
        subject: what the rows that are found call whose effect it is.
        headers: invariant's key -> header's key -> text, where it is not the usual one.
        columns: what a row of `stored` shows beside the call: name -> SQL.
        uses: invariant's key -> effects, in the order in which they are written; invariants without an effect left out.
    """

    system: str
    system_line: int
    subject: str
    headers: Mapping[str, Mapping[str, str]]
    columns: Mapping[str, Written]
    uses: Mapping[str, Sequence[Use]]


def parse_declaration(text: str, *, system: str) -> Declaration:
    """Return what the text of an effects.toml says.

    Args:
        system: that it is about if it names none.

    Raises:
        Mistake: it cannot be understood.
    """
    top = parse_text(text)
    top.check_keys(_KEYS)
    subject = top.name("subject", hint='Name the column that tells whose effect it is: subject = "account_id".')
    headers = {family: _header(top.section(family), family) for family in FAMILIES if family in top.values}
    columns = top.section("stored").section("columns") if "columns" in top.values.get("stored", ()) else None
    return Declaration(
        system=top.text("system", default=system or None, hint='Say whose calls are asked about: system = "bank".'),
        system_line=top.line("system") if "system" in top.values else 0,
        subject=subject,
        headers=headers,
        columns={key: columns.sql(key, columns.text(key)) for key in columns.values} if columns else {},
        uses=_uses(top, subject),
    )


def _header(section: Section, family: str) -> dict[str, str]:
    section.check_keys((*_HEADER_KEYS, "columns") if family == "stored" else _HEADER_KEYS)
    header = {key: section.text(key) for key in section.values if key in _HEADER_KEYS}
    for key, value in header.items():
        if len(value.splitlines()) > 1:
            section.refuse(key, "it is of more than one line", hint="Write it in one.")
    if header.get("severity", "error") not in tuple(Severity):
        section.refuse("severity", f"unknown severity {quote(header['severity'])}", hint="It is error or warning.")
    return header


def _uses(top: Section, subject: str) -> dict[str, list[Use]]:
    schema = top.name("schema") if "schema" in top.values else ""
    uses: dict[str, list[Use]] = {}
    for effect in _effects(top):
        for family in FAMILIES:
            use = _use(effect, family, schema=schema, subject=subject)
            if use is not None:
                uses.setdefault(family, []).append(use)
    if not uses:
        top.refuse("effects", "none of the invariants is about any of them", hint="Take a `= false` away.")
    _check_sums(uses.get("failed", []))
    return uses


def _effects(top: Section) -> Iterator[Section]:
    hint = 'Say where the effects of its operations stand: [[effects]] table = "entries", name = "entry".'
    effects = top.values.get("effects")
    if not isinstance(effects, list) or not effects or not all(isinstance(values, dict) for values in effects):
        top.refuse("effects", "it is missing" if effects is None else "it is no list of tables", hint=hint)
    for number, values in enumerate(effects):
        shown = f" of the effect in {quote(values['table'])}" if "table" in values else ""
        effect = Section(values, ("effects", number), top.lines, shown)
        effect.check_keys(_EFFECT_KEYS)
        yield effect


def _use(effect: Section, family: str, *, schema: str, subject: str) -> Use | None:
    """Return the effect as the invariant asks about it; None: it does not."""
    special = _special(effect, family)
    if special is None:
        return None
    table = effect.table_name("table", schema=schema)
    alias = quoted(effect.name("as", default=table.column))

    def column(key: str, default: str | None = None, hint: str = "") -> Written:
        return _of(effect, special, key).column(key, alias, default=default, hint=hint)

    columns = {"id": column("id", "id"), "operation_id": column("operation_id", "operation_id")}
    if family != "stored":
        columns["name"] = _of(effect, special, "name").label("name", default=table.column)
        columns["subject"] = column("subject", subject)
    if family == "asked":
        hint = 'Say when such a row was made: made_at = "created_at"; or asked = false.'
        columns["made_at"] = column("made_at", hint=hint)
    use = Use(
        table,
        alias,
        columns,
        join=(*effect.conditions("join"), *special.conditions("join")),
        where=(*effect.conditions("where"), *special.conditions("where")),
        by=_operations(special) if family == "stored" else (),
        by_line=special.line("by") if family == "stored" else 0,
        operation=special.sql("operation", special.text("operation")) if "operation" in special.values else None,
        found_by=special.conditions("found_by"),
        moved=special.column("moved", alias) if "moved" in special.values else None,
    )
    if use.is_told_by_calls:
        _check_told_by_calls(special, use)
    return use


def _special(effect: Section, family: str) -> Section | None:
    """Return what the effect says for that invariant alone; None: the invariant does not ask about it."""
    said = effect.values.get(family, family != "stored")
    if said is False:
        return None
    if isinstance(said, dict):
        special = Section(said, (*effect.path, family), effect.lines, effect.shown)
        special.check_keys((*_USE_KEYS, *_MORE_KEYS.get(family, ())))
        return special
    if family == "stored" and isinstance(said, str | list):
        return Section({"by": said}, (*effect.path, family), effect.lines, effect.shown)
    if family == "stored" or said is not True:
        forms = '["deposit"], or { by = ["deposit"] }' if family == "stored" else "true, false, or { where = ... }"
        effect.refuse(family, f"{quote(said)} cannot be used", hint=f"Write {family} = {forms}.")
    return Section({}, effect.path, effect.lines, effect.shown)


def _of(effect: Section, special: Section, key: str) -> Section:
    return special if key in special.values else effect


def _operations(special: Section) -> tuple[str, ...]:
    hint = 'Name the operations whose ok promises such a row: stored = ["deposit", "withdraw"].'
    operations = special.texts("by", hint=hint)
    if not operations:
        special.refuse("by", "it names no operation", hint=hint)
    return operations


def _check_told_by_calls(special: Section, use: Use) -> None:
    if use.alias in _TAKEN:
        hint = f'Give it another in this query: as = "{use.alias}_found".'
        special.refuse("by", f"{use.alias} is the name of something else in the query", hint=hint)
    for key, given in (("join", use.join), ("operation", use.operation)):
        if given:
            hint = "Say it in found_by, or name one operation and leave found_by away."
            special.refuse(key, "it cannot stand beside found_by, or with several operations", hint=hint)


def _check_sums(uses: Sequence[Use]) -> None:
    sums = [use for use in uses if use.moved is not None]
    if sums and len(sums) != len(uses):
        other = next(use for use in uses if use.moved is None)
        raise Mistake(
            f"failed: {other.table.column} says not what it moved, as {sums[0].table.column} does",
            line=other.table.line,
            hint="Sums are of amounts: say failed = false there, or what it `moved`, too.",
        )

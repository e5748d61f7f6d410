"""What a database holds: what we made there, and what somebody else did.

"Ours" is what the notes say that we made, by identity (ownership.py). All the rest is somebody else's: tables wherever they
stand, information_schema and those of extensions too; views, functions, sequences, types, large objects and publications,
but those that belong to an extension or to a table.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from integrity.database.made import (
    FORMAT,
    FORMAT_OF_NAMES,
    FORMATS_BEFORE,
    OURS,
    Made,
    find_all_made,
    made_before,
    read_made,
)
from integrity.engines.inventory import TABLE, Inventory, Object
from integrity.engines.places import TableName, schema_of
from integrity.engines.schemas import schema_from
from integrity.engines.target import Target
from integrity.errors import DatabaseError
from integrity.typed import typed

if TYPE_CHECKING:
    from sqlalchemy import Table

    from integrity.database.application import Application


@dataclass(frozen=True, slots=True)
class Contents:
    """What a database holds.

    Args:
        name: the database's own name; of SQLite the file's.
        ours: schema -> the tables in it that we made.
        made: system -> those that we made for it, parents first; none of one whose tables others made, or dropped. Our own
            books are among them, under their schema's name.
        foreign: all others: tables as "schema.table", other things with their kind, as "view schema.name".
        notes: what we noted; empty when nothing here is ours.
        shared: schemas of ours that hold something of others, and so stay when ours goes.
        foreign_tables: the tables among what is foreign.
    """

    name: str
    ours: Mapping[str, tuple[str, ...]]
    foreign: tuple[str, ...]
    notes: Mapping[str, str]
    shared: frozenset[str] = frozenset()
    made: Mapping[str, tuple[TableName, ...]] = field(default_factory=dict)
    foreign_tables: frozenset[TableName] = frozenset()

    @property
    def is_ours(self) -> bool:
        """Something here was made by us."""
        return bool(self.ours)

    @property
    def is_empty(self) -> bool:
        """Nothing at all."""
        return not self.ours and not self.foreign

    @property
    def systems(self) -> tuple[str, ...]:
        """The systems whose tables we made."""
        return tuple(name for name, tables in self.made.items() if name != OURS and tables)

    def has(self, table: "Table") -> bool:
        """The table is here, whoever made it."""
        return table.name in self.ours.get(schema_of(table), ()) or self._has_of_others(table)

    def holds(self, system: "Application") -> bool:
        """A table of the system is here, whoever made it."""
        return any(self.has(table) for table in system.metadata.sorted_tables)

    def of_others(self, system: "Application") -> list[str]:
        """Return the system's tables that are here and that we did not make."""
        return [f"{schema_of(table)}.{table.name}" for table in system.metadata.sorted_tables if self._has_of_others(table)]

    def _has_of_others(self, table: "Table") -> bool:
        return (schema_of(table), table.name) in self.foreign_tables


def inspect_database(target: Target, *, is_removal: bool = False) -> Contents:
    """Return what the database holds; it is only read.

    Args:
        is_removal: what versions before this one made is known, too, so that it can be removed; else that is an error.

    Raises:
        Unreachable: no connection.
        DatabaseError: the notes cannot be read, or are of another version.
    """
    inventory = target.engine.take_inventory(target, format_of_names=FORMAT_OF_NAMES if is_removal else "")
    notes = _own_notes(inventory, is_removal=is_removal)
    made = find_all_made(notes)
    if notes and inventory.made_with_note is not None:
        made = made_before(inventory.made_with_note)
        notes = {**notes, "format": FORMAT}
    return _contents(target, inventory.name, inventory.objects, notes, made)


def find_schemas(target: Target) -> frozenset[str]:
    """Return the schemas that hold tables or views, whoever made them; nothing but the catalogue is read.

    Raises:
        Unreachable: no connection.
        DatabaseError: the catalogue cannot be read.
    """
    return target.engine.find_schemas(target)


def _own_notes(inventory: Inventory, *, is_removal: bool) -> Mapping[str, str]:
    """Return what is noted; nothing when the table of that name is not the one that we made."""
    noted = dict(inventory.notes)
    if noted.get("format") in FORMATS_BEFORE and is_removal:
        noted["format"] = FORMAT
    tables = {(each.schema, each.name): each.identity for each in inventory.objects if each.kind == TABLE}
    made = read_made(noted.get(f"made:{OURS}"), OURS).tables.get((OURS, "notes"))
    is_made = made is not None and made == tables.get((OURS, "notes"))
    return noted if is_made or noted.get("format", FORMAT) != FORMAT else {}


def _contents(
    target: Target, name: str, objects: Sequence[Object], notes: Mapping[str, str], made: Mapping[str, Made]
) -> Contents:
    if notes and notes.get("format") != FORMAT:
        raise _of_another_version(target, name, notes.get("format"))
    ours: dict[str, tuple[str, ...]] = {}
    foreign: list[Object] = []
    views = {view: identity for each in made.values() for view, identity in each.views.items()}
    kept: dict[str, list[TableName]] = {}
    for each in objects:
        if each.kind == "view" and each.schema == OURS and views.get(each.name) == each.identity:
            continue  # goes with the system that it is for
        place = schema_from(target.dialect, each.schema), each.name
        system = next((name for name, its in made.items() if its.tables.get(place) == each.identity), None)
        if each.kind == TABLE and system is not None:
            ours[place[0]] = (*ours.get(place[0], ()), each.name)
            kept.setdefault(system, []).append(place)
        else:
            foreign.append(each)
    # Our own schema last: the notes say what is ours for as long as something is.
    ordered = sorted(ours.items(), key=lambda item: (item[0] == OURS, item[0]))
    in_order = {
        name: tuple(place for place in made[name].tables if place in kept.get(name, ()))
        for name in sorted(made, key=lambda name: (name == OURS, name))
    }
    # Of schemas that are more than files, the server refuses, by name, to drop one with anything else in it.
    shared = frozenset(
        schema_from(target.dialect, each.schema) for each in foreign if each.kind == TABLE or not target.engine.has_schemas
    )
    return Contents(
        name,
        dict(ordered),
        tuple(str(each) for each in foreign),
        notes,
        shared,
        in_order,
        frozenset((schema_from(target.dialect, each.schema), each.name) for each in foreign if each.kind == TABLE),
    )


def _of_another_version(target: Target, name: str, noted: str | None) -> DatabaseError:
    if noted in FORMATS_BEFORE or (noted == FORMAT_OF_NAMES and target.engine.tells_makers):
        hint = f"Remove what that version made: {typed('rollback')}. Then make it anew: {typed('seed')}"
    elif noted == FORMAT_OF_NAMES:
        files = target.file.with_name(f"{target.file.stem}*{target.file.suffix}")
        hint = f"It did not note its tables so that they can be told from others'. Look, then remove the files: {files}"
    else:
        hint = "Remove it with the version that made it, or use another database."
    return DatabaseError(
        f"database {name!r} was made by another version (format {noted!r}, expected {FORMAT!r})",
        hint=hint,
    )

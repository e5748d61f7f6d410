"""What an SQLite database holds: the main file, and those beside it that are its schemas."""

import hashlib
import sqlite3
from contextlib import closing

from integrity.engines.inventory import Inventory, Object, has_notes
from integrity.engines.places import MAIN
from integrity.engines.schemas import schema_from
from integrity.engines.target import Target
from integrity.engines.transaction import refusal


def take_inventory(target: Target) -> Inventory:
    """Return what the database holds; see engine.Engine."""
    present = target.find_schemas()
    if not target.file.exists() and not present:
        if not target.file.absolute().parent.is_dir():
            raise target.unreachable(FileNotFoundError(f"no folder {target.file.absolute().parent}"))
        return Inventory(target.file.name)
    with closing(target.connect_sqlite(present, is_read_only=target.file.exists())) as connection:
        try:
            objects = [
                Object(str(row["type"]), schema, row["name"], checksum(row["sql"]))
                for schema in (MAIN, *present)
                for row in connection.execute(
                    f'select type, name, sql from "{schema}".sqlite_master '
                    "where type in ('table', 'view') and name not like 'sqlite\\_%' escape '\\' order by type, name"
                )
            ]
            notes = _read_notes(connection) if has_notes(objects) else {}
        except sqlite3.Error as error:
            raise refusal(target, error) from None
    return Inventory(target.file.name, objects, notes)


def find_schemas(target: Target) -> frozenset[str]:
    """Return the schemas that hold tables or views, whoever made them; the main file's by both its names."""
    held = {each.schema for each in take_inventory(target).objects}
    return frozenset({*held, *(schema_from("sqlite", schema) for schema in held)})


def _read_notes(connection: sqlite3.Connection) -> dict[str, str]:
    try:
        return {row[0]: row[1] for row in connection.execute("select key, value from integrity.notes")}
    except sqlite3.OperationalError as error:
        if "no such column" not in str(error):
            raise
        return {}  # somebody else's table of that name


def checksum(statement: str | None) -> str:
    """Return what identifies a table of SQLite: a checksum of its statement, however it is spaced."""
    return hashlib.sha256(" ".join((statement or "").split()).encode()).hexdigest()

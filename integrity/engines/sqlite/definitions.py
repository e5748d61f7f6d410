"""What makes an SQLite database's own things anew: the statements that it keeps of them."""

from contextlib import closing

from integrity.engines.definitions import Definition
from integrity.engines.inventory import BOOKS
from integrity.engines.places import MAIN
from integrity.engines.schemas import schema_from
from integrity.engines.target import Target
from integrity.sql.name import quoted

_KINDS = ("table", "index", "view", "trigger")


def read_definitions(target: Target) -> list[Definition]:
    """Return what makes everything in the file and in those beside it, in an order in which it can be made.

    The statements name no schema: each is for the file that it was kept in.

    Raises:
        Unreachable: a file cannot be opened.
    """
    schemas = [MAIN, *(schema for schema in target.find_schemas() if schema != BOOKS)]
    found: list[Definition] = []
    with closing(target.connect_sqlite(schemas[1:], is_read_only=True)) as connection:
        for schema in schemas:
            rows = connection.execute(
                f"select type, name, tbl_name, sql from {quoted(schema)}.sqlite_master "
                "where sql is not null and name not like 'sqlite\\_%' escape '\\' order by rowid"
            )
            place = schema_from("sqlite", schema)
            found += [
                Definition(kind, place, name, (sql,), table if kind != "view" else "", is_whole=kind == "table")
                for kind, name, table, sql in rows
            ]
    return sorted(found, key=lambda each: _KINDS.index(each.kind))

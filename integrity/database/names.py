"""Names in SQL: quoted where they must be, and found again however they are spelled."""

from collections.abc import Mapping
from typing import TypeVar

from sqlalchemy import MetaData, Table

from integrity.engines.places import schema_of
from integrity.engines.schemas import schema_in
from integrity.sql.name import parts_of, quoted

Found = TypeVar("Found")


def full_name(table: Table) -> str:
    """Return a table's name as SQL has it, with its schema if it has one."""
    return ".".join(quoted(str(part)) for part in (table.schema, table.name) if part)


def schemas_of(metadata: MetaData) -> tuple[str, ...]:
    """Return the schemas that the tables stand in, in the order of the tables: parents first."""
    return tuple(dict.fromkeys(schema_of(table) for table in metadata.sorted_tables))


def located(table: Table, dialect: str) -> str:
    """Return a table's name with its schema as the engine's SQL has it, also where the table names none."""
    return f"{quoted(schema_in(dialect, schema_of(table)))}.{quoted(table.name)}"


def name_of(table: Table) -> str:
    """Return what a table is called among those of its metadata: with its schema, if another has its name."""
    namesakes = [each for each in table.metadata.tables.values() if each.name == table.name]
    return table.name if len(namesakes) == 1 else f"{schema_of(table)}.{table.name}"


def find_named(known: Mapping[str, Found], spelled: str) -> tuple[str, Found] | None:
    """Return what a name means, by its plain name: as it stands, without its quotes, or as PostgreSQL folds it.

    Args:
        known: by plain names, "Vet" or "public.Vet".
        spelled: as somebody wrote it: `Vet`, `"Vet"`, `public."Vet"` or, of a table vet, `VET`.
    """
    parts = parts_of(spelled)
    exact = ".".join(name for name, _ in parts)
    for name in (spelled, exact, ".".join(name if is_quoted else name.lower() for name, is_quoted in parts)):
        if name in known:
            return name, known[name]
    return None

"""What SQLite's catalogue says about tables: which there are, and little more."""

from collections.abc import Iterable

from integrity.engines.facts import Facts, Table, TableName
from integrity.engines.schemas import schema_from
from integrity.engines.snapshot import Reader
from integrity.sql.name import in_quotes

# A view has no page of its own, nor has a virtual table; a generated column is hidden as 2 or 3.
_CATALOGUE = """
select
    name,
    rootpage > 0 and not exists (
        select 1 from pragma_table_xinfo(tables.name, ?1) as calculated where calculated.hidden in (2, 3)
    ) as is_stored
from {schema}.sqlite_master as tables
where type in ('table', 'view')
"""


def read_facts(session: Reader, names: Iterable[TableName]) -> Facts:
    found: dict[tuple[str, str], bool] = {}
    for row in session.read("select name as schema from pragma_database_list"):
        tables = session.read(_CATALOGUE.format(schema=in_quotes(row["schema"])), [row["schema"]])
        for table in tables:
            key = table["name"].lower()
            for schema in {row["schema"], schema_from("sqlite", row["schema"])}:
                found[schema, key] = bool(table["is_stored"])
            found["", key] = found.get(("", key), True) and bool(table["is_stored"])  # of whichever is meant
    return {
        name: Table(is_stored=found[name.schema, name.name.lower()])
        for name in sorted(set(names))
        if (name.schema, name.name.lower()) in found
    }

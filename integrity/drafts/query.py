"""A named query to go on with: one row of a table by its key, with a limit and where its values come from."""

from integrity.drafts.found import FoundTable, Holds
from integrity.drafts.invariant import COLUMNS_SHOWN
from integrity.sql.name import quoted


def draft_query(table: FoundTable) -> str:
    """Return a query about a table."""
    shown = [*table.key, *(name for name in table.columns if name not in table.key)][:COLUMNS_SHOWN]
    lines = ",\n".join(f"    {table.column(name)}" for name in shown)
    names = {column: parameter_name(column) for column in table.key}
    header = [f"-- title: a row of {' '.join(table.words.split())} by its key", "-- limit-ms: 50"]
    header += [f"-- parameter: {names[column]} {_TYPES.get(table.columns[column], 'text')}" for column in table.key]
    if names:
        keys = ", ".join(map(quoted, table.key))
        header.append(f"-- sample: {', '.join(names.values())} = select {keys} from {table.sql} order by {keys} limit 20")
    where = " and ".join(f"{table.column(column)} = :{name}" for column, name in names.items())
    order = ", ".join(map(table.column, table.key or shown[:1]))
    return "\n".join(
        [
            *header,
            "select",
            lines,
            f"from {table.sql}",
            *([f"where {where}"] if where else []),
            f"order by {order}",
            "limit 50",
            "",
        ]
    )


def parameter_name(column: str) -> str:
    """Return the name of a parameter for a column: parameters are lowercase."""
    plain = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in column.lower()).strip("_")
    return plain if plain[:1].isalpha() else f"value_{plain}"


_TYPES = {Holds.NUMBERS: "bigint", Holds.TIMES: "timestamptz", Holds.UUIDS: "uuid"}

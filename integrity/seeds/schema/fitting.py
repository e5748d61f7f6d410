"""Wishes held against the tables: what there is not, and what a column cannot be, is told where it was written."""

from collections.abc import Mapping

from integrity.errors import UsageError, quote
from integrity.seeds.schema.tables import Column, SchemaTable
from integrity.seeds.schema.texts import NUMBERS, TIMES
from integrity.seeds.schema.wishes import ROWS_MOST, ColumnWishes, Place, Wishes
from integrity.suggestion import suggest


def check_fit(
    wishes: Wishes, tables: Mapping[str, SchemaTable], *, others: Mapping[str, tuple[str, str]], place: Place
) -> None:
    """Refuse wishes that no table or column can have.

    Args:
        others: what else has a name in the database, and is not filled: by its name what it is, and what to do instead.
        place: where they were made.

    Raises:
        UsageError: names the place, the value and the reason, and what was meant perhaps.
    """
    for name, wish in wishes.tables.items():
        where = place.at("tables", name)
        table = find_table(tables, name, others=others, place=where)
        if (wish.rows or 0) > ROWS_MOST:
            raise UsageError(f"{where}: {name}={wish.rows:,}: at most {ROWS_MOST:,} rows", hint="Ask for fewer.")
        for column, asked in wish.columns.items():
            _check_column(table, column, asked, place.at("tables", name, "columns", column))
    _check_ratios(wishes, tables, others, place)


def _check_ratios(
    wishes: Wishes, tables: Mapping[str, SchemaTable], others: Mapping[str, tuple[str, str]], place: Place
) -> None:
    """Refuse numbers of rows that each follow from the other."""
    per = {
        find_table(tables, name, others=others, place="").full_name: (name, parent)
        for name, wish in wishes.tables.items()
        for parent in wish.per
    }
    for first, (name, _) in per.items():
        at, seen = first, [first]
        while at in per:
            named, parent = per[at]
            at = find_table(tables, parent, others=others, place=place.at("tables", named, "per")).full_name
            if at in seen:
                raise UsageError(
                    f"{place.at('tables', name, 'per')}: how many rows {first} gets follows from itself: "
                    f"{' per '.join([*seen, at])}",
                    hint="Say rows = N of one of them.",
                )
            seen.append(at)


def _check_column(table: SchemaTable, name: str, wish: ColumnWishes, place: str) -> None:
    column = table.columns.get(name)
    if column is None:
        raise UsageError(
            f"{place}: {table.full_name} has no column {quote(name)}",
            hint=suggest(name, table.columns, otherwise=f"It has: {', '.join(table.columns)}."),
        )
    reason, hint = _reason_against(table, column, wish)
    if reason:
        raise UsageError(f"{place}: {table.full_name}.{name} {reason}", hint=hint)


def _reason_against(table: SchemaTable, column: Column, wish: ColumnWishes) -> tuple[str, str]:
    """Return why a column cannot be as it is wished, and what to do; empty: it can."""
    parents = [each.parent for each in table.references if column.name in each.gives(table.full_name)]
    spans = {name for each in table.exclusions for _, operator, names in each.parts if operator == "&&" for name in names}
    if column.is_generated:
        return "is computed by the server", "Leave it out of the file."
    if parents and (wish.values is not None or wish.is_bounded):
        return f"holds what {parents[0]} does", f"Write values of that table; here skew{_or_nulls(column)} can be said."
    if column.name in spans and (wish.values is not None or wish.is_bounded):
        return "is a bound of spans that must not overlap, and is counted", "[days] says when they begin."
    if wish.nulls and column.is_required:
        return "may not be null", "Leave nulls out."
    if wish.is_bounded and (column.type.is_array or column.type.base not in (*NUMBERS, *TIMES)):
        return f"is of the type {column.type.name}: least and most bound numbers and times", "Write values = [...]"
    return "", ""


def _or_nulls(column: Column) -> str:
    return "" if column.is_required else " and nulls"


def find_table(
    tables: Mapping[str, SchemaTable], name: str, *, others: Mapping[str, tuple[str, str]], place: str
) -> SchemaTable:
    """Return the table of that name, with its schema or without.

    Raises:
        UsageError: there is none, or there are several.
    """
    found = [table for table in tables.values() if name in (table.name, table.full_name)]
    if len(found) > 1:
        names = " and ".join(table.full_name for table in found)
        raise UsageError(f"{place}: {quote(name)} may be {names}", hint="Name it with its schema.")
    if not found and name in others:
        what, instead = others[name]
        raise UsageError(f"{place}: {quote(name)} is {what}, and cannot be filled", hint=instead)
    if not found:
        names_known = [table.name for table in tables.values()]
        few = ", ".join(names_known[:8]) + (", ..." if len(names_known) > 8 else "")
        raise UsageError(
            f"{place}: there is no table {quote(name)}", hint=suggest(name, names_known, otherwise=f"There are: {few}.")
        )
    return found[0]

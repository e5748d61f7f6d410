"""What is wished of the rows: `seeds/<name>.toml`, and the sizes given on the command line.

schemas = ["public"]

[days]
first = 2025-01-01
count = 30

[tables.orders]
rows = 50_000

[tables.order_items]
per = { orders = 3.5 }

[tables.orders.columns.status]
values = { paid = 0.7, open = 0.2, cancelled = 0.1 }

[tables.orders.columns.amount_minor]
least = 100
most = 50_000
skew = 2

[tables.orders.columns.customer_id]
skew = 1
nulls = 0.05
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from integrity.errors import UsageError, quote
from integrity.seeds.schema.tables import SchemaTable
from integrity.seeds.settings import Share, Strict
from integrity.suggestion import suggest

ROWS_MOST = 1_000_000_000
Scalar = str | int | float | bool | date


class ColumnWishes(Strict):
    """[tables.<table>.columns.<column>].

    Args:
        values: those that it takes, alike often, or each with its share.
        least, most: the bounds of a number or a time.
        nulls: the share of rows in which it is null.
        skew: 0 draws evenly; with 1, 2, ... ever more rows fall on ever fewer values, or parents.
    """

    values: Annotated[tuple[Scalar, ...], Field(min_length=1)] | Annotated[dict[str, float], Field(min_length=1)] | None = (
        None
    )
    least: int | float | date | None = None
    most: int | float | date | None = None
    nulls: Share | None = None
    skew: Annotated[int, Field(ge=0, le=8)] = 0


class TableWishes(Strict):
    """[tables.<table>].

    Args:
        rows: how many.
        per: so many for each row of a parent: {"orders": 3.5}.
    """

    rows: Annotated[int, Field(ge=0, le=ROWS_MOST)] | None = None
    per: dict[str, Annotated[float, Field(gt=0, le=1_000_000)]] = Field(max_length=1, default_factory=dict)
    columns: dict[str, ColumnWishes] = Field(default_factory=dict)


class Days(Strict):
    """The days that times fall on."""

    first: date = date(2025, 1, 1)
    count: Annotated[int, Field(ge=1, le=36_525)] = 30


class Wishes(Strict):
    """The whole file.

    Args:
        ratio: children for each row of a parent, where nothing else is said.
        rows: of a table to which nothing that was named leads.
        nulls: the share of nulls in a column that may be null.
    """

    schemas: tuple[str, ...] = ()
    days: Days = Days()
    ratio: Annotated[float, Field(gt=0, le=1000)] = 3.0
    rows: Annotated[int, Field(ge=0, le=ROWS_MOST)] = 100
    nulls: Share = 0.1
    tables: dict[str, TableWishes] = Field(default_factory=dict)

    def of(self, table: SchemaTable) -> TableWishes:
        """Return what is wished of a table, by its name or its full name."""
        return self.tables.get(table.full_name) or self.tables.get(table.name) or TableWishes()

    def of_column(self, table: SchemaTable, column: str) -> ColumnWishes:
        """Return what is wished of a column."""
        return self.of(table).columns.get(column, ColumnWishes())


def read_wishes(file: Path) -> Wishes:
    """Return what the file says.

    Raises:
        UsageError: it cannot be read, or says what cannot be; with the line.
    """
    try:
        text = file.read_text(encoding="utf-8")
        return Wishes.model_validate(tomllib.loads(text))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{file}: cannot be read: {error}") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        path = [str(part) for part in first["loc"] if not str(part).startswith(("tuple[", "dict[", "constrained"))]
        what = f"{'.'.join(path)}: {first['msg']}"
        hint = None
        if first["type"] == "extra_forbidden":
            what = f"{'.'.join(path[:-1]) or 'the file'} has no setting {quote(path[-1])}"
            hint = suggest(path[-1], _known(path), otherwise=f"There are: {', '.join(_known(path))}.")
        raise UsageError(f"{file}:{_line_of(text, path)}: {what}", hint=hint) from None


def _known(path: list[str]) -> list[str]:
    if path[:1] == ["days"] and len(path) > 1:
        return list(Days.model_fields)
    if path[:1] == ["tables"] and len(path) > 3:
        return list(ColumnWishes.model_fields)
    return list(TableWishes.model_fields if path[:1] == ["tables"] else Wishes.model_fields)


def _line_of(text: str, path: Iterable[str]) -> int:
    """Return the line on which the last part of a path stands, looked for from part to part."""
    lines, at = text.splitlines(), 0
    for part in path:
        word = re.compile(rf'(?<![\w-])"?{re.escape(part)}"?(?![\w-])')
        at = next((number for number in range(at, len(lines)) if word.search(lines[number].partition("#")[0])), at)
    return at + 1


def with_rows(wishes: Wishes, rows: Mapping[str, int]) -> Wishes:
    """Return the wishes with these numbers of rows, as given on the command line, in place of what the file says."""
    tables = dict(wishes.tables)
    for name, count in rows.items():
        told: dict[str, Any] = {"rows": count, "per": {}}
        tables[name] = tables.get(name, TableWishes()).model_copy(update=told)
    return wishes.model_copy(update={"tables": tables})


def check_names(wishes: Wishes, tables: Mapping[str, SchemaTable], *, place: str) -> None:
    """Refuse wishes of tables and columns that there are not.

    Args:
        place: where they were made: the file, or the option.

    Raises:
        UsageError: names it, and what was meant perhaps.
    """
    for name, wish in wishes.tables.items():
        table = find_table(tables, name, place=place)
        for parent in wish.per:
            find_table(tables, parent, place=f"{place}: tables.{name}.per")
        for column in wish.columns:
            if column not in table.columns:
                raise UsageError(
                    f"{place}: {table.full_name} has no column {quote(column)}",
                    hint=suggest(column, table.columns, otherwise=f"It has: {', '.join(table.columns)}."),
                )
            if table.columns[column].is_generated:
                raise UsageError(
                    f"{place}: {table.full_name}.{column} is computed by the server", hint="Leave it out of the file."
                )


def find_table(tables: Mapping[str, SchemaTable], name: str, *, place: str) -> SchemaTable:
    """Return the table of that name, with its schema or without.

    Raises:
        UsageError: there is none, or there are several.
    """
    found = [table for table in tables.values() if name in (table.name, table.full_name)]
    if len(found) > 1:
        names = " and ".join(table.full_name for table in found)
        raise UsageError(f"{place}: {quote(name)} may be {names}", hint="Name it with its schema.")
    if not found:
        names_known = [table.name for table in tables.values()]
        few = ", ".join(names_known[:8]) + (", ..." if len(names_known) > 8 else "")
        raise UsageError(
            f"{place}: there is no table {quote(name)}", hint=suggest(name, names_known, otherwise=f"There are: {few}.")
        )
    return found[0]

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
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from integrity.errors import UsageError, quote
from integrity.seeds.schema.tables import SchemaTable
from integrity.seeds.settings import Share, Strict
from integrity.suggestion import suggest
from integrity.wording import tell_mistake

ROWS_MOST = 1_000_000_000
Scalar = str | int | float | bool | date
Shares = dict[str, Annotated[float, Field(gt=0)]]


class ColumnWishes(Strict):
    """[tables.<table>.columns.<column>].

    Args:
        values: those that it takes, alike often, or each with its share.
        least, most: the bounds of a number or a time.
        nulls: the share of rows in which it is null.
        skew: 0 draws evenly; with 1, 2, ... ever more rows fall on ever fewer values, or parents.
    """

    values: Annotated[tuple[Scalar, ...], Field(min_length=1)] | Annotated[Shares, Field(min_length=1)] | None = None
    least: int | float | date | None = None
    most: int | float | date | None = None
    nulls: Share | None = None
    skew: Annotated[int, Field(ge=0, le=8)] = 0

    @model_validator(mode="after")
    def _bounds_fit(self) -> Self:
        if self.least is not None and self.most is not None:
            if isinstance(self.least, date) != isinstance(self.most, date):
                raise ValueError("least and most must both be numbers, or both be days")
            if self.least > self.most:  # type: ignore[operator] # both are of one kind
                raise ValueError(f"least, {self.least}, is more than most, {self.most}")
        return self

    @property
    def is_bounded(self) -> bool:
        """It says least, or most."""
        return self.least is not None or self.most is not None


class TableWishes(Strict):
    """[tables.<table>].

    Args:
        rows: how many.
        per: so many for each row of a parent: {"orders": 3.5}.
    """

    rows: Annotated[int, Field(ge=0, le=ROWS_MOST)] | None = None
    per: dict[str, Annotated[float, Field(gt=0, le=1_000_000)]] = Field(default_factory=dict)
    columns: dict[str, ColumnWishes] = Field(default_factory=dict)

    @field_validator("per")
    @classmethod
    def _is_of_one(cls, per: dict[str, float]) -> dict[str, float]:
        if len(per) > 1:
            raise ValueError(f"rows follow from one table, not from {len(per)}: {', '.join(per)}")
        return per

    @model_validator(mode="after")
    def _is_told_once(self) -> Self:
        if self.rows is not None and self.per:
            raise ValueError("it says rows and per: one of them only")
        return self


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


@dataclass(frozen=True, slots=True)
class Place:
    """Where wishes stand, for messages.

    Args:
        file, text: their file, and what it says; none where all were given on the command line.
    """

    file: Path | None = None
    text: str = ""

    def at(self, *path: str) -> str:
        """Return the file and line of a wish, told by its keys; one of the command line's is of --rows."""
        given: Any = tomllib.loads(self.text)
        for part in path:
            given = given.get(part) if isinstance(given, dict) else None
        return "--rows" if self.file is None or given is None else f"{self.file}:{_line_of(self.text, path)}"


ON_THE_LINE = Place()


def read_wishes(file: Path) -> tuple[Wishes, Place]:
    """Return what the file says, and where.

    Raises:
        UsageError: it cannot be read, or says what cannot be; with the line.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
        given = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        hint = "docs/your-own-tables.md shows one." if isinstance(error, OSError) else None
        raise UsageError(f"{file}: cannot be read: {reason}", hint=hint) from None
    try:
        return Wishes.model_validate(given), Place(file, text)
    except ValidationError as error:
        raise _mistake(error, file, text, given) from None


def _mistake(error: ValidationError, file: Path, text: str, given: Any) -> UsageError:
    """Return what the first wrong value is, in the words of the file."""
    errors: Sequence[Any] = sorted(error.errors(include_url=False), key=lambda each: -len(_path_in(given, each["loc"])))
    path = _path_in(given, errors[0]["loc"])
    if errors[0]["type"] == "extra_forbidden":
        what = f"{'.'.join(path[:-1]) or 'the file'} has no setting {quote(path[-1])}"
        hint = suggest(path[-1], _known(path), otherwise=f"There are: {', '.join(_known(path))}.")
    else:
        of_it = [each for each in errors if _path_in(given, each["loc"]) == path]
        what, hint = f"{'.'.join(path)}: {tell_mistake(of_it, is_shown=True)}", "docs/your-own-tables.md has them all."
    return UsageError(f"{file}:{_line_of(text, path)}: {what}", hint=hint)


def _path_in(given: Any, loc: Sequence[Any]) -> list[str]:
    """Return the keys of a value as far as the file has them: behind them pydantic names what it could be."""
    path: list[str] = []
    for part in loc:
        if isinstance(given, dict) and part in given:
            given = given[part]
            path.append(str(part))
    return path


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

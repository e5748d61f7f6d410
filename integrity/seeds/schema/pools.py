"""Pools: a few hundred rows of some columns of a table that the server has accepted, which its rows draw from.

Columns that a check ties together stand in one pool; a column that nothing ties to others has one of its own. A foreign
key's column may be tied in, too: of it a pool says only whether it is null.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from integrity.errors import UsageError, quote
from integrity.numbers import counted
from integrity.seeds.schema.dice import Dice
from integrity.seeds.schema.guide import Guide, Row
from integrity.seeds.schema.judge import Judged, judge
from integrity.seeds.schema.tables import Check, Column, SchemaTable
from integrity.seeds.schema.texts import NUMBERS, TIMES, make_text, write_time
from integrity.seeds.schema.wishes import ColumnWishes, Wishes
from integrity.sql.query import find_tree

if TYPE_CHECKING:
    import psycopg

ROWS_WANTED = 400
CANDIDATES = (600, 4_000)
"""How many candidates are made, and how many more where too few of them pass."""
PASSED_LEAST = 40


@dataclass(frozen=True, slots=True)
class Pool:
    """Accepted rows.

    Args:
        forms: of each row, those of the columns; None is null.
        texts: the same as text.
    """

    columns: tuple[str, ...]
    forms: Sequence[tuple[bytes | None, ...]]
    texts: Sequence[Row]

    def __len__(self) -> int:
        return len(self.forms)

    def distinct(self) -> "Pool":
        """Return the pool with each row once."""
        rows = dict(zip(self.forms, self.texts, strict=True))
        return Pool(self.columns, list(rows), list(rows.values()))


def tie(table: SchemaTable, loose: Sequence[str], checks: Sequence[Check]) -> list[list[str]]:
    """Return groups of columns: those that checks tie together, directly or over others.

    Args:
        loose: the columns to be grouped; others that a check names tie nothing.
    """
    group = {name: [name] for name in loose}
    for check in checks:
        tied = [name for name in check.columns if name in group]
        for name in tied[1:]:
            first, second = group[tied[0]], group[name]
            if first is not second:
                first += second
                for each in second:
                    group[each] = first
    seen: list[list[str]] = []
    for members in group.values():
        if not any(members is other for other in seen):
            seen.append(members)
    order = list(table.columns)
    return [sorted(members, key=order.index) for members in seen]


class Candidates:
    """Makes candidate rows of some columns of a table.

    Args:
        columns: all that the checks name.
        stand_ins: values of columns that are made elsewhere, by column; one is drawn a row.
    """

    def __init__(
        self,
        table: SchemaTable,
        columns: Sequence[Column],
        checks: Sequence[Check],
        *,
        wishes: Wishes,
        stand_ins: Mapping[str, Sequence[str]],
        dice: Dice,
    ) -> None:
        self._table, self._columns, self._wishes, self._dice = table, columns, wishes, dice
        self._stand_ins = stand_ins
        self._trees = [tree for check in checks if (tree := find_tree(check.text)) is not None]
        self._guide = Guide({column.name: column for column in columns}, self._fresh_named, dice)
        self._by_name = {column.name: column for column in columns}
        self.unknown = [column for column in columns if column.name not in stand_ins and self._fresh(column) is None]

    def make(self, count: int, given: Mapping[str, str] = MappingProxyType({})) -> list[Row]:
        """Return candidate rows.

        Args:
            given: column -> the value that it has in all of them, of those that it is wished to have.
        """
        return [self._make_row(given) for _ in range(count)]

    def _make_row(self, given: Mapping[str, str]) -> Row:
        row: Row = {}
        for column in self._columns:
            wish = self._wishes.of_column(self._table, column.name)
            share = self._wishes.nulls if wish.nulls is None else wish.nulls
            is_null = not column.is_required and self._dice.chance(share)
            row[column.name] = None if is_null else self._fresh(column)
        row.update(given)
        wished = dict(row)
        for tree in self._trees:
            self._guide.lead(tree, row)
        for column in self._columns:
            if not lies_in(self._wishes.of_column(self._table, column.name), column, row[column.name]):
                row[column.name] = wished[column.name]
        for column in self._columns:
            if column.is_required and row[column.name] is None:
                row[column.name] = self._fresh(column)
        return row

    def _fresh_named(self, name: str) -> str | None:
        return self._fresh(self._by_name[name]) if name in self._by_name else None

    def _fresh(self, column: Column) -> str | None:
        if column.name in self._stand_ins:
            return self._dice.choose(self._stand_ins[column.name])
        wish = self._wishes.of_column(self._table, column.name)
        if wish.values is not None:
            return draw_wished(wish, self._dice)
        if wish.least is not None or wish.most is not None:
            return draw_between(wish, column, self._dice, self._wishes)
        return make_text(column, self._dice, self._wishes.days.first, self._wishes.days.count)


def lies_in(wish: ColumnWishes, column: Column, text: str | None) -> bool:
    """Whether a value to which a check has led is one that is wished: of a list it is not asked, it is drawn from it."""
    if wish.values is not None or text is None:
        return wish.values is None
    try:
        value = text[:10] if column.type.base in TIMES else float(text)
    except ValueError:
        return True  # what it is, the server says
    bounds = [str(each) if isinstance(value, str) and each is not None else each for each in (wish.least, wish.most)]
    least, most = bounds
    return (least is None or least <= value) and (most is None or value <= most)  # type: ignore[operator] # alike


def draw_wished(wish: ColumnWishes, dice: Dice) -> str:
    """Return one of the values that a column is wished to have, as often as its share says."""
    values = wish.values or ()
    if not isinstance(values, dict):
        place = len(values)
        for _ in range(wish.skew + 1):
            place = dice.below(max(1, place))
        return spell(values[place])
    at = dice.below(1_000_000) / 1_000_000 * sum(values.values())
    for value, share in values.items():
        at -= share
        if at < 0:
            return value
    return next(iter(values))


def draw_between(wish: ColumnWishes, column: Column, dice: Dice, wishes: Wishes) -> str:
    """Return a value of a column between the bounds that are wished."""
    if column.type.base in TIMES:
        from datetime import UTC, date, datetime, timedelta

        days = wishes.days
        bounds = [
            datetime.combine(each if isinstance(each, date) else other, datetime.min.time(), UTC)
            for each, other in ((wish.least, days.first), (wish.most, days.first + timedelta(days=days.count)))
        ]
        seconds = max(1, int((bounds[1] - bounds[0]).total_seconds()))
        return write_time(bounds[0] + timedelta(seconds=skewed(seconds, wish.skew, dice)), column.type.base)
    scale = max(0, column.type.precision[1]) if column.type.base == "numeric" else 0
    least = float(wish.least) if isinstance(wish.least, int | float) else 0.0
    most = float(wish.most) if isinstance(wish.most, int | float) else least + 1000
    units = 10 ** (scale if column.type.base in ("numeric", *NUMBERS[:3]) else 3)
    drawn = round(least * units) + skewed(max(1, round((most - least) * units) + 1), wish.skew, dice)
    return str(drawn) if units == 1 else f"{drawn / units:.{len(str(units)) - 1}f}"


def skewed(size: int, skew: int, dice: Dice) -> int:
    """Return a number below size: the more skew, the more often a small one."""
    for _ in range(skew):
        size = dice.below(size) + 1
    return dice.below(size)


def spell(value: object) -> str:
    """Return a wished value as the server takes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def fill_pool(
    connection: "psycopg.Connection[Any]",
    table: SchemaTable,
    names: Sequence[str],
    *,
    checks: Sequence[Check],
    wishes: Wishes,
    stand_ins: Mapping[str, Sequence[str]],
    dice: Dice,
) -> Pool:
    """Return rows of the columns that the server accepts.

    Args:
        names: the pool's.
        checks: those that name one of them.

    Raises:
        UsageError: it accepts none; says which check refused them, and what to write in the file.
    """
    wanted = dict.fromkeys((*names, *(each for check in checks for each in check.columns)))
    columns = [table.columns[name] if name in names else table.columns[name].required() for name in wanted]
    candidates = Candidates(table, columns, checks, wishes=wishes, stand_ins=stand_ins, dice=dice)
    for column in candidates.unknown:
        raise _no_values(table, column)
    best, asked = Pool(tuple(names), [], []), 0
    for count in CANDIDATES:
        rows = candidates.make(count)
        judged, asked = judge(connection, columns, checks, rows), asked + count
        if len(judged.passed) > len(best):
            kept = judged.passed[:ROWS_WANTED]
            forms = [row_forms[: len(names)] for _, row_forms in kept]
            best = Pool(tuple(names), forms, [rows[place] for place, _ in kept])
        if len(best) >= PASSED_LEAST or (best.forms and not checks):
            break
    if not best.forms:
        raise _none_passes(table, columns, checks, judged=judged, asked=asked)
    for column in columns:
        for value in _unseen(wishes.of_column(table, column.name), best, column.name):
            judged = judge(connection, columns, checks, candidates.make(PASSED_LEAST, {column.name: value}))
            if not judged.passed:
                raise _none_passes(table, columns, checks, judged=judged, asked=PASSED_LEAST, given={column.name: value})
    return best


def _unseen(wish: ColumnWishes, pool: Pool, name: str) -> list[str]:
    """Return the values that a column is wished to have, and of which the pool has none: few are wished, or none passes."""
    if wish.values is None or name not in pool.columns:
        return []
    seen = {row[name] for row in pool.texts}
    return [text for text in map(spell, wish.values) if text not in seen]


def _no_values(table: SchemaTable, column: Column) -> UsageError:
    return UsageError(
        f"{table.full_name}.{column.name}: no values are known of the type {column.type.name}",
        hint=f"Write some in the seeds file: [tables.{table.name}.columns.{column.name}] values = [...]",
    )


def _none_passes(
    table: SchemaTable,
    columns: Sequence[Column],
    checks: Sequence[Check],
    *,
    judged: Judged,
    asked: int,
    given: Mapping[str, str] = MappingProxyType({}),
) -> UsageError:
    refused = max(checks, key=lambda check: judged.failed[check.name], default=None)
    name = columns[0].name
    if judged.error:
        said = f"the server says of every value that was tried: {judged.error}"
    elif refused is not None:
        name = refused.columns[0] if refused.columns else name
        said = f"none of {counted(asked, 'row')} that were tried passes check {quote(refused.name)}: {refused.text}"
    else:
        said = "no value that was tried is one"
    named = [f"{column.name} = {quote(given[column.name])}" if column.name in given else column.name for column in columns]
    return UsageError(
        f"{table.full_name} ({', '.join(named)}): {said}",
        hint=f"Write values that pass in the seeds file: [tables.{table.name}.columns.{name}] values = [...]",
    )

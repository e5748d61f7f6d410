"""What makes a table's rows differ in its unique constraints: a number, one within a group, or that they are picked."""

from collections.abc import Sequence
from datetime import date

from integrity.errors import UsageError, quote
from integrity.numbers import counted
from integrity.seeds.schema.guide import Row
from integrity.seeds.schema.judge import judge
from integrity.seeds.schema.numbering import Numbering, of_forms, seed_of, ways
from integrity.seeds.schema.numbers import INTEGERS
from integrity.seeds.schema.plan import Ground, Plan
from integrity.seeds.schema.pools import Candidates, lies_in
from integrity.seeds.schema.tables import Check, Column, Unique
from integrity.seeds.schema.texts import TEXTS
from integrity.sql.query import find_tree

NUMBERED_SAMPLE = 200
RANKABLE = (*INTEGERS, "date", "numeric")


class Distinction:
    """Adds to a table's plan what its rows differ by."""

    def __init__(self, ground: Ground, plan: Plan, checks: Sequence[Check]) -> None:
        self._ground, self._plan, self._checks = ground, plan, checks
        self._table, self._wishes = plan.table, ground.wishes

    def tell_apart(self) -> None:
        """Decide for each unique constraint what makes rows differ in it."""
        plan, table = self._plan, self._table
        taken = self._plan.parents_columns
        spaced = {name for spans in plan.spaced for name in (spans.start, spans.end)}
        for unique in sorted((*table.uniques, *plan.uniques), key=lambda each: (len(each.columns), not each.is_primary)):
            if any(name in plan.numbered for name in unique.columns):
                continue
            if unique.takes_nulls and not self._plan.left_null.isdisjoint(unique.columns):
                continue  # no two rows are alike in it
            if not set(unique.columns).isdisjoint(spaced) and not unique.predicate:
                continue  # no two of them begin alike within the same others, and otherwise the rows are picked
            own = [
                table.columns[name]
                for name in unique.columns
                if name in table.columns
                and name not in taken
                and not table.columns[name].is_generated
                and name not in spaced
            ]
            if any(table.columns[name].is_generated for name in unique.columns) and not own:
                continue  # of what the server computes of other columns nothing is known
            if any(name in plan.ranked for name in unique.columns):
                plan.uniques = [*plan.uniques, unique]
                continue
            self._tell_apart_by(unique, own)
        plan.uniques = list(dict.fromkeys(plan.uniques))

    def _tell_apart_by(self, unique: Unique, own: Sequence[Column]) -> None:
        plan = self._plan
        wished = [each for each in own if self._wishes.of_column(self._table, each.name).values is not None]
        free = [each for each in own if each not in wished]
        if len(unique.columns) == 1 and own and not unique.predicate:
            self._number(unique, own[0])
            return
        for column in free:
            if column.sequence and (numbering := self._find_numbering(column)) is not None:
                plan.numbered[column.name] = numbering
                return
        if len(unique.columns) > 1:
            for column in free:
                if column.type.base in RANKABLE and not unique.has_expressions and self._rank(unique, column):
                    return
        for base in (TEXTS[:5], ("uuid", *INTEGERS), ("timestamptz", "timestamp", "numeric", "date")):
            for column in free:
                if column.type.base in base and not column.type.is_array and not self._is_tied(column):
                    numbering = self._find_numbering(column)
                    if numbering is not None:
                        plan.numbered[column.name] = numbering
                        return
        plan.uniques.append(unique)

    def _is_tied(self, column: Column) -> bool:
        """A check holds it to other columns."""
        return any(column.name in check.columns and len(check.columns) > 1 for check in self._checks)

    def _rank(self, unique: Unique, column: Column) -> bool:
        """Count a column within rows alike in the others, if its checks take the first numbers."""
        if self._is_tied(column) or column.name in self._plan.ranked or unique.predicate:
            return False
        numbering = self._find_numbering(column, count=50)
        if numbering is None:
            return False
        others = tuple(name for name in unique.columns if name != column.name)
        self._plan.ranked[column.name] = (others, numbering)
        return True

    def _number(self, unique: Unique, column: Column) -> None:
        plan, table = self._plan, self._table
        wish = self._wishes.of_column(table, column.name)
        numbering = None if wish.values is not None else self._find_numbering(column)
        if numbering is None:
            numbering = self._from_candidates(column)
        if numbering.capacity < plan.count:
            if plan.is_named:
                raise UsageError(
                    f"{table.full_name}.{column.name}: {counted(plan.count, 'row')} cannot all differ, as "
                    f"{quote(unique.name)} wants: {numbering.capacity:,} values are found",
                    hint=f"Ask for fewer rows, or write more: [tables.{table.name}.columns.{column.name}] values = [...]",
                )
            plan.count = numbering.capacity
        plan.numbered[column.name] = numbering

    def _find_numbering(self, column: Column, *, count: int | None = None) -> Numbering | None:
        """Return the first way to number a column that its checks take; None: none does."""
        count = max(1, self._plan.count if count is None else count)
        checks = [check for check in self._checks if check.columns == (column.name,)]
        starts = [number for check in checks for number in _whole_literals(check)]
        wish = self._wishes.of_column(self._table, column.name)
        first_day = wish.least if isinstance(wish.least, date) else self._wishes.days.first
        if isinstance(wish.least, int):
            starts.insert(0, wish.least)
        name = (self._ground.seed, seed_of(self._table.full_name), seed_of(column.name))
        for way in ways(column, count, starts=starts, first_day=first_day, name=name):
            ends = [way.tell(0), way.tell(count - 1)] if wish.is_bounded and way.capacity >= count else []
            if way.capacity < count or not all(lies_in(wish, column, end) for end in ends):
                continue
            step = max(1, count // NUMBERED_SAMPLE)
            sample = [*range(0, count, step), count - 1]
            if not checks:
                return way
            rows: list[Row] = [{column.name: way.tell(number)} for number in sample]
            judged = judge(self._ground.connection, [column], checks, rows)
            if len(judged.passed) == len(sample):
                return way
        return None

    def _from_candidates(self, column: Column) -> Numbering:
        """Return a numbering by different values that the server accepts, as many as are found."""
        checks = [check for check in self._checks if check.columns == (column.name,)]
        dice = self._ground.dice(self._table, f"{column.name} apart")
        candidates = Candidates(self._table, [column.required()], checks, wishes=self._wishes, stand_ins={}, dice=dice)
        if candidates.unknown:
            raise UsageError(
                f"{self._table.full_name}.{column.name}: no values are known of the type {column.type.name}",
                hint=f"Write some: [tables.{self._table.name}.columns.{column.name}] values = [...]",
            )
        wanted = self._plan.count
        wish = self._wishes.of_column(self._table, column.name)
        found: dict[bytes, str] = {}
        if column.type.labels and wish.values is None:
            rows: list[Row] = [{column.name: label} for label in column.type.labels]
        elif wish.values is not None:
            rows = [{column.name: str(value)} for value in wish.values]
        else:
            rows = candidates.make(min(400_000, 4 * wanted + 400))
        rows = _distinct(rows, column.name)
        for place, (form, *_) in judge(self._ground.connection, [column], checks, rows).passed:
            if form is not None:
                found.setdefault(form, str(rows[place][column.name]))
        return of_forms(column, list(found), list(found.values()))


def _whole_literals(check: Check) -> list[int]:
    """Return the whole numbers that stand in a check, and those after them."""
    from sqlglot import exp

    tree = find_tree(check.text)
    found: list[int] = []
    for literal in tree.find_all(exp.Literal) if tree is not None else ():
        try:
            number = int(str(literal.this))
        except ValueError:
            continue
        found += [number, number + 1]
    return [number for number in found if 0 <= number < 2**40]


def _distinct(rows: Sequence[Row], name: str) -> list[Row]:
    return list({row[name]: row for row in rows}.values())

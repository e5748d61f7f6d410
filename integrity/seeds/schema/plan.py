"""How each column of a table is made, decided before anything is written: what cannot be is named here.

numbered   told apart by the row's number: keys and codes
ranked     counted within rows that are alike in other columns: the lines of an order
spaced     the two ends of spans that must not overlap
taken      a foreign key's: the parent's values
pooled     drawn from rows that the server has accepted
drawn      numbers and times that nothing is asked of
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from integrity.errors import UsageError, quote
from integrity.numbers import counted
from integrity.seeds.schema.computed import spelled_out
from integrity.seeds.schema.dice import Dice
from integrity.seeds.schema.guide import Row
from integrity.seeds.schema.judge import judge
from integrity.seeds.schema.keys import suits
from integrity.seeds.schema.numbering import Numbering, of_forms, seed_of, ways
from integrity.seeds.schema.numbers import INTEGERS
from integrity.seeds.schema.pools import Candidates, Pool, fill_pool, tie
from integrity.seeds.schema.tables import Check, Column, Exclusion, Reference, SchemaTable, Unique
from integrity.seeds.schema.texts import TEXTS, TIMES, make_text
from integrity.seeds.schema.wishes import Wishes
from integrity.sql.query import find_tree

if TYPE_CHECKING:
    import psycopg

NUMBERED_SAMPLE = 200
NATIVE = ("int2", "int4", "int8", "numeric", "float4", "float8", "bool", "uuid", "timestamptz", "timestamp", "date")
COUNTABLE = (*INTEGERS, "numeric", "uuid", "timestamptz", "timestamp", "date", "bytea", *TEXTS[:5], "float8")
RANKABLE = (*INTEGERS, "date", "numeric")


@dataclass(frozen=True, slots=True)
class Spans:
    """What keeps spans apart: within rows alike in some columns, each begins where the last has ended.

    Args:
        alike: the columns that are compared for equality.
        start, end: the columns of the two ends; the same one: it is a range.
    """

    name: str
    alike: tuple[str, ...]
    start: str
    end: str


@dataclass(slots=True)
class Plan:
    """How a table's columns are made.

    Args:
        count: the rows that are wanted.
        is_named: somebody asked for that many: fewer are an error.
        conditions: checks over columns that are not drawn from one pool, to be seen to when rows are put together.
        uniques: those that rows have to be picked for.
        ranked: column -> those within which it counts, and its way of numbering.
    """

    table: SchemaTable
    count: int
    is_named: bool
    numbered: dict[str, Numbering] = field(default_factory=dict)
    ranked: dict[str, tuple[tuple[str, ...], Numbering]] = field(default_factory=dict)
    spaced: list[Spans] = field(default_factory=list)
    taken: list[Reference] = field(default_factory=list)
    pools: list[Pool] = field(default_factory=list)
    drawn: list[Column] = field(default_factory=list)
    conditions: list[Check] = field(default_factory=list)
    uniques: list[Unique] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def checks_of(table: SchemaTable) -> list[Check]:
    """Return all checks of a table, those of its columns' domains among them."""
    domains = [
        Check(f"{column.name}: its domain", text, (column.name,)) for column in table.written for text in column.checks
    ]
    return [*(spelled_out(table, check) for check in table.checks), *domains]


@dataclass(frozen=True, slots=True)
class Ground:
    """What all tables are planned on.

    Args:
        sizes: table -> rows, of all that are filled; those that hold rows already are not among them.
    """

    connection: "psycopg.Connection[Any]"
    tables: Mapping[str, SchemaTable]
    sizes: Mapping[str, int]
    wishes: Wishes
    seed: int


class Planner:
    """Plans one table."""

    def __init__(self, ground: Ground, table: SchemaTable) -> None:
        self._connection, self._tables, self._sizes = ground.connection, ground.tables, ground.sizes
        self._table, self._wishes, self._seed = table, ground.wishes, ground.seed
        self._checks = checks_of(table)
        wish = ground.wishes.of(table)
        self._plan = Plan(table, ground.sizes[table.full_name], is_named=wish.rows is not None)

    def plan(self) -> Plan:
        """Return the plan.

        Raises:
            UsageError: what cannot be satisfied: table, column, constraint, and what to write in the seeds file.
        """
        plan = self._plan
        self._take_references()
        self._space_out()
        self._tell_apart()
        self._pool_the_rest()
        return plan

    @property
    def _parents_columns(self) -> set[str]:
        return {name for reference in self._plan.taken for name in reference.gives(self._table.full_name)}

    @property
    def _left_null(self) -> set[str]:
        """The columns of foreign keys that refer to nothing here."""
        references = (*self._table.references, *self._table.outside)
        names = {name for reference in references if reference not in self._plan.taken for name in reference.columns}
        return {name for name in names - self._parents_columns if not self._table.columns[name].is_required}

    def _take_references(self) -> None:
        table = self._table
        for reference in table.outside:
            if all(table.columns[name].is_required for name in reference.columns):
                schema = reference.parent.rpartition(".")[0] or "public"
                raise UsageError(
                    f"{table.full_name}: foreign key {quote(reference.name)} refers to {reference.parent}, outside the "
                    "schemas that are seeded",
                    hint=f"Add --schema {schema}",
                )
        for reference in table.references:
            parent = self._tables[reference.parent]
            is_held = parent.is_filled and reference.parent not in self._sizes
            if not is_held and not self._sizes.get(reference.parent):
                if all(table.columns[name].is_required for name in reference.columns):
                    raise UsageError(
                        f"{table.full_name}: foreign key {quote(reference.name)} needs rows of {parent.full_name}, "
                        "which is to get none",
                        hint=f"Give it some: --rows {parent.name}=N",
                    )
                continue
            if self._is_in_a_circle(reference):
                continue  # it is left null, and the columns that it shares with other keys are made without it
            for name, parent_name in zip(reference.columns, reference.parent_columns, strict=True):
                if not suits(table.columns[name], parent.columns[parent_name]):
                    raise UsageError(
                        f"{table.full_name}.{name}: foreign key {quote(reference.name)} refers to another type, "
                        f"{parent.columns[parent_name].type.name}",
                        hint=f"Its rows cannot be made here: --rows {table.name}=0 leaves it empty.",
                    )
            self._plan.taken.append(reference)
        self._plan.taken.sort(key=lambda each: (each.parent == table.full_name, -len(each.columns), each.name))

    def _is_in_a_circle(self, reference: Reference) -> bool:
        """Whether it may be null in some of its columns, and the parent's rows need those of this table."""
        required = [name for name in reference.columns if self._table.columns[name].is_required]
        if not required or len(required) == len(reference.columns) or reference.is_whole:
            return False
        needed, asked = set[str](), [reference.parent]
        while asked:
            parent = asked.pop()
            if parent not in needed and parent in self._sizes:
                needed.add(parent)
                columns = self._tables[parent].columns
                asked += [
                    each.parent
                    for each in self._tables[parent].references
                    if each.parent != parent and all(columns[name].is_required for name in each.columns)
                ]
        return self._table.full_name in needed and reference.parent != self._table.full_name

    def _space_out(self) -> None:
        for exclusion in self._table.exclusions:
            spans = self._spans_of(exclusion)
            if spans is not None:
                self._plan.spaced.append(spans)
            elif all(operator == "=" for _, operator, _ in exclusion.parts):
                columns = tuple(dict.fromkeys(name for _, _, names in exclusion.parts for name in names))
                self._plan.uniques.append(Unique(exclusion.name, columns, exclusion.predicate))
            else:
                parts = ", ".join(f"{text} with {operator}" for text, operator, _ in exclusion.parts)
                raise UsageError(
                    f"{self._table.full_name}: exclusion constraint {quote(exclusion.name)} ({parts}) is of a kind that is "
                    "not known here",
                    hint="Known are = and && over ranges of whole numbers, days and times; "
                    f"--rows {self._table.name}=0 leaves the table empty.",
                )

    def _spans_of(self, exclusion: Exclusion) -> Spans | None:
        columns = self._table.columns
        overlapping = [part for part in exclusion.parts if part[1] == "&&"]
        alike = tuple(name for _, operator, names in exclusion.parts if operator == "=" for name in names)
        if len(overlapping) != 1 or any(operator not in ("=", "&&") for _, operator, _ in exclusion.parts):
            return None
        text, _, names = overlapping[0]
        if len(names) == 1 and columns[names[0]].type.base in _SPANNED:
            return Spans(exclusion.name, alike, names[0], names[0])
        ends = sorted(names, key=text.find)
        kinds = {columns[name].type.base for name in ends}
        if len(ends) == 2 and len(kinds) == 1 and kinds <= {*TIMES, *INTEGERS}:
            return Spans(exclusion.name, alike, ends[0], ends[1])
        return None

    def _tell_apart(self) -> None:
        """Decide for each unique constraint what makes rows differ in it."""
        plan, table = self._plan, self._table
        taken = self._parents_columns
        spaced = {name for spans in plan.spaced for name in (spans.start, spans.end)}
        for unique in sorted((*table.uniques, *plan.uniques), key=lambda each: (len(each.columns), not each.is_primary)):
            if any(name in plan.numbered for name in unique.columns):
                continue
            if unique.takes_nulls and not self._left_null.isdisjoint(unique.columns):
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
        name = (self._seed, seed_of(self._table.full_name), seed_of(column.name))
        for way in ways(column, count, starts=starts, first_day=self._wishes.days.first, name=name):
            if way.capacity < count:
                continue
            step = max(1, count // NUMBERED_SAMPLE)
            sample = [*range(0, count, step), count - 1]
            if not checks:
                return way
            judged = judge(self._connection, [column], checks, [{column.name: way.tell(number)} for number in sample])
            if len(judged.passed) == len(sample):
                return way
        return None

    def _from_candidates(self, column: Column) -> Numbering:
        """Return a numbering by different values that the server accepts, as many as are found."""
        checks = [check for check in self._checks if check.columns == (column.name,)]
        dice = self._dice(f"{column.name} apart")
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
        for place, (form, *_) in judge(self._connection, [column], checks, rows).passed:
            if form is not None:
                found.setdefault(form, str(rows[place][column.name]))
        return of_forms(column, list(found), list(found.values()))

    def _pool_the_rest(self) -> None:
        plan, table = self._plan, self._table
        taken = self._parents_columns
        spaced = {name for spans in plan.spaced for name in (spans.start, spans.end)}
        made = taken | spaced | set(plan.numbered) | set(plan.ranked)
        rest: list[str] = []
        for column in table.written:
            if column.name in made:
                continue
            tied = [check for check in self._checks if column.name in check.columns]
            wish = self._wishes.of_column(table, column.name)
            is_known = make_text(column, self._dice("probe"), self._wishes.days.first, 1) is not None
            if column.name in self._left_null or (
                not is_known and wish.values is None and (column.default or not column.is_required)
            ):
                plan.left_out.append(column.name)  # null, or the column's default
            elif not tied and wish == type(wish)() and self._is_native(column):
                plan.drawn.append(column)
            else:
                rest.append(column.name)
        nullable = {name for name in taken if not table.columns[name].is_required}
        rest_set = set(rest)
        checked = {name for check in self._checks for name in check.columns}
        loose = [*rest, *(name for name in table.columns if name in nullable & checked)]
        for names in tie(table, loose, self._checks):
            checks = [check for check in self._checks if not set(names).isdisjoint(check.columns)]
            others = {name for check in checks for name in check.columns} - rest_set
            stand_ins = {name: self._stand_ins(table.columns[name]) for name in (others | set(names)) - rest_set}
            dice = self._dice(" ".join(names))
            pool = fill_pool(
                self._connection, table, names, checks=checks, wishes=self._wishes, stand_ins=stand_ins, dice=dice
            )
            is_unique = any(not set(names).isdisjoint(unique.columns) for unique in plan.uniques)
            plan.pools.append(pool.distinct() if is_unique else pool)
        plan.conditions = [
            check
            for check in self._checks
            if not taken.isdisjoint(check.columns) or (len(check.columns) > 1 and not made.isdisjoint(check.columns))
        ]

    def _is_native(self, column: Column) -> bool:
        in_unique = any(column.name in unique.columns for unique in self._plan.uniques)
        return column.type.base in NATIVE and not column.type.is_array and not in_unique

    def _stand_ins(self, column: Column) -> list[str]:
        """Return values like those that a column will have that is made elsewhere."""
        numbering = self._plan.numbered.get(column.name)
        if numbering is None and column.name in self._plan.ranked:
            numbering = self._plan.ranked[column.name][1]
        if numbering is not None:
            return [numbering.tell(number) for number in range(min(50, numbering.capacity))]
        dice = self._dice(f"{column.name} elsewhere")
        texts = [make_text(column, dice, self._wishes.days.first, self._wishes.days.count) for _ in range(50)]
        return [text for text in texts if text is not None]

    def _dice(self, about: str) -> Dice:
        return Dice(self._seed, seed_of(self._table.full_name), seed_of(about))


_SPANNED = ("int4range", "int8range", "daterange", "tsrange", "tstzrange")


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

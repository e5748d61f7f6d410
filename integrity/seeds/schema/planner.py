"""Planning a table before anything is written: what cannot be is named here, with what to write instead."""

from integrity.errors import UsageError, quote
from integrity.seeds.schema.apart import Distinction
from integrity.seeds.schema.keys import suits
from integrity.seeds.schema.numbers import INTEGERS
from integrity.seeds.schema.plan import Ground, Plan, Spans, checks_of
from integrity.seeds.schema.pools import fill_pool, tie
from integrity.seeds.schema.tables import Column, Exclusion, Reference, SchemaTable, Unique
from integrity.seeds.schema.texts import TIMES, make_text

NATIVE = ("int2", "int4", "int8", "numeric", "float4", "float8", "bool", "uuid", "timestamptz", "timestamp", "date")
_SPANNED = ("int4range", "int8range", "daterange", "tsrange", "tstzrange")


class Planner:
    """Plans one table."""

    def __init__(self, ground: Ground, table: SchemaTable) -> None:
        self._ground, self._tables, self._sizes = ground, ground.tables, ground.sizes
        self._table, self._wishes = table, ground.wishes
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
        Distinction(self._ground, plan, self._checks).tell_apart()
        self._pool_the_rest()
        return plan

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

    def _pool_the_rest(self) -> None:
        plan, table = self._plan, self._table
        taken = self._plan.parents_columns
        spaced = {name for spans in plan.spaced for name in (spans.start, spans.end)}
        made = taken | spaced | set(plan.numbered) | set(plan.ranked)
        rest: list[str] = []
        for column in table.written:
            if column.name in made:
                continue
            tied = [check for check in self._checks if column.name in check.columns]
            wish = self._wishes.of_column(table, column.name)
            is_known = make_text(column, self._ground.dice(self._table, "probe"), self._wishes.days.first, 1) is not None
            if column.name in self._plan.left_null or (
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
            dice = self._ground.dice(self._table, " ".join(names))
            pool = fill_pool(
                self._ground.connection, table, names, checks=checks, wishes=self._wishes, stand_ins=stand_ins, dice=dice
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
        dice = self._ground.dice(self._table, f"{column.name} elsewhere")
        texts = [make_text(column, dice, self._wishes.days.first, self._wishes.days.count) for _ in range(50)]
        return [text for text in texts if text is not None]

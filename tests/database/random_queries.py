"""Random queries over a random world: in the shapes that the planner knows, and one step beside them.

Each query is plain text in the words that PostgreSQL and SQLite have in common. All values are shown as text.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from tests.database.random_worlds import ATOMS, Column, RandomTable, RandomWorld

ALIASES = ("y", "z", '"Q"', '"q r"', "Z", "account", '"Entry"', "x", '"X"')


@dataclass(frozen=True)
class Joined:
    """A table as a query has it: `source` in its from clause, `name` before a column."""

    table: RandomTable
    source: str
    name: str


@dataclass
class QueryMaker:
    """Makes queries.

    Args:
        shapes: how often each shape was made.
    """

    random: Random
    world: RandomWorld
    is_sqlite: bool
    shapes: dict[str, int] = field(default_factory=dict)

    def make(self) -> str:
        shapes = (
            self.row_check, self.explained, self.duplicates, self.borrowed, self.balance, self.zero, self.pair, self.other
        )  # fmt: skip
        weights = (5, 2, 2, 1, 2, 1, 1, 2) if self.is_sqlite else (2, 3, 6, 4, 6, 3, 2, 2)
        shape = self.random.choices(shapes, weights)[0]
        self.shapes[shape.__name__] = self.shapes.get(shape.__name__, 0) + 1
        query = shape()
        return self._beside(query) if self.chance(0.12) else query

    def chance(self, p: float) -> bool:
        return self.random.random() < p

    def row_check(self) -> str:
        one = self._join(self.random.choice(self.world.tables), [])
        return f"select {self._shown([one])} from {one.source} where {self._conditions([one])}"

    def explained(self) -> str:
        """A row check with company."""
        joined, joins = self._joined(self.random.choice(self.world.tables), self.random.choice((1, 1, 2)))
        owners = joined if self.chance(0.25) else joined[:1]
        return f"select {self._shown(joined)} from {joined[0].source}{joins} where {self._conditions(owners)}"

    def duplicates(self) -> str:
        joined, joins = self._joined(self.random.choice(self.world.tables), self.random.choice((0, 0, 1, 1, 2)))
        first = joined[0]
        columns = [column for column in first.table.columns if column.role not in ("amount", "stored")]
        chosen = self.random.sample(columns, self.random.choice((1, 1, 1, 2)))
        if first.table.indexes and self.chance(0.75):  # what an index is over, or one less
            keys = self.random.choice(first.table.indexes).keys
            chosen = list(keys[self.chance(0.3) and len(keys) > 1 :])
        groups = [self._column(first, each) for each in chosen]
        where = f" where {self._conditions(joined)}" if self.chance(0.4) else ""
        counted = self._column(first, self.random.choice(first.table.columns)) if self.chance(0.2) else "*"
        return (
            f"select {_as_text(groups)}, count(*) as many{self._share(joined, 'max')} from {first.source}{joins}{where} "
            f"group by {', '.join(groups)} having count({counted}) > 1"
        )

    def borrowed(self) -> str:
        """Duplicates of what an index is over, under the index's conditions, on its table or on one that is joined."""
        indexes = [(table, index) for table in self.world.tables for index in table.indexes if index.atoms]
        if not indexes:
            return self.duplicates()
        strict = [(table, index) for table, index in indexes if index.is_strict]
        table, index = self.random.choice(strict if strict and self.chance(0.8) else indexes)
        first = self._join(table, [])
        keyed = [other for other in self.world.tables if other.key_is_primary]
        looked = self._join(self.random.choice(keyed if keyed and self.chance(0.8) else self.world.tables), [first])
        key, ref = looked.table.of("key"), table.of(self.random.choice(("ref", "ref", "key")))
        assert key is not None
        assert ref is not None
        on = f"{self._column(looked, key)} = {self._column(first, ref)}"
        groups = [self._column(first, each) for each in index.keys]
        asked = " and ".join(self._asked(role, atom, [first, looked, looked]) for role, atom in index.atoms)
        return (
            f"select {_as_text(groups)}, count(*) as many from {first.source} left join {looked.source} on {on} "
            f"where {asked} group by {', '.join(groups)} having count(*) > 1"
        )

    def balance(self) -> str:
        """What a parent stores, and the sum of its parts."""
        parent, parts = self.world.pair if self.chance(0.7) else self.random.choices(self.world.tables, k=2)
        first = self._join(parent, [])
        part = self._join(parts, [first])
        key, ref, amount = parent.of("key"), parts.of("ref"), parts.of("amount")
        assert key is not None
        assert ref is not None
        assert amount is not None
        own, stored = self._column(first, key), self._column(first, parent.of("stored") or key)
        on = f"{self._column(part, ref)} = {own}" + (f" and {self._condition(part)}" if self.chance(0.2) else "")
        condition = self._main_condition(part)
        on += f" and {condition}" if condition else ""
        joins = f" {'left join' if self.chance(0.8) else 'join'} {part.source} on {on}"
        joined = [first, part]
        if self.chance(0.3):
            looked = self._join(self.random.choice(self.world.tables), joined)
            joins += self._lookup(looked, first)
            joined.append(looked)
        # A heir's rows are not under the primary key: to group by it alone is to show any of them.
        groups = [own, *([] if parent.key_is_primary and not parent.heir and self.chance(0.7) else [stored])]
        where = f" where {self._conditions([first] if self.chance(0.7) else joined)}" if self.chance(0.35) else ""
        summed = self._aggregate(self._column(part, amount), [first, part])
        having = f"{stored} {self.random.choice(('<>', 'is distinct from'))} {summed}"
        if self.chance(0.25):
            more = ("count(*) > 1", f"count({self._column(part, ref)}) > 1", f"{stored} < -100", f"{own} is null")
            having = f"{having} or {self.random.choice(more)}" if self.chance(0.8) else f"{more[0]} or {more[1]}"
        return (
            f"select {_as_text([own])}, {self._beside_sum(summed)} as total from {first.source}{joins}{where} "
            f"group by {', '.join(dict.fromkeys(groups))} having {having}"
        )

    def zero(self) -> str:
        one = self._join(self.random.choice(self.world.tables), [])
        columns = [column for column in one.table.columns if column.role in ("ref", "kind", "key")]
        groups = [self._column(one, each) for each in self.random.sample(columns, self.random.choice((1, 1, 2)))]
        where = f" where {self._conditions([one])}" if self.chance(0.4) else ""
        amount = one.table.of("amount")
        assert amount
        summed = f"sum({self._column(one, amount)})"
        compared = self.random.choice((f"{summed} <> 0", f"{summed} is distinct from 0", f"coalesce({summed}, 0) <> 0"))
        return f"select {_as_text(groups)} from {one.source}{where} group by {', '.join(groups)} having {compared}"

    def pair(self) -> str:
        """What a parent stores, and its only part."""
        parent, parts = self.world.pair
        first = self._join(parent, [])
        part = self._join(parts, [first])
        key, ref, amount = parent.of("key"), parts.of("ref"), parts.of("amount")
        assert key is not None
        assert ref is not None
        assert amount is not None
        condition = self._main_condition(part)
        on = f"{self._column(part, ref)} = {self._column(first, key)}{f' and {condition}' if condition else ''}"
        stored, value = self._column(first, parent.of("stored") or key), self._column(part, amount)
        where = f"{stored} {self.random.choice(('<>', 'is distinct from'))} coalesce({value}, 0)"
        if self.chance(0.3):
            where = f"{self._condition(first)} and ({where}{' or ' + self._condition(part) if self.chance(0.3) else ''})"
        return f"select {self._shown([first, part])} from {first.source} left join {part.source} on {on} where {where}"

    def other(self) -> str:
        """What no proof is known for, or only seems to be: `with`, `using`, subqueries, unions."""
        one = self._join(self.random.choice(self.world.tables), [])
        key, ref = one.table.of("key"), one.table.of("ref")
        assert key is not None
        assert ref is not None
        condition, shown = self._condition(one), self._shown([one])
        first, second = self.world.tables[0].name, self.world.tables[1].name
        inner = f"select * from {one.table.name} as {one.name} where {condition}"
        forms = [
            f"with {one.table.name} as ({inner}) select {_as_text([key.name])} from {one.table.name} "
            f"where {key.name} is not null",
            f"with {first} as ({inner}) select {_as_text([key.name])} from {first} group by {key.name} having count(*) > 1",
            f"select {shown} from {one.source} where not exists (select 1 from {second} as w where {condition})",
            f"select {shown} from {one.source} where {condition} "
            f"union all select {shown} from {one.source} where {condition}",
            f"select {_as_text([key.name])} from {one.table.name} join {one.table.name} as w using ({key.name}) "
            f"where w.{ref.name} is null group by {key.name} having count(*) > 1",
            f"select {_as_text([key.name])} from (select {key.name} from {one.table.name}) as w group by {key.name} "
            "having count(*) > 1",
            f"select count(*) as n from {one.source} where {condition} having count(*) > 2",
            f"select {shown} from {one.source} cross join {second} as w where {condition}",
        ]
        return self.random.choice(forms)

    def _joined(self, table: RandomTable, count: int) -> tuple[list[Joined], str]:
        first = self._join(table, [])
        joined, joins = [first], ""
        for _ in range(count):
            looked = self._join(self.random.choice(self.world.tables), joined)
            joins += self._lookup(looked, self.random.choice(joined))
            joined.append(looked)
        return joined, joins

    def _lookup(self, looked: Joined, other: Joined) -> str:
        """Return the join of one row, more often than not, to another's."""
        of_own = self.random.choice(("key", "key", "key", "ref", "kind"))
        own, theirs = (
            looked.table.of(of_own),
            other.table.of("kind" if of_own == "kind" else self.random.choice(("ref", "key"))),
        )
        if own is None or theirs is None:
            own, theirs = looked.table.of("key"), other.table.of("ref")
        assert own is not None
        assert theirs is not None
        pair = [self._column(looked, own), self._column(other, theirs)]
        self.random.shuffle(pair)
        more = f" and {self._condition(looked if self.chance(0.8) else other)}" if self.chance(0.3) else ""
        kind = self.random.choices(("left join", "join", "full join"), (12, 2, 0 if self.is_sqlite else 1))[0]
        return f" {kind} {looked.source} on {' = '.join(pair)}{more}"

    def _join(self, table: RandomTable, others: Sequence[Joined]) -> Joined:
        taken = {_folded(other.name, self.is_sqlite) for other in others}
        source = table.name if self.is_sqlite or self.chance(0.8) else f"public.{table.name}"
        if _folded(table.name, self.is_sqlite) not in taken and self.chance(0.35):
            return Joined(table, source, table.name)
        free = [alias for alias in ALIASES if _folded(alias, self.is_sqlite) not in taken]
        alias = self.random.choice(free)
        return Joined(table, f"{source} {self.random.choice(('as ', ''))}{alias}", alias)

    def _column(self, of: Joined, column: Column) -> str:
        name, qualifier = column.name, of.name
        if self.chance(0.1) and not name.startswith('"'):
            name = name.upper()
        if self.chance(0.2) and not qualifier.startswith('"'):
            qualifier = qualifier.swapcase()
        return name if self.chance(0.05) else f"{qualifier}.{name}"

    def _main_condition(self, part: Joined) -> str:
        """Return the condition on the parts that the stored sums were mended for."""
        if not self.world.condition or part.table is not self.world.pair[1]:
            return ""
        column = part.table.of(self.world.condition[0])
        return self.world.condition[1].replace("{}", self._column(part, column)) if column and self.chance(0.8) else ""

    def _condition(self, of: Joined) -> str:
        known = [(role, atom) for role, atom in self.world.favourites if of.table.of(role)]
        if known and self.chance(0.65):
            role, atom = self.random.choice(known)
        else:
            role = self.random.choice([column.role for column in of.table.columns])
            atom = self.random.choice(ATOMS[role])
        column = of.table.of(role)
        assert column
        return atom.replace("{}", self._column(of, column))

    def _asked(self, role: str, atom: str, joined: Sequence[Joined]) -> str:
        of = self.random.choice([one for one in joined if one.table.of(role)])
        column = of.table.of(role)
        assert column is not None
        return atom.replace("{}", self._column(of, column))

    def _conditions(self, owners: Sequence[Joined]) -> str:
        parts = [self._condition(self.random.choice(owners)) for _ in range(self.random.choice((1, 1, 2, 2, 3)))]
        if len(parts) > 1 and self.chance(0.25):
            parts = [f"({parts[0]} or {parts[1]})", *parts[2:]]
        return " and ".join(f"not ({part})" if self.chance(0.07) else part for part in parts)

    def _aggregate(self, amount: str, filtered: Sequence[Joined]) -> str:
        """Return a sum or a count of the parts."""
        filters = f" filter (where {self._condition(self.random.choice(filtered))})" if self.chance(0.15) else ""
        summed = self.random.choices((f"sum({amount})", f"count({amount})", "count(*)", f"sum(-{amount})"), (8, 1, 1, 1))[0]
        summed = f"{summed}{filters}"
        return f"coalesce({summed}, 0)" if self.chance(0.75) else summed

    def _beside_sum(self, summed: str) -> str:
        return f"cast({summed} as text)" if self.chance(0.5) else "1"

    def _shown(self, joined: Sequence[Joined]) -> str:
        chosen = [(one, self.random.choice(one.table.columns)) for one in joined]
        return _as_text([self._column(one, column) for one, column in chosen]) + self._share(joined)

    def _share(self, joined: Sequence[Joined], aggregate: str = "") -> str:
        """Return, now and then, one more column, which fails where an amount is 0."""
        of = self.random.choice(joined)
        column = of.table.of("amount")
        if column is None or not self.chance(0.1):
            return ""
        return f", cast({aggregate}(100 / {self._column(of, column)}) as text) as share"

    def _beside(self, query: str) -> str:
        """Return a query that is nearly the same."""
        changes = [
            (" > 1", " > 2"), ("left join", "join"), ("select ", "select distinct "), (", 0)", ", 1)"), ("<>", "<"),
            ("count(*)", "max(1)"), ("group by ", "group by 1, "),
        ]  # fmt: skip
        if not self.is_sqlite:
            changes += [
                ("group by ", "group by distinct "),
                ("select ", "select cast(range_agg(int4range(1, 2)) as text) as r, "),
            ]
        usable = [(old, new) for old, new in changes if old in query]
        if self.chance(0.2) or not usable:
            return f"{query} {self.random.choice(('limit 1', 'limit 2 offset 1', 'order by 1', 'order by count(*)'))}"
        if not self.is_sqlite and " group by " in query and self.chance(0.3):
            before, _, after = query.partition(" group by ")
            groups, having, rest = after.partition(" having ")
            return f"{before} group by rollup ({groups}){having}{rest}"
        old, new = self.random.choice(usable)
        return query.replace(old, new, 1)


def _as_text(expressions: Sequence[str]) -> str:
    return ", ".join(f"cast({expression} as text) as c{number}" for number, expression in enumerate(expressions))


def _folded(name: str, is_sqlite: bool) -> str:
    return name.strip('"').lower() if is_sqlite or not name.startswith('"') else name.strip('"')

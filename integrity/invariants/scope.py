"""Scope: the tables of a query, what they are to each other, and expressions over them as a scan would spell them.

The first table of the from clause is the parent. A join that can add at most one row to it, because a unique index says so,
is a lookup; a join to the rows that are summed up or counted is the parts. Every column is resolved against the catalogue
to the one table that owns it, by its qualifier or, without one, where a single table has a column of that name.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from sqlglot import exp

from integrity.engines.facts import Column, Facts, Table, TableName, UniqueIndex
from integrity.engines.scan import ROW, Lookup, Source
from integrity.invariants.proof import BalanceKey, has_same_equality
from integrity.invariants.syntax import Unlike, alias_of, equated, name_of, plain_table, split, table_name, table_of
from integrity.invariants.uniqueness import proving_index

# What may stand in an expression that is taken apart and written anew: the parser reads and writes these as they were.
PLAIN = (
    exp.Column, exp.Identifier, exp.Literal, exp.Null, exp.Boolean, exp.Paren, exp.Neg, exp.Add, exp.Sub, exp.Mul, exp.Not,
    exp.And, exp.Or, exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Is, exp.In, exp.Between, exp.NullSafeEQ,
    exp.NullSafeNEQ, exp.Coalesce, exp.Case, exp.If,
)  # fmt: skip
# Their leaves are of these types; sums of floats depend on their order, and so agree or not by chance.
_PLAIN_TYPES = frozenset(
    {"int2", "int4", "int8", "numeric", "bool", "uuid", "text", "varchar", "timestamptz", "timestamp", "date"}
)


@dataclass(frozen=True, slots=True)
class Joined:
    """A joined table.

    Args:
        keys: a column of another table, and the column of this one that the join equates with it.
        conditions: what the join asks of this table alone.
        keeps_all: a left join: rows without a partner stay.
    """

    on: exp.Expr
    keys: tuple[tuple[exp.Column, exp.Column], ...]
    conditions: tuple[exp.Expr, ...]
    keeps_all: bool


@dataclass(frozen=True)
class Scope:
    """The tables of a query, by alias.

    Args:
        parent: the alias of the first one.
        lookups: those that add at most one row to it, in order.
        parts: the alias of the one whose rows are summed up; empty when there is none.
        parts_join: its join.
        hashed_types: of columns that can be keys of a balance.
    """

    parent: str
    tables: Mapping[str, tuple[exp.Table, Table]]
    lookups: Mapping[str, Joined] = field(default_factory=dict)
    parts: str = ""
    parts_join: Joined | None = None
    hashed_types: frozenset[str] = frozenset()

    @classmethod
    def of(cls, query: exp.Select, facts: Facts, *, hashed_types: frozenset[str]) -> "Scope":
        """Return the scope of the query.

        Raises:
            Unlike: a join of another kind, or more than one table of parts.
        """
        first = table_of(query.args.get("from_"))
        tables = {alias_of(first): (first, _facts_of(first, facts))}
        joins: dict[str, exp.Join] = {}
        for join in query.args.get("joins") or ():
            table = table_of(join)
            alias = alias_of(table)
            if alias in tables or join.kind not in ("", "INNER", "OUTER") or join.args.get("using"):
                raise Unlike("a join of another kind")
            if join.side not in ("", "LEFT") or join.args.get("method") or join.args.get("on") is None:
                raise Unlike("a join of another kind")
            tables[alias] = (table, _facts_of(table, facts))
            joins[alias] = join
        scope = cls(alias_of(first), tables, hashed_types=hashed_types)
        summed = scope._summed(query)
        for alias, join in joins.items():
            scope = scope._with_join(alias, join, is_summed=alias in summed)
        return scope

    def owner(self, column: exp.Column) -> str:
        """Return the alias of the table that the column is of."""
        if column.args.get("db") or isinstance(column.this, exp.Star):
            raise Unlike("a column that cannot be told")
        qualifier = name_of(column.args.get("table"))
        if qualifier:
            if qualifier not in self.tables or name_of(column.this) not in self.tables[qualifier][1].columns:
                raise Unlike(f"{column.sql()} is not a column of a table")
            return qualifier
        owners = [alias for alias, (_, facts) in self.tables.items() if name_of(column.this) in facts.columns]
        if len(owners) != 1:
            raise Unlike(f"{column.sql()} could be of more than one table")
        return owners[0]

    def owners(self, node: exp.Expr) -> set[str]:
        """Return the aliases of the tables whose columns are in the expression."""
        return {self.owner(column) for column in node.find_all(exp.Column)}

    def column(self, column: exp.Column) -> Column:
        """Return what is known of the column; one of a lookup may be null where there is no partner."""
        alias = self.owner(column)
        known = self.tables[alias][1].columns[name_of(column.this)]
        return replace(known, is_not_null=False) if alias in self.lookups else known

    def of_one(self, alias: str, conditions: Iterable[exp.Expr]) -> list[exp.Expr]:
        """Return those of the conditions that are on the table's columns and no other's: only they say something of it."""
        return [condition for condition in conditions if self.owners(condition) == {alias}]

    def unique_index(
        self, alias: str, columns: set[str], conditions: Iterable[exp.Expr] = (), *, never_null: Iterable[str] = ()
    ) -> UniqueIndex | None:
        """Return the index that shows that no two of the table's rows which meet the conditions share the columns' values.

        Args:
            conditions: on any of the tables.
            never_null: columns that have a value in the rows in question, whatever the table allows.
        """
        return proving_index(self.tables[alias][1], columns, self.of_one(alias, conditions), never_null=never_null)

    def require_plain(self, node: exp.Expr) -> None:
        """Do nothing if the expression can be taken apart and written anew.

        Raises:
            Unlike: it cannot.
        """
        for inner in node.walk():
            if not isinstance(inner, PLAIN):
                raise Unlike(f"{type(inner).__name__.lower()} in a condition or value")
            if isinstance(inner, exp.Column) and self.column(inner).type not in _PLAIN_TYPES:
                raise Unlike(f"a column of type {self.column(inner).type}")

    def is_never_null(self, node: exp.Expr) -> bool:
        """Whether the expression has a value in every row."""
        simple = (exp.Column, exp.Identifier, exp.Literal, exp.Neg, exp.Paren, exp.Add, exp.Sub, exp.Mul)
        return all(isinstance(inner, simple) for inner in node.walk()) and all(
            self.column(column).is_not_null for column in node.find_all(exp.Column)
        )

    def with_parts(self, alias: str) -> "Scope":
        """Return the scope with a lookup as the parts: at most one of them.

        Raises:
            Unlike: another lookup hangs on it.
        """
        others = {name: join for name, join in self.lookups.items() if name != alias}
        if any(alias in self.owners(join.on) for join in others.values()):
            raise Unlike("a lookup by way of another")
        return replace(self, lookups=others, parts=alias, parts_join=self.lookups[alias])

    def source(self, used: set[str]) -> Source:
        """Return what a scan reads of the parent and those lookups that are used."""
        needed = self._needed(used)
        lookups = [
            Lookup(alias, plain_table(self.tables[alias][0]), self.scanned(join.on, needed))
            for alias, join in self.lookups.items()
            if alias in needed
        ]
        return Source(plain_table(self.tables[self.parent][0]), tuple(lookups))

    def parts_source(self) -> Source:
        """Return what a scan reads of the parts alone."""
        return Source(plain_table(self.tables[self.parts][0]))

    def scanned(self, node: exp.Expr, used: set[str]) -> exp.Expr:
        """Return the expression as a scan of `source(used)` has it.

        Raises:
            Unlike: it has a column of another table.
        """
        if self.owners(node) - used - {self.parent}:
            raise Unlike("a column of a table that the scan does not read")

        def rename(inner: exp.Expr) -> exp.Expr:
            if isinstance(inner, exp.Column):
                alias = self.owner(inner)
                is_row = alias == self.parent
                qualifier = exp.to_identifier(ROW if is_row else alias, quoted=not is_row)
                return exp.Column(this=inner.this.copy(), table=qualifier)
            return inner

        return node.copy().transform(rename)

    def scanned_parts(self, node: exp.Expr) -> exp.Expr:
        """Return an expression over the parts as a scan of `parts_source()` has it."""

        def rename(inner: exp.Expr) -> exp.Expr:
            if isinstance(inner, exp.Column):
                return exp.Column(this=inner.this.copy(), table=exp.to_identifier(ROW))
            return inner

        return node.copy().transform(rename)

    def key(self, column: exp.Column, scanned: exp.Expr) -> BalanceKey:
        """Return the column as a key of a balance.

        Args:
            scanned: as the scan has it.

        Raises:
            Unlike: there is no hash for its type.
        """
        known = self.column(column)
        if known.type not in self.hashed_types:
            raise Unlike(f"a key of type {known.type}")
        return BalanceKey(scanned, known.type, known.collation)

    def _summed(self, query: exp.Select) -> set[str]:
        """Return the tables whose rows the having clause sums up or counts."""
        having = query.args.get("having")
        aggregates = having.find_all(exp.AggFunc) if having else ()
        return {self.owner(column) for aggregate in aggregates for column in aggregate.find_all(exp.Column)}

    def _with_join(self, alias: str, join: exp.Join, *, is_summed: bool) -> "Scope":
        joined = self._read_join(alias, join)
        columns = {name_of(mine.this) for _, mine in joined.keys}  # null equals no key
        is_single = self.unique_index(alias, columns, joined.conditions, never_null=columns) is not None
        hangs_on_parts = self.parts in {self.owner(other) for other, _ in joined.keys}
        if is_single and not is_summed and joined.keeps_all and not hangs_on_parts:
            return replace(self, lookups={**self.lookups, alias: joined})
        if self.parts or not joined.keys:
            raise Unlike("more than one table of parts")
        return replace(self, parts=alias, parts_join=joined)

    def _read_join(self, alias: str, join: exp.Join) -> Joined:
        keys, conditions = [], []
        for part in split(join.args["on"], exp.And):
            owners = self.owners(part)
            pair = equated(part)
            if pair and len(owners) == 2 and alias in owners:
                mine, other = sorted(pair, key=lambda column: self.owner(column) != alias)
                if not has_same_equality(self.column(mine), self.column(other)):
                    raise Unlike("keys of different types")
                keys.append((other, mine))
            elif owners == {alias}:
                self.require_plain(part)
                conditions.append(part)
            else:
                raise Unlike("a join condition that is no key")
        return Joined(join.args["on"], tuple(keys), tuple(conditions), keeps_all=join.side == "LEFT")

    def _needed(self, used: set[str]) -> set[str]:
        """Return the lookups used and those that they hang on."""
        needed = used - {self.parent}
        for alias in reversed(list(self.lookups)):
            if alias in needed:
                needed |= self.owners(self.lookups[alias].on) - {self.parent}
        return needed


def _facts_of(table: exp.Table, facts: Mapping[TableName, Table]) -> Table:
    name = table_name(table)
    if name not in facts:
        raise Unlike(f"nothing is known of {name}")
    return facts[name]

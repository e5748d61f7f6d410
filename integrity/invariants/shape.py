"""Shape: which proofs a query's syntax and the catalogue's facts allow.

Recognised by structure, never by name:

1. Row checks: one table and a where clause. Rows are violations.
2. Row checks with company: the where clause speaks of the first table only, the others are left-joined to explain the row.
3. Groups: `group by` with a having clause, whose alternatives (joined by `or`) are each proved apart:
   - `stored <> coalesce(sum(parts), 0)` or `<> count(part.id)`, by a balance between parent and parts,
   - `sum(parts) <> 0`, by a balance with nothing,
   - `count(*) > 1`, by a unique index on the group's columns,
   - a comparison of the parent's own columns, by a row check.

Anything that is not clearly one of these is left to the query. References ("no entry without a wallet") always are: sums
over keys cannot see rows that cancel out on a key that does not exist.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import sqlglot
from sqlglot import Token, TokenType, exp

from integrity.invariants.facts import Facts, Table, TableName, UniqueIndex
from integrity.invariants.proof import HASHED_TYPES, Balance, Key, NoRow, Proof, Side, Unique, is_kind_of_same_hash

ROW = "audited"
"""What a scan calls its table's row, so that the checks of files with different aliases fit into one statement."""

# What may stand in an expression that is taken apart and written anew: the parser reads and writes these as they were.
_PLAIN = (
    exp.Column, exp.Identifier, exp.Literal, exp.Null, exp.Boolean, exp.Paren, exp.Neg, exp.Add, exp.Sub, exp.Mul, exp.Not,
    exp.And, exp.Or, exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Is, exp.In, exp.Between, exp.NullSafeEQ,
    exp.NullSafeNEQ, exp.Coalesce, exp.Case, exp.If,
)  # fmt: skip
_SHOWN = (exp.Alias, exp.Cast, exp.DataType, exp.DataTypeParam, exp.Div, exp.DPipe, exp.Abs)
_PLAIN_TYPES = frozenset(
    {"int2", "int4", "int8", "numeric", "bool", "uuid", "text", "varchar", "timestamptz", "timestamp", "date"}
)
_NUMBER_TYPES = frozenset({"int2", "int4", "int8", "numeric"})
_ENDS_OF_WHERE = frozenset({TokenType.ORDER_BY, TokenType.SEMICOLON})


class Unlike(Exception):
    """The query has none of the shapes; the message says what stands against it."""


def tables_of(query: exp.Query) -> frozenset[TableName]:
    """Return every table that the query reads."""
    names = {cte.alias for cte in query.find_all(exp.CTE)}
    return frozenset(
        TableName(_name(table.args.get("db")), _name(table.this))
        for table in query.find_all(exp.Table)
        if isinstance(table.this, exp.Identifier) and (table.args.get("db") or table.name not in names)
    )


def find_row_check(text: str, query: exp.Query, *, dialect: str) -> NoRow:
    """Return the row check that the query is (shape 1), its predicate word by word as the file has it.

    Raises:
        Unlike: it is something else.
    """
    if not isinstance(query, exp.Select) or _has_any(query, ("joins", "group", "having", "distinct", "with_", "laterals")):
        raise Unlike("more than rows of one table")
    if _has_any(query, ("limit", "offset", "windows", "qualify", "fetch")):
        raise Unlike("a limit")
    table = _table_of(query.args.get("from_"))
    where = query.args.get("where")
    if where is None:
        raise Unlike("no where clause")
    if list(query.find_all(exp.Query)) != [query] or query.find(exp.AggFunc, exp.Window):
        raise Unlike("a subquery, an aggregate or a window")
    alias = table.alias_or_name
    for column in where.find_all(exp.Column):
        if column.args.get("db") or isinstance(column.this, exp.Star) or (not column.table and column.name == alias):
            raise Unlike("a column that cannot be told from the row")
    predicate = _cut_where(text, alias, dialect)
    # A function in the select list may return several rows for one, or none.
    is_row_each = all(isinstance(node, _PLAIN + _SHOWN) for column in query.expressions for node in column.walk())
    return NoRow(f"{_plain_table(table).sql(dialect=dialect)} as {ROW}", predicate, is_whole=is_row_each)


def _cut_where(text: str, alias: str, dialect: str) -> str:
    """Return the where clause's text with `alias.` replaced: the file's own words, not the parser's."""
    tokens = sqlglot.tokenize(text, read=dialect)
    start = next(number for number, token in enumerate(tokens) if token.token_type == TokenType.WHERE) + 1
    end = next((n for n, token in enumerate(tokens) if n >= start and token.token_type in _ENDS_OF_WHERE), len(tokens))
    pieces, position = [], tokens[start].start
    for number in range(start, end):
        token = tokens[number]
        if _is_qualifier(tokens, number, alias):
            pieces += [text[position : token.start], ROW]
            position = token.end + 1
    pieces.append(text[position : tokens[end - 1].end + 1])
    return "".join(pieces)


def _is_qualifier(tokens: list[Token], number: int, alias: str) -> bool:
    token = tokens[number]
    dotted = number + 1 < len(tokens) and tokens[number + 1].token_type == TokenType.DOT
    inner = tokens[number - 1].token_type == TokenType.DOT
    name = token.text if token.token_type == TokenType.IDENTIFIER else token.text.lower()
    return dotted and not inner and token.token_type != TokenType.STRING and name == alias.lower()


def find_proofs(query: exp.Query, facts: Facts) -> tuple[Proof, ...]:
    """Return proofs that together show that the query returns no rows (shapes 2 and 3).

    Raises:
        Unlike: the query has another shape, or the catalogue does not bear it out.
    """
    if not isinstance(query, exp.Select) or _has_any(
        query, ("distinct", "with_", "laterals", "limit", "offset", "qualify")
    ):
        raise Unlike("not a plain select")
    if query.find(exp.Placeholder, exp.Window) or list(query.find_all(exp.Query)) != [query]:
        raise Unlike("a parameter, a window or a subquery")
    scope = _Scope.of(query, facts)
    having = query.args.get("having")
    if having is None:
        return (_check_of_first_table(query, scope),)
    return tuple(proof for part in _split(having.this, exp.Or) for proof in _prove(part, query, scope))


@dataclass
class _Scope:
    """The tables of a query: the first one, others that add at most one row to it (lookups), and one of parts.

    Args:
        tables: alias -> the table.
        lookups: alias -> its join, in order.
        parts: the alias of the table whose rows are summed up; empty when there is none.
        keys: parent's column and parts' column that the join equates.
        parts_conditions: what the join asks of the parts alone.
    """

    base: str
    tables: dict[str, tuple[exp.Table, Table]]
    lookups: dict[str, exp.Join] = field(default_factory=dict)
    parts: str = ""
    keys: list[tuple[exp.Column, exp.Column]] = field(default_factory=list)
    parts_conditions: list[exp.Expr] = field(default_factory=list)
    has_every_parent: bool = True

    @classmethod
    def of(cls, query: exp.Select, facts: Facts) -> "_Scope":
        first = _table_of(query.args.get("from_"))
        scope = cls(first.alias_or_name, {first.alias_or_name: (first, _facts_of(first, facts))})
        joins = {}
        for join in query.args.get("joins") or ():
            table = _table_of(join)
            alias = table.alias_or_name
            if alias in scope.tables or join.kind not in ("", "INNER", "OUTER") or join.args.get("using"):
                raise Unlike("a join of another kind")
            if join.side not in ("", "LEFT") or join.args.get("method") or join.args.get("on") is None:
                raise Unlike("a join of another kind")
            scope.tables[alias] = (table, _facts_of(table, facts))
            joins[alias] = join
        summed = scope._summed(query)
        for alias, join in joins.items():
            scope._add_join(alias, join, is_summed=alias in summed)
        return scope

    def _summed(self, query: exp.Select) -> set[str]:
        """Return the tables whose rows the having clause sums up or counts."""
        having = query.args.get("having")
        aggregates = having.find_all(exp.AggFunc) if having else ()
        return {self.owner(column) for aggregate in aggregates for column in aggregate.find_all(exp.Column)}

    def owner(self, column: exp.Column) -> str:
        """Return the alias of the table that the column is of."""
        if column.args.get("db") or isinstance(column.this, exp.Star):
            raise Unlike("a column that cannot be told")
        if column.table:
            if column.table not in self.tables or _name(column.this) not in self.tables[column.table][1].columns:
                raise Unlike(f"{column.sql()} is not a column of a table")
            return column.table
        owners = [alias for alias, (_, facts) in self.tables.items() if _name(column.this) in facts.columns]
        if len(owners) != 1:
            raise Unlike(f"{column.sql()} could be of more than one table")
        return owners[0]

    def owners(self, node: exp.Expr) -> set[str]:
        return {self.owner(column) for column in node.find_all(exp.Column)}

    def facts_of_column(self, column: exp.Column) -> tuple[str, bool]:
        """Return the column's type and whether it is never null in the rows of the from clause."""
        alias = self.owner(column)
        fact = self.tables[alias][1].columns[_name(column.this)]
        return fact.type, fact.is_not_null and alias not in self.lookups

    def is_parents(self, node: exp.Expr) -> bool:
        return self.parts not in self.owners(node)

    def _add_join(self, alias: str, join: exp.Join, *, is_summed: bool) -> None:
        keys, conditions, equated, names = [], [], set(), {}
        for part in _split(join.args["on"], exp.And):
            owners = self.owners(part)
            pair = _equated(part)
            if pair and owners - {alias} and alias in owners:
                mine, other = sorted(pair, key=lambda column: self.owner(column) != alias)
                if self.owner(mine) != alias or self.owner(other) == alias:
                    raise Unlike("a join condition that is no key")
                keys.append((other, mine))
                equated.add(_name(mine.this))
            elif owners == {alias}:
                _require_plain(part, self)
                conditions.append(part)
                names[_normal(part)] = part
                equated |= _fixed_columns([part])
            else:
                raise Unlike("a join condition that is no key")
        table = self.tables[alias][1]
        is_lookup = not is_summed and _proving_index(table, equated, equated, set(names)) is not None
        if is_lookup and join.side == "LEFT" and self.parts not in {self.owner(other) for other, _ in keys}:
            self.lookups[alias] = join
        elif self.parts or not keys:
            raise Unlike("more than one table of parts")
        else:
            self.parts, self.keys, self.parts_conditions = alias, keys, conditions
            self.has_every_parent = join.side == "LEFT"


def _check_of_first_table(query: exp.Select, scope: _Scope) -> NoRow:
    where = query.args.get("where")
    if where is None or any(join.side != "LEFT" for join in query.args.get("joins") or ()):
        raise Unlike("rows that a join decides about")
    if query.find(exp.AggFunc) and not _plain_groups(query):
        raise Unlike("an aggregate without groups, which is one row however many there are")
    if scope.owners(where) - {scope.base}:
        raise Unlike("a where clause over more than the first table")
    _require_plain(where.this, scope)
    return NoRow(_source(scope, set()), _sql(where.this, scope, set()), is_whole=False)


def _prove(part: exp.Expr, query: exp.Select, scope: _Scope) -> Iterator[Proof]:
    parent_conditions, parts_conditions = _conditions(query, scope)
    groups = _plain_groups(query)
    if not groups:
        raise Unlike("groups of another kind")
    if not scope.parts:
        yield _prove_of_one_table(part, groups, parent_conditions, scope)
        return
    base_columns = {_name(group.this) for group in groups if scope.owner(group) == scope.base}
    if scope.parts in {scope.owner(group) for group in groups} or not _is_key(scope, base_columns):
        raise Unlike("groups that are not the rows of the first table")
    if not part.find(exp.AggFunc):
        _require_plain(part, scope)
        condition = _all_of([*parent_conditions, part])
        yield NoRow(
            _source(scope, scope.owners(condition)), _sql(condition, scope, scope.owners(condition)), is_whole=False
        )
        return
    if _is_more_than_one(part, scope):
        joined = {_name(mine.this) for _, mine in scope.keys}  # never null: null equals no key
        yield _unique(scope.tables[scope.parts][1], joined, parts_conditions, never_null=joined)
        return
    yield _balance(part, parent_conditions, parts_conditions, scope)


def _prove_of_one_table(part: exp.Expr, groups: list[exp.Column], conditions: list[exp.Expr], scope: _Scope) -> Proof:
    if {scope.owner(group) for group in groups} != {scope.base}:
        raise Unlike("groups over more than the first table")
    if _is_more_than_one(part, scope):
        columns = {_name(group.this) for group in groups}
        return _unique(scope.tables[scope.base][1], columns, conditions, never_null=set())
    stored, term, _ = _stored_and_term(part, scope)
    if not (isinstance(stored, exp.Literal) and stored.name == "0" and not stored.is_string):
        raise Unlike("sums that are compared with something else than 0")
    if (
        scope.owners(term.value) - {scope.base}
        or term.conditions
        or any(scope.owners(c) - {scope.base} for c in conditions)
    ):
        raise Unlike("sums over more than the first table")
    is_null = {group: not scope.facts_of_column(group)[1] for group in groups}
    nullable = [column for column in term.value.find_all(exp.Column) if not scope.facts_of_column(column)[1]]
    return Balance(
        Side(
            _source(scope, set()),
            _sql(term.value, scope, set()),
            tuple(_key(group, scope, set()) for group in groups),
            _sql(_all_of(conditions), scope, set()) if conditions else "",
            (
                *(_sql(group, scope, set()) for group in groups if is_null[group]),
                *([_sql(term.value, scope, set())] if nullable else []),
            ),
        ),
        None,
    )


def _balance(part: exp.Expr, parent_conditions: list[exp.Expr], parts_conditions: list[exp.Expr], scope: _Scope) -> Balance:
    stored, term, is_null_safe = _stored_and_term(part, scope)
    if not scope.is_parents(stored) or stored.find(exp.AggFunc):
        raise Unlike("sums that are compared with other sums")
    if is_null_safe and not term.is_zero_when_empty:
        raise Unlike("a sum that is null where there are no parts")
    if term.counts_rows and scope.has_every_parent:
        raise Unlike("count(*), which counts a parent without parts as one")
    _require_plain(stored, scope)
    keys, conditions = list(scope.keys), list(parts_conditions)
    for condition in term.conditions:
        pair = _equated(condition)
        owners = scope.owners(condition)
        if owners == {scope.parts}:
            conditions.append(condition)
        elif pair and len(owners) == 2 and scope.parts in owners:
            mine, other = sorted(pair, key=lambda column: scope.owner(column) != scope.parts)
            keys.append((other, mine))
        else:
            raise Unlike("a filter over more than the parts")
        _require_plain(condition, scope)
    parent_keys = {_name(other.this) for other, _ in keys if scope.owner(other) == scope.base}
    if not _is_key(scope, parent_keys):
        raise Unlike("parts that belong to more than one row")
    whole = _all_of([stored, *parent_conditions, *(other for other, _ in keys)])
    used = scope.owners(whole) - {scope.base}
    maybe_null = [
        *([stored] if not _is_never_null(stored, scope) else []),
        *(other for other, _ in keys if not scope.facts_of_column(other)[1]),
    ]
    parent = Side(
        _source(scope, used),
        _sql(stored, scope, used),
        tuple(_key(other, scope, used) for other, _ in keys),
        _sql(_all_of(parent_conditions), scope, used) if parent_conditions else "",
        tuple(_sql(expression, scope, used) for expression in maybe_null),
    )
    parts_table = _plain_table(scope.tables[scope.parts][0])
    parts = Side(
        f"{parts_table.sql(dialect='postgres')} as {ROW}",
        _sql_of_parts(term.value),
        tuple(Key(_sql_of_parts(mine), scope.facts_of_column(mine)[0]) for _, mine in keys),
        _sql_of_parts(_all_of(conditions)) if conditions else "",
        (),  # a part without key or amount counts for nothing in the query too
    )
    for left, right in zip(parent.keys, parts.keys, strict=True):
        if not {left.type, right.type} <= HASHED_TYPES or not is_kind_of_same_hash(left.type, right.type):
            raise Unlike(f"a key of type {left.type}")
    return Balance(parent, parts)


@dataclass
class _Term:
    """An aggregate over parts: the sum of `value` over the parts that meet the conditions."""

    value: exp.Expr
    conditions: list[exp.Expr] = field(default_factory=list)
    is_zero_when_empty: bool = False
    counts_rows: bool = False


def _stored_and_term(part: exp.Expr, scope: _Scope) -> tuple[exp.Expr, _Term, bool]:
    part = part.unnest()
    if not isinstance(part, exp.NEQ | exp.NullSafeNEQ):
        raise Unlike("a comparison other than <> and is distinct from")
    sides = [part.this, part.expression]
    sums = [side for side in sides if side.find(exp.AggFunc)]
    if len(sums) != 1:
        raise Unlike("sums that are compared with other sums")
    stored = sides[0] if sums[0] is sides[1] else sides[1]
    return stored, _term(sums[0], scope), isinstance(part, exp.NullSafeNEQ)


def _term(node: exp.Expr, scope: _Scope) -> _Term:
    node = node.unnest()
    if isinstance(node, exp.Neg):
        inner = _term(node.this, scope)
        return replace(inner, value=exp.Neg(this=exp.paren(inner.value)))
    if isinstance(node, exp.Coalesce):
        inner = _term(node.this, scope)
        if [expression.sql() for expression in node.expressions] != ["0"]:
            raise Unlike("coalesce to something else than 0")
        return replace(inner, is_zero_when_empty=True)
    if isinstance(node, exp.Filter):
        inner = _term(node.this, scope)
        more = _split(node.expression.this, exp.And)
        return replace(inner, conditions=[*inner.conditions, *more])
    owner = scope.parts or scope.base
    if isinstance(node, exp.Sum) and isinstance(node.this, exp.Expr) and not isinstance(node.this, exp.Distinct):
        if scope.owners(node.this) != {owner}:
            raise Unlike("a sum over more than the parts")
        _require_plain(node.this, scope)
        if any(scope.facts_of_column(column)[0] not in _NUMBER_TYPES for column in _values(node.this)):
            raise Unlike("a sum of something else than whole or decimal numbers")
        return _Term(node.this)
    if isinstance(node, exp.Count) and isinstance(node.this, exp.Column) and not node.expressions:
        if scope.owner(node.this) != owner:
            raise Unlike("a count of something else than parts")
        is_present = exp.Not(this=exp.Is(this=node.this.copy(), expression=exp.Null()))
        return _Term(exp.Literal.number(1), [is_present], is_zero_when_empty=True)
    if isinstance(node, exp.Count) and isinstance(node.this, exp.Star):
        return _Term(exp.Literal.number(1), is_zero_when_empty=True, counts_rows=True)
    raise Unlike("an aggregate other than sum and count")


def _is_more_than_one(part: exp.Expr, scope: _Scope) -> bool:
    """Whether it is `count(*) > 1`, or `count(column) > 1` of the parts' rows."""
    part = part.unnest()
    if not isinstance(part, exp.GT) or not isinstance(part.this, exp.Count) or part.expression.sql() != "1":
        return False
    counted = part.this.this
    if isinstance(counted, exp.Star):
        return True
    return (
        isinstance(counted, exp.Column) and not part.this.expressions and scope.owner(counted) in (scope.parts, scope.base)
    )


def _unique(table: Table, columns: set[str], conditions: list[exp.Expr], *, never_null: set[str]) -> Unique:
    fixed = _fixed_columns(conditions)
    said = {_name(column.this) for column in map(_column_said_not_null, conditions) if column is not None}
    normal = {_normal(condition) for condition in conditions}
    index = _proving_index(table, columns | fixed, fixed | said | never_null, normal)
    if index is None:
        raise Unlike("no valid unique index on the group's columns")
    return Unique(index.name)


def _proving_index(table: Table, columns: set[str], never_null: set[str], conditions: set[str]) -> UniqueIndex | None:
    """Return a unique index over some of the columns that covers every row which meets the conditions.

    Two rows with a null in a column of the index are not the same to it, though they are to `group by`.
    """
    for index in table.unique_indexes:
        safe = all(table.columns[column].is_not_null or column in never_null for column in index.columns)
        needed = {_normal(part) for part in _split(_parse(index.predicate), exp.And)} if index.predicate else set()
        if set(index.columns) <= columns and (safe or not index.is_nulls_distinct) and needed <= conditions:
            return index
    return None


def _is_key(scope: _Scope, columns: set[str]) -> bool:
    """Whether no two rows of the first table share the columns' values. Nulls are looked for apart."""
    return _proving_index(scope.tables[scope.base][1], columns, columns, set()) is not None


def _conditions(query: exp.Select, scope: _Scope) -> tuple[list[exp.Expr], list[exp.Expr]]:
    """Return what the where clause asks of the parent, and what where clause and join ask of the parts."""
    parents: list[exp.Expr] = []
    parts = list(scope.parts_conditions)
    where = query.args.get("where")
    for condition in _split(where.this, exp.And) if where else ():
        _require_plain(condition, scope)
        owners = scope.owners(condition)
        if scope.parts and owners == {scope.parts}:
            parts.append(condition)
        elif scope.parts in owners:
            raise Unlike("a condition over parent and parts")
        else:
            parents.append(condition)
    return parents, parts


def _require_plain(node: exp.Expr, scope: _Scope) -> None:
    for inner in node.walk():
        if not isinstance(inner, _PLAIN):
            raise Unlike(f"{type(inner).__name__.lower()} in a condition or value")
        if isinstance(inner, exp.Column) and scope.facts_of_column(inner)[0] not in _PLAIN_TYPES:
            raise Unlike(f"a column of type {scope.facts_of_column(inner)[0]}")


def _is_never_null(node: exp.Expr, scope: _Scope) -> bool:
    simple = (exp.Column, exp.Identifier, exp.Literal, exp.Neg, exp.Paren, exp.Add, exp.Sub, exp.Mul)
    return all(isinstance(inner, simple) for inner in node.walk()) and all(
        scope.facts_of_column(column)[1] for column in node.find_all(exp.Column)
    )


def _values(node: exp.Expr) -> list[exp.Column]:
    """Return the columns whose values are added up; those that only decide in a case's condition are left out."""
    conditions = {id(column) for case in node.find_all(exp.If) for column in case.this.find_all(exp.Column)}
    return [column for column in node.find_all(exp.Column) if id(column) not in conditions]


def _key(column: exp.Column, scope: _Scope, used: set[str]) -> Key:
    kind = scope.facts_of_column(column)[0]
    if kind not in HASHED_TYPES:
        raise Unlike(f"a key of type {kind}")
    return Key(_sql(column, scope, used), kind)


def _source(scope: _Scope, used: set[str]) -> str:
    """Return a from clause of the first table and those lookups that are used."""
    base = f"{_plain_table(scope.tables[scope.base][0]).sql(dialect='postgres')} as {ROW}"
    needed = _with_those_they_join_to(scope, used - {scope.base})
    joins = []
    for alias, join in scope.lookups.items():
        if alias in needed:
            table = _plain_table(scope.tables[alias][0]).sql(dialect="postgres")
            joins.append(f" left join {table} as {_quote(alias)} on {_sql(join.args['on'], scope, needed)}")
    return base + "".join(joins)


def _with_those_they_join_to(scope: _Scope, used: set[str]) -> set[str]:
    needed = set(used)
    for alias in reversed(scope.lookups):
        if alias in needed:
            needed |= scope.owners(scope.lookups[alias].args["on"]) - {scope.base}
    return needed


def _sql(node: exp.Expr, scope: _Scope, used: set[str]) -> str:
    """Return the expression's text for a scan of the first table and the lookups used."""
    if scope.owners(node) - used - {scope.base}:
        raise Unlike("a column of a table that the scan does not read")

    def rename(inner: exp.Expr) -> exp.Expr:
        if isinstance(inner, exp.Column):
            alias = scope.owner(inner)
            qualifier = ROW if alias == scope.base else alias
            return exp.Column(this=inner.this.copy(), table=exp.to_identifier(qualifier, quoted=alias != scope.base))
        return inner

    return node.copy().transform(rename).sql(dialect="postgres")


def _sql_of_parts(node: exp.Expr) -> str:
    def rename(inner: exp.Expr) -> exp.Expr:
        if isinstance(inner, exp.Column):
            return exp.Column(this=inner.this.copy(), table=exp.to_identifier(ROW))
        return inner

    return node.copy().transform(rename).sql(dialect="postgres")


def _split(node: exp.Expr, kind: type[exp.Connector]) -> list[exp.Expr]:
    """Return the parts that the connector joins, through parentheses."""
    node = node.unnest()
    return [*_split(node.this, kind), *_split(node.expression, kind)] if isinstance(node, kind) else [node]


def _all_of(parts: list[exp.Expr]) -> exp.Expr:
    return exp.and_(*(part.copy() for part in parts), copy=False)


def _equated(node: exp.Expr) -> tuple[exp.Column, exp.Column] | None:
    node = node.unnest()
    if isinstance(node, exp.EQ) and isinstance(node.this, exp.Column) and isinstance(node.expression, exp.Column):
        return node.this, node.expression
    return None


def _fixed_columns(conditions: list[exp.Expr]) -> set[str]:
    """Return the columns that a condition gives one value."""
    fixed = set()
    for condition in conditions:
        if isinstance(condition, exp.EQ):
            for one, other in ((condition.this, condition.expression), (condition.expression, condition.this)):
                if isinstance(one, exp.Column) and isinstance(other, exp.Literal):
                    fixed.add(_name(one.this))
    return fixed


def _column_said_not_null(condition: exp.Expr) -> exp.Column | None:
    is_negated = condition.args.get("negate") if isinstance(condition, exp.Is) else isinstance(condition, exp.Not)
    inner = condition.this if isinstance(condition, exp.Not) else condition
    if is_negated and isinstance(inner, exp.Is) and isinstance(inner.expression, exp.Null):
        return inner.this if isinstance(inner.this, exp.Column) else None
    return None


def _normal(condition: exp.Expr) -> str:
    """Return a text that is the same for conditions that differ only in qualifiers, casts of literals and case."""

    def simplify(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Cast) and isinstance(node.this, exp.Literal):
            return node.this
        if isinstance(node, exp.Column):
            return exp.Column(this=exp.to_identifier(_name(node.this), quoted=True))
        return node

    return condition.unnest().copy().transform(simplify).sql(dialect="postgres")


def _parse(condition: str) -> exp.Expr:
    return sqlglot.parse_one(condition, read="postgres")


def _plain_groups(query: exp.Select) -> list[exp.Column]:
    """Return the columns of a group by clause; none where there is no such clause, or it holds anything else."""
    group = query.args.get("group")
    if group is None or any(group.args.get(name) for name in ("grouping_sets", "cube", "rollup", "totals", "all")):
        return []
    columns = [column for column in group.expressions if isinstance(column, exp.Column)]
    return columns if len(columns) == len(group.expressions) else []


def _facts_of(table: exp.Table, facts: Mapping[TableName, Table]) -> Table:
    name = TableName(_name(table.args.get("db")), _name(table.this))
    if name not in facts:
        raise Unlike(f"nothing is known of {name}")
    return facts[name]


def _table_of(clause: exp.Expr | None) -> exp.Table:
    table = clause.this if clause is not None else None
    if not isinstance(table, exp.Table) or not isinstance(table.this, exp.Identifier) or table.args.get("only"):
        raise Unlike("something else than a table to select from")
    if _has_any(table, ("joins", "pivots", "laterals", "sample", "version", "catalog")):
        raise Unlike("a table that is sampled or nested")
    alias = table.args.get("alias")
    if alias is not None and alias.args.get("columns"):
        raise Unlike("renamed columns")
    return table


def _plain_table(table: exp.Table) -> exp.Table:
    return exp.Table(this=table.this.copy(), db=table.args["db"].copy() if table.args.get("db") else None)


def _has_any(node: exp.Expr, names: tuple[str, ...]) -> bool:
    return any(node.args.get(name) for name in names)


def _name(identifier: exp.Expr | None) -> str:
    """Return an identifier as the catalogue spells it: PostgreSQL folds what is not quoted to lower case."""
    if identifier is None:
        return ""
    name: str = identifier.name
    return name if identifier.args.get("quoted") else name.lower()


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'

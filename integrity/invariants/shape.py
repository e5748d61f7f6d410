"""Shape: which proofs a query's syntax and the catalogue's facts allow.

Recognised by structure, never by name:

1. Row checks: one table and a where clause. Rows are violations (row_check.py).
2. Row checks with company: the where clause speaks of the first table only, the others are left-joined to explain the row.
3. Groups: `group by` with a having clause, whose alternatives (joined by `or`) are each proved apart:
   - `stored <> coalesce(sum(parts), 0)` or `<> count(part.id)`, by a balance between parent and parts,
   - `sum(parts) <> 0`, by a balance with nothing,
   - `count(*) > 1`, by a unique index on the group's columns,
   - a comparison of the parent's own columns, by a row check.
4. Pairs: `stored <> coalesce(part.amount, 0)`, where a unique index allows a parent one part: as a group of one.

A condition counts only for the table that owns it: one on a joined table says nothing of the rows of the first.

Anything that is not clearly one of these is left to the query. References ("no entry without a wallet") always are: sums
over keys cannot see rows that cancel out on a key that does not exist.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from sqlglot import exp

from integrity.engines.facts import Facts, is_own
from integrity.engines.spelling import Spelling
from integrity.invariants.proof import Balance, BalanceSide, NoRow, Proof, Unique, has_same_equality
from integrity.invariants.scope import Scope
from integrity.invariants.syntax import (
    SURE,
    Unlike,
    all_of,
    could_aggregate,
    equated,
    has_any,
    is_to_text,
    may_overflow,
    name_of,
    plain_groups,
    split,
)

_SURE_IN_AGGREGATES = (
    *SURE, exp.Distinct, exp.Order, exp.Ordered, exp.Where, exp.And, exp.Or, exp.Not, exp.EQ, exp.NEQ, exp.GT, exp.GTE,
    exp.LT, exp.LTE, exp.Is, exp.In, exp.NullSafeEQ, exp.NullSafeNEQ, exp.Coalesce, exp.Case, exp.If,
)  # fmt: skip
_SURE_AGGREGATES = (exp.Count, exp.Min, exp.Max, exp.GroupConcat, exp.ArrayAgg, exp.LogicalAnd, exp.LogicalOr)
_NUMBER_TYPES = frozenset({"int2", "int4", "int8", "numeric"})


def find_proofs(query: exp.Query, facts: Facts, spelling: Spelling) -> tuple[Proof, ...]:
    """Return proofs that together show that the query returns no rows (shapes 2 to 4).

    Raises:
        Unlike: the query has another shape, or the catalogue does not bear it out.
    """
    clauses = ("distinct", "with_", "laterals", "limit", "offset", "qualify")
    if not isinstance(query, exp.Select) or has_any(query, clauses):
        raise Unlike("not a plain select")
    if query.find(exp.Placeholder, exp.Window) or list(query.find_all(exp.Query)) != [query]:
        raise Unlike("a parameter, a window or a subquery")
    scope = Scope.of(query, facts, hashed_types=spelling.hashed_types)
    having = query.args.get("having")
    if having is None:
        return tuple(_prove_rows(query, scope))
    groups = plain_groups(query)
    if not groups:
        raise Unlike("groups of another kind")
    proofs = tuple(_prove_groups(part, groups, query, scope) for part in split(having.this, exp.Or))
    _require_sure_aggregates(query, scope)
    return proofs


def _require_sure_aggregates(query: exp.Select, scope: Scope) -> None:
    """Do nothing if no aggregate that only explains rows can fail: it is of every group, whatever the having clause says.

    Raises:
        Unlike: one could, and then the query fails where a proof would say that it holds.
    """
    for place in [*query.expressions, *filter(None, [query.args.get("order")])]:
        if place.find(exp.Anonymous, exp.WithinGroup):
            raise Unlike("what may be an aggregate that fails")
        for aggregate in place.find_all(exp.AggFunc):
            around = aggregate.parent if isinstance(aggregate.parent, exp.Filter) else aggregate
            inner = [node for node in around.walk() if node is not aggregate and node is not around]
            columns = [node for node in inner if isinstance(node, exp.Column)]
            types = {scope.column(column).type for column in columns}
            is_known = isinstance(aggregate, _SURE_AGGREGATES) or (
                isinstance(aggregate, exp.Sum) and types <= _NUMBER_TYPES
            )
            is_sure = all(isinstance(node, _SURE_IN_AGGREGATES) or is_to_text(node) for node in inner)
            if not (is_known and is_sure) or any(map(is_own, types)):
                raise Unlike("an aggregate that may fail")
            if not all(scope.tables[scope.owner(column)][1].is_stored for column in columns):
                raise Unlike("an aggregate of what is calculated when it is read")


def _prove_rows(query: exp.Select, scope: Scope) -> Iterator[Proof]:
    """Yield the proofs of a query without having clause."""
    where = query.args.get("where")
    if where is None or any(join.side != "LEFT" for join in query.args.get("joins") or ()):
        raise Unlike("rows that a join decides about")
    if (query.args.get("group") or could_aggregate(query)) and not plain_groups(query):
        raise Unlike("an aggregate without groups, which is one row however many there are")
    if scope.owners(where) <= {scope.parent}:
        scope.require_plain(where.this)
        yield NoRow(scope.source(set()), scope.scanned(where.this, set()), is_whole=False)
        return
    conditions = split(where.this, exp.And)
    mine = [condition for condition in conditions if scope.owners(condition) <= {scope.parent}]
    others = [condition for condition in conditions if not scope.owners(condition) <= {scope.parent}]
    if scope.parts or len(others) != 1:
        raise Unlike("a where clause over more than the first table")
    for condition in mine:
        scope.require_plain(condition)
    for part in split(others[0], exp.Or):
        yield _prove_pair(part, mine, scope)


def _prove_pair(part: exp.Expr, conditions: list[exp.Expr], scope: Scope) -> Proof:
    """Prove `stored <> coalesce(part.amount, 0)`: with at most one part, a sum of one is the same."""
    coalesced = [
        node
        for node in part.find_all(exp.Coalesce)
        if isinstance(node.this, exp.Column) and scope.owner(node.this) in scope.lookups
    ]
    if len(coalesced) != 1:
        raise Unlike("a where clause over more than the first table")
    alias = scope.owner(coalesced[0].this)

    def as_sum(node: exp.Expr) -> exp.Expr:
        if node == coalesced[0]:
            return exp.Coalesce(this=exp.Sum(this=coalesced[0].this.copy()), expressions=coalesced[0].expressions)
        return node

    paired = scope.with_parts(alias)
    return _balance(part.copy().transform(as_sum), conditions, list(scope.lookups[alias].conditions), paired)


def _prove_groups(part: exp.Expr, groups: list[exp.Column], query: exp.Select, scope: Scope) -> Proof:
    """Prove one alternative of a having clause."""
    of_parent, of_parts = _conditions(query, scope)
    if not scope.parts:
        return _prove_groups_of_one_table(part, groups, of_parent, scope)
    own_groups = {name_of(group.this) for group in groups if scope.owner(group) == scope.parent}
    is_row_each = scope.unique_index(scope.parent, own_groups, of_parent) is not None  # null would be a group of many
    if scope.parts in {scope.owner(group) for group in groups} or not is_row_each:
        raise Unlike("groups that are not the rows of the first table")
    if not part.find(exp.AggFunc):
        scope.require_plain(part)
        condition = all_of([*of_parent, part])
        used = scope.owners(condition)
        return NoRow(scope.source(used), scope.scanned(condition, used), is_whole=False)
    if _is_more_than_one(part, scope):
        assert scope.parts_join is not None
        joined = {name_of(mine.this) for _, mine in scope.parts_join.keys}  # never null: null equals no key
        return _unique(scope.parts, joined, [*of_parent, *of_parts], scope, never_null=joined)
    return _balance(part, of_parent, of_parts, scope)


def _prove_groups_of_one_table(part: exp.Expr, groups: list[exp.Column], conditions: list[exp.Expr], scope: Scope) -> Proof:
    if {scope.owner(group) for group in groups} != {scope.parent}:
        raise Unlike("groups over more than the first table")
    if _is_more_than_one(part, scope):
        columns = {name_of(group.this) for group in groups}
        return _unique(scope.parent, columns, conditions, scope)
    stored, term, _ = _stored_and_term(part, scope)
    if not (isinstance(stored, exp.Literal) and stored.name == "0" and not stored.is_string):
        raise Unlike("sums that are compared with something else than 0")
    looked_at = all_of([term.value, *conditions])
    if term.conditions or scope.owners(looked_at) != {scope.parent}:
        raise Unlike("sums over more than the first table")
    maybe_null = [node for node in (*groups, term.value) if not scope.is_never_null(node)]  # null is a group, too
    side = BalanceSide(
        scope.source(set()),
        scope.scanned(term.value, set()),
        tuple(scope.key(group, scope.scanned(group, set())) for group in groups),
        scope.scanned(all_of(conditions), set()) if conditions else None,
        tuple(scope.scanned(node, set()) for node in maybe_null),
    )
    return Balance(side, None)


def _balance(part: exp.Expr, of_parent: list[exp.Expr], of_parts: list[exp.Expr], scope: Scope) -> Balance:
    """Return the balance that `stored <> aggregate of parts` comes down to."""
    assert scope.parts_join is not None
    stored, term, is_null_safe = _stored_and_term(part, scope)
    if scope.parts in scope.owners(stored) or stored.find(exp.AggFunc):
        raise Unlike("sums that are compared with other sums")
    if is_null_safe and not term.is_zero_when_empty:
        raise Unlike("a sum that is null where there are no parts")
    if term.counts_rows and scope.parts_join.keeps_all:
        raise Unlike("count(*), which counts a parent without parts as one")
    scope.require_plain(stored)
    keys, conditions = list(scope.parts_join.keys), list(of_parts)
    for condition in term.conditions:
        scope.require_plain(condition)
        pair = equated(condition)
        owners = scope.owners(condition)
        if owners == {scope.parts}:
            conditions.append(condition)
        elif pair and len(owners) == 2 and scope.parts in owners:  # a filter that compares with the parent is one more key
            mine, other = sorted(pair, key=lambda column: scope.owner(column) != scope.parts)
            keys.append((other, mine))
        else:
            raise Unlike("a filter over more than the parts")
    own_keys = {name_of(other.this) for other, _ in keys if scope.owner(other) == scope.parent}
    if scope.unique_index(scope.parent, own_keys, never_null=own_keys) is None:  # nulls are looked for by the scan
        raise Unlike("parts that belong to more than one row")
    used = scope.owners(all_of([stored, *of_parent, *(other for other, _ in keys)]))
    maybe_null = [node for node in (stored, *(other for other, _ in keys)) if not scope.is_never_null(node)]
    parent = BalanceSide(
        scope.source(used),
        scope.scanned(stored, used),
        tuple(scope.key(other, scope.scanned(other, used)) for other, _ in keys),
        scope.scanned(all_of(of_parent), used) if of_parent else None,
        tuple(scope.scanned(node, used) for node in maybe_null),
    )
    parts = BalanceSide(
        scope.parts_source(),
        scope.scanned_parts(term.value),
        tuple(scope.key(mine, scope.scanned_parts(mine)) for _, mine in keys),
        scope.scanned_parts(all_of(conditions)) if conditions else None,
        (),  # a part without key or amount counts for nothing in the query too
    )
    if not all(has_same_equality(a, b) for a, b in zip(parent.keys, parts.keys, strict=True)):
        raise Unlike("keys of different types")
    return Balance(parent, parts)


@dataclass
class _Term:
    """An aggregate over parts: the sum of `value` over the parts that meet the conditions."""

    value: exp.Expr
    conditions: list[exp.Expr] = field(default_factory=list)
    is_zero_when_empty: bool = False
    counts_rows: bool = False


def _stored_and_term(part: exp.Expr, scope: Scope) -> tuple[exp.Expr, _Term, bool]:
    part = part.unnest()
    if not isinstance(part, exp.NEQ | exp.NullSafeNEQ):
        raise Unlike("a comparison other than <> and is distinct from")
    sides = [part.this, part.expression]
    sums = [side for side in sides if side.find(exp.AggFunc)]
    if len(sums) != 1:
        raise Unlike("sums that are compared with other sums")
    stored = sides[0] if sums[0] is sides[1] else sides[1]
    return stored, _term(sums[0], scope), isinstance(part, exp.NullSafeNEQ)


def _term(node: exp.Expr, scope: Scope) -> _Term:
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
        more = split(node.expression.this, exp.And)
        return replace(inner, conditions=[*inner.conditions, *more])
    owner = scope.parts or scope.parent
    if isinstance(node, exp.Sum) and isinstance(node.this, exp.Expr) and not isinstance(node.this, exp.Distinct):
        if scope.owners(node.this) != {owner}:
            raise Unlike("a sum over more than the parts")
        scope.require_plain(node.this)
        if any(scope.column(column).type not in _NUMBER_TYPES for column in _values(node.this)):
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


def _is_more_than_one(part: exp.Expr, scope: Scope) -> bool:
    """Whether it is `count(*) > 1`, or `count(column) > 1` of the parts' rows."""
    part = part.unnest()
    if not isinstance(part, exp.GT) or not isinstance(part.this, exp.Count) or part.expression.sql() != "1":
        return False
    counted = part.this.this
    if isinstance(counted, exp.Star):
        return True
    return (
        isinstance(counted, exp.Column)
        and not part.this.expressions
        and scope.owner(counted) in (scope.parts, scope.parent)
    )


def _unique(
    alias: str, columns: set[str], conditions: list[exp.Expr], scope: Scope, *, never_null: Iterable[str] = ()
) -> Unique:
    if any(may_overflow(condition) for condition in conditions):
        raise Unlike("a condition that calculates")
    index = scope.unique_index(alias, columns, conditions, never_null=never_null)
    if index is None:
        raise Unlike("no valid unique index on the group's columns")
    return Unique(index.name)


def _conditions(query: exp.Select, scope: Scope) -> tuple[list[exp.Expr], list[exp.Expr]]:
    """Return what the where clause asks of the parent, and what where clause and join ask of the parts."""
    of_parent: list[exp.Expr] = []
    of_parts = list(scope.parts_join.conditions) if scope.parts_join else []
    where = query.args.get("where")
    for condition in split(where.this, exp.And) if where else ():
        scope.require_plain(condition)
        owners = scope.owners(condition)
        if scope.parts and owners == {scope.parts}:
            of_parts.append(condition)
        elif scope.parts in owners:
            raise Unlike("a condition over parent and parts")
        else:
            of_parent.append(condition)
    return of_parent, of_parts


def _values(node: exp.Expr) -> list[exp.Column]:
    """Return the columns whose values are added up; those that only decide in a case's condition are left out."""
    conditions = {id(column) for case in node.find_all(exp.If) for column in case.this.find_all(exp.Column)}
    return [column for column in node.find_all(exp.Column) if id(column) not in conditions]

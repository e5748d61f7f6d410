"""Checks asked of whole columns at once, where a row's columns come from different places.

Known are comparisons of whole numbers, times and texts, tests for null, `and`, `or` and `not`. A check that says more is
not understood: then the server alone judges it.
"""

from collections.abc import Mapping

import numpy as np
from sqlglot import exp

from integrity.engines.columns import Array, ColumnValues, CopyKind
from integrity.seeds.schema.guide import bare, literal_of
from integrity.seeds.schema.keys import codes_together
from integrity.sql.query import find_tree

_INTEGERS = (CopyKind.BIGINT, CopyKind.INTEGER, CopyKind.SMALLINT, CopyKind.BOOLEAN)
_TIMES = (CopyKind.TIMESTAMPTZ, CopyKind.DATE)


class _Unknown(Exception):
    """The check says more than is known here."""


def holds(text: str, columns: Mapping[str, ColumnValues], count: int, *, nulls_pass: bool = True) -> Array | None:
    """Return of which rows a condition does not say no; None: it is not understood.

    Args:
        columns: those that it names, of `count` rows.
        nulls_pass: True for a check, which null passes; False for a predicate.
    """
    tree = find_tree(text)
    if tree is None:
        return None
    try:
        is_true, is_null = _Reader(columns, count).judge(tree)
    except (_Unknown, KeyError):
        return None
    return is_true | is_null if nulls_pass else is_true & ~is_null


Truth = tuple[Array, Array]
"""Where it is true, and where it is null; the first says nothing where the second does."""


class _Reader:
    def __init__(self, columns: Mapping[str, ColumnValues], count: int) -> None:
        self._columns, self._count = columns, count

    def judge(self, tree: exp.Expr) -> Truth:
        tree = bare(tree)
        match tree:
            case exp.Not():
                is_true, is_null = self.judge(tree.this)
                found = ~is_true, is_null
            case exp.And() | exp.Or():
                found = self._join(tree)
            case exp.Is():
                found = self._judge_is(tree)
            case exp.Boolean():
                found = np.full(self._count, bool(tree.this)), self._no()
            case exp.Column():
                column = self._columns[tree.name]
                found = self._equals(column, "true")
            case exp.In() if not tree.args.get("query"):
                found = self._any_of(tree.this, tree.expressions, is_negated=bool(tree.args.get("negate")))
            case exp.EQ() if isinstance(bare(tree.expression), exp.Any):
                found = self._any_of(tree.this, bare(bare(tree.expression).this).expressions, is_negated=False)
            case exp.EQ() | exp.NEQ() | exp.GT() | exp.GTE() | exp.LT() | exp.LTE():
                found = self._compare(tree)
            case _:
                raise _Unknown
        return found

    def _no(self) -> Array:
        return np.zeros(self._count, np.bool_)

    def _nulls(self, column: ColumnValues) -> Array:
        return self._no() if column.nulls is None else column.nulls

    def _join(self, tree: exp.Expr) -> Truth:
        truths = [self.judge(part) for part in tree.flatten()]
        is_no = np.logical_or if isinstance(tree, exp.And) else np.logical_and
        no = is_no.reduce([~is_true & ~is_null for is_true, is_null in truths])
        is_yes = np.logical_and if isinstance(tree, exp.And) else np.logical_or
        yes = is_yes.reduce([is_true & ~is_null for is_true, is_null in truths])
        return yes, ~yes & ~no

    def _judge_is(self, tree: exp.Is) -> Truth:
        if isinstance(bare(tree.expression), exp.Null):
            operand = bare(tree.this)
            if not isinstance(operand, exp.Column):
                raise _Unknown
            found = self._nulls(self._columns[operand.name])
        else:
            is_true, is_null = self.judge(tree.this)
            wanted = bool(bare(tree.expression).this)
            found = (is_true if wanted else ~is_true) & ~is_null
        return (~found if tree.args.get("negate") else found), self._no()

    def _any_of(self, operand: exp.Expr, choices: list[exp.Expr], *, is_negated: bool) -> Truth:
        operand = bare(operand)
        texts = [literal_of(each) for each in choices]
        if not isinstance(operand, exp.Column) or None in texts:
            raise _Unknown
        column = self._columns[operand.name]
        found = self._no()
        for text in texts:
            found = found | self._equals(column, text or "")[0]
        return (~found if is_negated else found), self._nulls(column)

    def _equals(self, column: ColumnValues, text: str) -> Truth:
        if column.kind in _INTEGERS:
            return column.values == _whole(text), self._nulls(column)
        if column.kind in (CopyKind.TEXT, CopyKind.BYTES) and column.labels is not None:
            return (column.labels == text.encode())[column.values], self._nulls(column)
        if column.kind is CopyKind.TEXT:
            return column.values == text.encode(), self._nulls(column)
        raise _Unknown

    def _compare(self, tree: exp.Binary) -> Truth:
        left, right = bare(tree.this), bare(tree.expression)
        if isinstance(tree, exp.EQ | exp.NEQ):
            for one, other in ((left, right), (right, left)):
                text = literal_of(other)
                if isinstance(one, exp.Column) and text is not None:
                    is_true, is_null = self._equals(self._columns[one.name], text)
                    return (is_true if isinstance(tree, exp.EQ) else ~is_true), is_null
            if isinstance(left, exp.Column) and isinstance(right, exp.Column):
                first, second = self._columns[left.name], self._columns[right.name]
                is_alike = np.equal(*codes_together(first, second))
                return (is_alike if isinstance(tree, exp.EQ) else ~is_alike), self._nulls(first) | self._nulls(second)
            if _is_truth(left) and _is_truth(right):
                (one_true, one_null), (other_true, other_null) = self.judge(left), self.judge(right)
                is_alike = one_true == other_true
                return (is_alike if isinstance(tree, exp.EQ) else ~is_alike), one_null | other_null
        one_values, one_null = self._amount(left)
        other_values, other_null = self._amount(right)
        return _COMPARE[type(tree)](one_values, other_values), one_null | other_null

    def _amount(self, tree: exp.Expr) -> Truth:
        tree = bare(tree)
        if isinstance(tree, exp.Column):
            column = self._columns[tree.name]
            if column.kind not in (*_INTEGERS, *_TIMES):
                raise _Unknown
            return column.values, self._nulls(column)
        if isinstance(tree, exp.Add | exp.Sub):
            (one, one_null), (other, other_null) = self._amount(tree.this), self._amount(tree.expression)
            return (one + other if isinstance(tree, exp.Add) else one - other), one_null | other_null
        text = literal_of(tree)
        if text is None:
            raise _Unknown
        return np.full(self._count, _whole(text)), self._no()


def _whole(text: str) -> int:
    if text in ("true", "false"):
        return int(text == "true")
    try:
        return int(text)
    except ValueError:
        raise _Unknown from None


def _is_truth(tree: exp.Expr) -> bool:
    return isinstance(tree, exp.Is | exp.Not | exp.And | exp.Or | exp.Predicate)


_COMPARE = {
    exp.EQ: np.equal,
    exp.NEQ: np.not_equal,
    exp.GT: np.greater,
    exp.GTE: np.greater_equal,
    exp.LT: np.less,
    exp.LTE: np.less_equal,
}

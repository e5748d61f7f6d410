"""Rows of text led towards what a check wants, by its tree: so that of a few hundred candidates many pass.

A comparison sets a column, an `and` does each of its parts, an `or` one of them. What the tree does not tell is left to
chance: whether a row passes is for the server to say, not for us.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from sqlglot import exp

from integrity.seeds.schema.dice import Dice
from integrity.seeds.schema.patterns import match_expression, match_like
from integrity.seeds.schema.tables import Column
from integrity.seeds.schema.texts import NUMBERS, TIMES, write_time

Row = dict[str, str | None]


class Guide:
    """Leads rows towards a check.

    Args:
        columns: by the names that checks use; "value" is a domain's.
        fresh: makes a value of a column anew.
    """

    def __init__(self, columns: Mapping[str, Column], fresh: Callable[[str], str | None], dice: Dice) -> None:
        self._columns, self._fresh, self._dice = columns, fresh, dice

    def lead(self, tree: exp.Expr, row: Row, *, truth: bool = True) -> None:
        """Change the row so that the tree most likely has that truth on it."""
        tree = bare(tree)
        truth = truth is not bool(tree.args.get("negate"))
        if isinstance(tree, exp.Not):
            self.lead(tree.this, row, truth=not truth)
        elif isinstance(tree, exp.And | exp.Or):
            parts = list(tree.flatten())
            does_all = isinstance(tree, exp.And) is truth
            for part in parts if does_all else [self._dice.choose(parts)]:
                self.lead(part, row, truth=truth)
        elif isinstance(tree, exp.Is):
            self._lead_null(tree, row, truth=truth)
        elif isinstance(tree, exp.Column):
            self._set(row, tree.name, "true" if truth else "false")
        elif isinstance(tree, exp.In) and isinstance(bare(tree.this), exp.Column):
            self._choose(bare(tree.this).name, tree.expressions, row, truth=truth)
        elif isinstance(tree, exp.Between):
            self._compare(exp.GTE, tree.this, tree.args["low"], row)
            self._compare(exp.LTE, tree.this, tree.args["high"], row)
        elif isinstance(tree, exp.Like | exp.ILike | exp.RegexpLike | exp.RegexpILike):
            self._match(tree, row, truth=truth)
        elif isinstance(tree, exp.EQ | exp.NEQ | exp.GT | exp.GTE | exp.LT | exp.LTE):
            kind = type(tree) if truth else _OPPOSITE[type(tree)]
            self._compare(kind, tree.this, tree.expression, row)

    def _lead_null(self, tree: exp.Is, row: Row, *, truth: bool) -> None:
        operand = bare(tree.this)
        if isinstance(tree.expression, exp.Boolean):
            self.lead(operand, row, truth=bool(tree.expression.this) is truth)
        elif isinstance(operand, exp.Column) and operand.name in self._columns:
            self._set(row, operand.name, None if truth else row[operand.name] or self._fresh(operand.name))

    def _set(self, row: Row, name: str, value: str | None) -> None:
        if name in self._columns:
            row[name] = value

    def _choose(self, name: str, choices: Any, row: Row, *, truth: bool) -> None:
        values = [value for value in map(literal_of, choices) if value is not None]
        if truth and values:
            self._set(row, name, self._dice.choose(values))

    def _match(self, tree: exp.Binary, row: Row, *, truth: bool) -> None:
        column, pattern = bare(tree.this), literal_of(tree.expression)
        if truth and isinstance(column, exp.Column) and pattern is not None:
            match = match_like if isinstance(tree, exp.Like | exp.ILike) else match_expression
            self._set(row, column.name, match(pattern, self._dice))

    def _compare(self, kind: type[exp.Expr], left: exp.Expr, right: exp.Expr, row: Row) -> None:
        left, right = bare(left), bare(right)
        if isinstance(right, exp.Column) and not isinstance(left, exp.Column):
            left, right, kind = right, left, _MIRRORED[kind]
        if isinstance(right, exp.Length) and not isinstance(left, exp.Length):
            left, right, kind = right, left, _MIRRORED[kind]
        if kind in (exp.EQ, exp.NEQ) and isinstance(left, _TRUTHS) and isinstance(right, _TRUTHS):
            truth = self._dice.chance(0.5)
            self.lead(left, row, truth=truth)
            self.lead(right, row, truth=truth if kind is exp.EQ else not truth)
        elif isinstance(right, exp.Any) and kind is exp.EQ and isinstance(left, exp.Column):
            self._choose(left.name, bare(right.this).expressions, row, truth=True)
        elif isinstance(left, exp.Column) and left.name in self._columns:
            self._move(kind, left.name, right, row)
        elif isinstance(left, exp.Length):
            self._stretch(kind, bare(left.this), right, row)
        elif isinstance(left, exp.Anonymous) and left.name.lower() == "num_nonnulls" and kind is exp.EQ:
            names = [bare(each).name for each in left.expressions]
            kept = {self._dice.choose(names) for _ in range(int(literal_of(right) or 1))}
            for name in names:
                self._set(row, name, (row.get(name) or self._fresh(name)) if name in kept else None)

    def _move(self, kind: type[exp.Expr], name: str, bound: exp.Expr, row: Row) -> None:
        """Set a column so that it compares with the bound as wanted."""
        column = self._columns[name]
        base = column.type.base
        value = literal_of(bound) if not isinstance(bound, exp.Column) else row.get(bound.name)
        if isinstance(bound, exp.Column) and value is None:
            return
        if kind is exp.EQ and value is not None:
            row[name] = value
        elif base in NUMBERS:
            number = _number(bound, row)
            if number is None:
                return
            held = _as_number(row[name])
            if kind is exp.EQ:
                row[name] = str(number)
            elif held is None or not _holds(kind, held, number):
                row[name] = self._spell(number + _SIGN[kind] * self._step(kind, number, column), column)
        elif base in TIMES and value is not None:
            bound_at, held_at = _as_time(value), _as_time(row[name])
            if bound_at is not None and (held_at is None or not _holds(kind, held_at, bound_at)):
                days = self._dice.between(1, 30) if base == "date" else 0
                by = timedelta(days=days, minutes=0 if days else self._dice.between(1, 10_000))
                row[name] = write_time(bound_at + _SIGN[kind] * by, base)
        elif kind is exp.NEQ and value == row[name]:
            row[name] = self._fresh(name)

    def _step(self, kind: type[exp.Expr], bound: Decimal, column: Column) -> Decimal:
        """Return how far from a bound a number is put: below one, anywhere between it and zero."""
        far = abs(bound) if kind in (exp.LT, exp.LTE) and bound > 0 else max(Decimal(100), abs(bound))
        if _places(column) == 0:
            return Decimal(self._dice.between(kind in _STRICT, max(1, int(far))))
        unit = Decimal(1).scaleb(-_places(column))
        return max(unit, (far * self._dice.below(1000) / 1000).quantize(unit))

    def _spell(self, number: Decimal, column: Column) -> str:
        return str(number if _places(column) else int(number))

    def _stretch(self, kind: type[exp.Expr], column: exp.Expr, bound: exp.Expr, row: Row) -> None:
        """Set a text so that its length compares with the bound as wanted."""
        length = _number(bound, row)
        if not isinstance(column, exp.Column) or column.name not in self._columns or length is None:
            return
        text = row[column.name] or self._fresh(column.name) or "x"
        if kind is exp.EQ or not _holds(kind, Decimal(len(text)), length):
            wanted = max(0, int(length) + _SIGN[kind] * (kind in _STRICT))
            row[column.name] = (text * (wanted // max(1, len(text)) + 1))[:wanted]


_TRUTHS = (exp.Is, exp.Not, exp.And, exp.Or, exp.Predicate)
_OPPOSITE: Mapping[type[exp.Expr], type[exp.Expr]] = {
    exp.EQ: exp.NEQ,
    exp.NEQ: exp.EQ,
    exp.GT: exp.LTE,
    exp.LTE: exp.GT,
    exp.LT: exp.GTE,
    exp.GTE: exp.LT,
}
_MIRRORED: Mapping[type[exp.Expr], type[exp.Expr]] = {
    exp.EQ: exp.EQ,
    exp.NEQ: exp.NEQ,
    exp.GT: exp.LT,
    exp.LT: exp.GT,
    exp.GTE: exp.LTE,
    exp.LTE: exp.GTE,
}
_STRICT = (exp.GT, exp.LT, exp.NEQ)
_SIGN: Mapping[type[exp.Expr], int] = {
    exp.GT: 1,
    exp.GTE: 1,
    exp.NEQ: 1,
    exp.LT: -1,
    exp.LTE: -1,
    exp.EQ: 0,
}


def bare(tree: exp.Expr) -> exp.Expr:
    """Return what stands within parentheses and casts."""
    while isinstance(tree, exp.Paren | exp.Cast):
        tree = tree.this
    return tree


def literal_of(tree: exp.Expr) -> str | None:
    tree = bare(tree)
    if isinstance(tree, exp.Boolean):
        return "true" if tree.this else "false"
    if isinstance(tree, exp.Neg):
        inner = literal_of(tree.this)
        return None if inner is None else f"-{inner}"
    return str(tree.this) if isinstance(tree, exp.Literal) else None


def _number(tree: exp.Expr, row: Row) -> Decimal | None:
    """Return what an expression of numbers comes to on the row."""
    tree = bare(tree)
    if isinstance(tree, exp.Column):
        return _as_number(row.get(tree.name))
    if isinstance(tree, exp.Coalesce):
        found = (_number(each, row) for each in (tree.this, *tree.expressions))
        return next((each for each in found if each is not None), None)
    if isinstance(tree, exp.Add | exp.Sub | exp.Mul):
        left, right = _number(tree.this, row), _number(tree.expression, row)
        if left is None or right is None:
            return None
        if isinstance(tree, exp.Mul):
            return left * right
        return left + right if isinstance(tree, exp.Add) else left - right
    return _as_number(literal_of(tree))


def _as_number(text: str | None) -> Decimal | None:
    try:
        return None if text is None else Decimal(text)
    except InvalidOperation:
        return None


def _as_time(text: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _places(column: Column) -> int:
    """Return how many digits stand behind the point."""
    if column.type.base == "numeric":
        return max(0, column.type.precision[1])
    return 3 if column.type.base in ("float4", "float8") else 0


def _holds(kind: type[exp.Expr], left: Any, right: Any) -> bool:
    if kind is exp.NEQ:
        return bool(left != right)
    if kind in (exp.GT, exp.GTE):
        return bool(left > right if kind is exp.GT else left >= right)
    return bool(left < right if kind is exp.LT else left <= right)

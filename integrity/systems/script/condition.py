"""Conditions of a decline, as SQL has them: `balance_minor >= :amount_minor and status in ('open', 'held')`.

A plain name is a column of the row that the statement above returned, `:name` a parameter or a value that was kept, `row`
whether a row came back at all. What is unknown is null, and a condition that is null does not hold: as in SQL. It is worked
out here and not by the server, which would be a step more, and one that another call could come between.
"""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from integrity.sql.parameters import find_parameters

if TYPE_CHECKING:
    from sqlglot import exp

Values = Mapping[str, Any]
ROW = "row"


class NoCondition(Exception):
    """The text is no condition that can be worked out; the message says why.

    Args:
        at: where in the text, from 0.
    """

    def __init__(self, reason: str, *, at: int = 0) -> None:
        super().__init__(reason)
        self.at = at


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition.

    Args:
        text: as it was written.
        columns: of the row above that it names, in lower case.
        tree: of it.
    """

    text: str
    columns: frozenset[str]
    tree: "exp.Expr"

    @property
    def parameters(self) -> tuple[str, ...]:
        """What it names as `:name`."""
        return find_parameters(self.text)

    def holds(self, row: Values | None, values: Values) -> bool:
        """Return whether it holds, and is not null.

        Args:
            row: of the statement above; None: none came back.
            values: by name.
        """
        found = {name.lower(): value for name, value in row.items()} if row is not None else {}
        return _truth(_value(self.tree, {**found, ROW: row is not None}, values)) is True


def read_condition(text: str) -> Condition:
    """Return the condition that the text is.

    Raises:
        NoCondition: it cannot be read, or has something that is not worked out here.
    """
    from sqlglot import exp

    from integrity.sql.query import Unparsed, parse_statements, text_of

    try:
        tree = next(iter(parse_statements(text)), None)
    except Unparsed as error:
        raise NoCondition(error.reason, at=error.column - 1) from None
    if tree is None:
        raise NoCondition("it says nothing")
    for node in tree.walk():
        if not isinstance(node, tuple(_known())):
            word = text_of(node)
            raise NoCondition(f"`{word}` is not worked out here", at=max(0, text.lower().find(word.lower()[:8])))
    columns = {node.name.lower() for node in tree.find_all(exp.Column)} - {ROW}
    return Condition(text, frozenset(columns), tree)


def _known() -> list[type]:
    from sqlglot import exp

    leaves = [exp.Column, exp.Identifier, exp.Literal, exp.Null, exp.Boolean, exp.Placeholder]
    return [
        *leaves,
        exp.Paren,
        exp.Neg,
        exp.Not,
        exp.And,
        exp.Or,
        exp.Is,
        exp.In,
        exp.Between,
        exp.Coalesce,
        exp.NullSafeEQ,
        exp.NullSafeNEQ,
        *_operators(),
    ]


def _operators() -> dict[type, Callable[[Any, Any], Any]]:
    from sqlglot import exp

    return {
        exp.EQ: operator.eq,
        exp.NEQ: operator.ne,
        exp.LT: operator.lt,
        exp.LTE: operator.le,
        exp.GT: operator.gt,
        exp.GTE: operator.ge,
        exp.Add: operator.add,
        exp.Sub: operator.sub,
        exp.Mul: operator.mul,
    }


def _value(node: "exp.Expr", row: Values, values: Values) -> Any:
    from sqlglot import exp

    def of(inner: "exp.Expr") -> Any:
        return _value(inner, row, values)

    if isinstance(node, exp.And | exp.Or):
        is_or = isinstance(node, exp.Or)
        truths = [_truth(of(each)) for each in (node.this, node.expression)]
        one, other = map(_not, truths) if is_or else truths
        return _not(_both(one, other)) if is_or else _both(one, other)
    if isinstance(node, exp.Is | exp.NullSafeEQ | exp.NullSafeNEQ):
        one, other = of(node.this), of(node.expression)
        is_same = one is other if None in (one, other) else _alike(one, other)
        return is_same is not (bool(node.args.get("negate")) or isinstance(node, exp.NullSafeNEQ))
    if isinstance(node, exp.Coalesce):
        found = (of(each) for each in (node.this, *node.expressions))
        return next((each for each in found if each is not None), None)
    if type(node) in _operators():
        one, other = of(node.this), of(node.expression)
        return None if None in (one, other) else _operators()[type(node)](*_comparable(one, other))
    return _leaf(node, of, row, values)


def _leaf(node: "exp.Expr", of: "Callable[[exp.Expr], Any]", row: Values, values: Values) -> Any:
    from sqlglot import exp

    value: Any = None  # as null itself is
    match node:
        case exp.Column():
            value = row.get(node.name.lower())
        case exp.Placeholder():
            value = values.get(node.name)
        case exp.Literal():
            value = node.name if node.is_string else _number(node.name)
        case exp.Boolean():
            value = bool(node.this)
        case exp.Paren():
            value = of(node.this)
        case exp.Not():
            value = _not(of(node.this))
        case exp.Neg():
            positive = of(node.this)
            value = None if positive is None else -positive
        case exp.In():
            one = of(node.this)
            value = None if one is None else any(_alike(one, of(each)) for each in node.expressions)
        case exp.Between():
            low, one, high = of(node.args["low"]), of(node.this), of(node.args["high"])
            value = None if None in (low, one, high) else low <= one <= high
    return value


def _truth(value: Any) -> Any:
    """Return a value that stands for true or false as that: SQLite has no other type for it than whole numbers."""
    return bool(value) if isinstance(value, int) else value


def _both(one: Any, other: Any) -> Any:
    if one is False or other is False:
        return False
    return None if one is None or other is None else bool(one and other)


def _not(value: Any) -> Any:
    return None if value is None else not value


def _alike(one: Any, other: Any) -> bool:
    if other is None:
        return False
    one, other = _comparable(one, other)
    return bool(one == other)


def _comparable(one: Any, other: Any) -> tuple[Any, Any]:
    """Return two values that Python compares as SQL does: a text is read as what it is compared with."""
    if isinstance(one, float) and isinstance(other, Decimal):
        return one, float(other)
    if isinstance(other, float) and isinstance(one, Decimal):
        return float(one), other
    if isinstance(one, str) is not isinstance(other, str):
        return str(one), str(other)
    return one, other


def _number(text: str) -> int | Decimal:
    return int(text) if text.isdecimal() else Decimal(text)

"""Values of rows with which an operation's calls are accepted, as far as its file tells.

Of what a decline asks, `unless seats_left >= :seats`, and of what a statement takes away, `seats_left - :seats`, the column
gets in a first row what suffices for two calls of the greatest arguments, so that a lost update shows in the rows, and in
all others what suffices for one, so that two take too much. `status = 'open'` and `is_open` get that very value. Nothing is
said of a column whose condition is not as plain as these; whether the tables' own checks take a value is asked of the
database by whoever makes the row.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any

from integrity.domain import Domain, IntegerIn, NumericIn, OneOf
from integrity.sql.name import literal, quoted
from integrity.systems.script.body import Node, Sends, sent_by
from integrity.systems.script.header import OperationHeader

if TYPE_CHECKING:
    from sqlglot import exp

Place = tuple[str, str]
"""A table, by its plain name, and a column of it."""

_OF_NUMBERS = 2  # values: for two calls, and for one
_OTHER_COLUMN = Decimal(2)  # what a column that nothing is known of may have: a second row's are made 2


@dataclass(frozen=True)
class Accepting:
    """What one file asks of rows.

    Args:
        header, nodes: of the file.
    """

    header: OperationHeader
    nodes: tuple[Node, ...]

    @cached_property
    def is_changing(self) -> bool:
        """Whether a statement of it changes rows."""
        return any(True for _ in self._changed())

    @cached_property
    def values(self) -> Mapping[Place, tuple[str, ...]]:
        """Literals of SQL for columns with which a call is likely to be accepted: of a first row, and of others."""
        return _Reading(self.header, self.nodes).values()

    @cached_property
    def rows(self) -> tuple[str, ...]:
        """Rows that have such values, as the header of a file has them; without any, those that its statements change."""
        if not self.values:
            return tuple(f"-- row {_key_of(table)}: {quoted(table)}" for table in dict.fromkeys(self._changed()))
        by_table: dict[str, list[str]] = {}
        for (table, column), values in self.values.items():
            by_table.setdefault(table, []).append(f"{quoted(column)} = {values[0]}")
        return tuple(f"-- row {_key_of(table)}: {quoted(table)}({', '.join(told)})" for table, told in by_table.items())

    def _changed(self) -> Iterator[str]:
        """Yield the tables whose rows its statements change."""
        from sqlglot import exp

        for each in sent_by(self.nodes):
            tree = each.command.tree
            for node in tree.find_all(exp.Insert, exp.Update, exp.Delete, exp.Merge) if tree is not None else ():
                table = node.this.this if isinstance(node.this, exp.Schema) else node.this
                if isinstance(table, exp.Table):
                    yield _folded(table)


def sufficing(found: Iterable[Mapping[Place, tuple[str, ...]]]) -> Mapping[Place, tuple[str, ...]]:
    """Return values that suffice for all: of two numbers the greater, of two others the first."""
    sufficient: dict[Place, tuple[str, ...]] = {}
    for place, values in (item for each in found for item in each.items()):
        known = sufficient.setdefault(place, values)
        if len(known) == len(values) == _OF_NUMBERS and Decimal(values[-1]) > Decimal(known[-1]):
            sufficient[place] = values
    return sufficient


def _key_of(table: str) -> str:
    """Return what a row of a table may be called: event of events."""
    name = "".join(each if each.isalnum() else "_" for each in table.lower())
    return name[:-1] if name.endswith("s") and not name.endswith("ss") else f"a_{name}"


@dataclass
class _Reading:
    """Reads a file from its top, and knows of each name from which columns its value came.

    Args:
        kept: name of a value -> those columns.
    """

    header: OperationHeader
    nodes: tuple[Node, ...]
    kept: dict[str, list[Place]] = field(default_factory=dict)
    _least: dict[Place, Decimal] = field(default_factory=dict)
    _equal: dict[Place, str] = field(default_factory=dict)

    def values(self) -> Mapping[Place, tuple[str, ...]]:
        for each in sent_by(self.nodes):
            self._read(each)
        least = {place: (f"{2 * value:f}", f"{value:f}") for place, value in self._least.items()}
        return {**least, **{place: (value,) for place, value in self._equal.items()}}

    def _read(self, sends: Sends) -> None:
        from sqlglot import exp

        tree = sends.command.tree
        row = _columns_of(tree) if tree is not None else {}
        for decline in sends.declines:
            self._take(decline.condition.tree, row, is_wanted=decline.is_unless)
        if sends.prefix is not None:
            self.kept |= {f"{sends.prefix}{name}": places for name, places in row.items()}
        for update in tree.find_all(exp.Update) if tree is not None else ():
            table = _folded(update.this)
            own = {each.name.lower(): [(table, _folded(each))] for each in update.find_all(exp.Column)}
            for taken in update.find_all(exp.Sub):
                self._want(taken.this, self._most(taken.expression, own), own)

    def _take(self, node: "exp.Expr", row: Mapping[str, list[Place]], *, is_wanted: bool) -> None:
        """Note what makes a condition hold, or not hold."""
        from sqlglot import exp

        if isinstance(node, exp.Paren | exp.Not):
            self._take(node.this, row, is_wanted=is_wanted is not isinstance(node, exp.Not))
        elif isinstance(node, exp.And if is_wanted else exp.Or):
            for each in (node.this, node.expression):
                self._take(each, row, is_wanted=is_wanted)
        elif isinstance(node, exp.GT | exp.GTE | exp.LT | exp.LTE):
            is_left_greater = isinstance(node, exp.GT | exp.GTE) is is_wanted
            great, small = (node.this, node.expression) if is_left_greater else (node.expression, node.this)
            is_strict = isinstance(node, exp.GT | exp.LT) is is_wanted
            most = self._most(small, row)
            self._want(great, None if most is None else most + is_strict, row)
        elif isinstance(node, exp.EQ if is_wanted else exp.NEQ):
            for one, other in ((node.this, node.expression), (node.expression, node.this)):
                if isinstance(other, exp.Literal | exp.Boolean):
                    value = literal(other.name) if other.is_string else str(other.this).lower()
                    self._equal |= dict.fromkeys(self._places(one, row), value)
        elif isinstance(node, exp.Column) and node.name.lower() != "row":
            self._equal |= dict.fromkeys(self._places(node, row), str(is_wanted).lower())

    def _want(self, great: "exp.Expr", value: Decimal | None, row: Mapping[str, list[Place]]) -> None:
        """Note that what a sum or a column comes to must be as great."""
        from sqlglot import exp

        if isinstance(great, exp.Paren):
            self._want(great.this, value, row)
        elif value is not None and isinstance(great, exp.Sub) and (less := self._most(great.expression, row)) is not None:
            self._want(great.this, value + less, row)
        elif value is not None:
            for place in self._places(great, row):
                self._least[place] = max(value, self._least.get(place, value))

    def _places(self, node: "exp.Expr", row: Mapping[str, list[Place]]) -> list[Place]:
        """Return the columns that a name stands for."""
        from sqlglot import exp

        if isinstance(node, exp.Placeholder | exp.Parameter):
            return self.kept.get(node.name, [])
        return row.get(node.name.lower(), []) if isinstance(node, exp.Column) else []

    def _most(self, node: "exp.Expr", row: Mapping[str, list[Place]]) -> Decimal | None:
        """Return the greatest that an expression comes to; None: nobody knows."""
        from sqlglot import exp

        if isinstance(node, exp.Paren):
            return self._most(node.this, row)
        if isinstance(node, exp.Literal) and not node.is_string:
            return Decimal(node.name)
        if isinstance(node, exp.Add | exp.Mul):
            one, other = self._most(node.this, row), self._most(node.expression, row)
            if one is None or other is None:
                return None
            return one + other if isinstance(node, exp.Add) else one * other
        if isinstance(node, exp.Placeholder | exp.Parameter) and (declared := self.header.parameters.get(node.name)):
            return _most_of(declared.domain)
        return _OTHER_COLUMN if self._places(node, row) else None


def _most_of(domain: Domain) -> Decimal | None:
    match domain:
        case IntegerIn() | NumericIn():
            return Decimal(domain.most)
        case OneOf() if all(isinstance(each, int | Decimal) for each in domain.values):
            return max(Decimal(str(each)) for each in domain.values)
    return None


def _columns_of(tree: Any) -> dict[str, list[Place]]:
    """Return the columns of tables that each column of a statement's row is made of, by its name in lower case."""
    from sqlglot import exp

    returning = tree.args.get("returning")
    selects = returning.expressions if returning else tree.selects if isinstance(tree, exp.Query) else []
    tables = {each.alias_or_name.lower(): _folded(each) for each in tree.find_all(exp.Table)}
    found: dict[str, list[Place]] = {}
    for each in selects:
        columns = each.find_all(exp.Column) if each.find(exp.Count) is None else ()
        named = [(tables.get(column.table.lower()) or _only(tables), _folded(column)) for column in columns]
        found[each.alias_or_name.lower()] = [(table, column) for table, column in named if table]
    return found


def _only(tables: Mapping[str, str]) -> str:
    return next(iter(tables.values())) if len(tables) == 1 else ""


def _folded(node: Any) -> str:
    """Return the name of a table or a column as the catalogue has it: in lower case, unless it stands in quotes."""
    return str(node.name if getattr(node.this, "args", {}).get("quoted") else node.name.lower())

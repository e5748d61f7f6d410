"""What tells the rows that an operation's calls insert, as far as its file says so and its statements prove it.

`-- stores: payments.key = :key` says where the row of a call stands. The call inserted it, so that it goes in a rollback,
only where the file inserts into that table, where none of its statements sets that column of a row that was there before,
and where the value is new with the call: `update accounts set last_key = :'key'` marks somebody else's account.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from integrity.domain import NewKey
from integrity.engines.places import DEFAULT_SCHEMA, TableName
from integrity.operation import Mark
from integrity.systems.script.body import Node, Sends, sent_by, set_by
from integrity.systems.script.header import OperationHeader, Stores
from integrity.systems.script.playing import OPERATION_ID

if TYPE_CHECKING:
    from sqlglot import exp


def is_new(header: OperationHeader, stores: Stores) -> bool:
    """Whether no row had the value before the call, as far as its header tells."""
    declared = header.parameters.get(stores.argument)
    return not stores.argument or stores.argument == OPERATION_ID or isinstance(declared and declared.domain, NewKey)


@dataclass(frozen=True)
class Telling:
    """What one file says of the rows that it inserts."""

    header: OperationHeader
    nodes: Sequence[Node]

    @cached_property
    def marks(self) -> tuple[Mark, ...]:
        """What tells them: what the header says, and each column that an insert gives a value of the call alone."""
        said = (_mark(each) for each in self.header.stores if self._is_proven(each))
        return tuple(dict.fromkeys([*said, *self._given()]))

    @cached_property
    def unmarked(self) -> frozenset[TableName] | None:
        """The tables into which it inserts, or says that it stores, and whose rows nothing tells; None: nobody knows."""
        if not self._is_read or (self._calls_functions and not self.header.stores):
            return None
        said = {(schema, table) for schema, table, _ in (each.place for each in self.header.stores)}
        return frozenset((self._inserted | said) - {(mark.schema, mark.table) for mark in self.marks})

    def _given(self) -> Iterator[Mark]:
        from sqlglot import exp

        new = {name for name, declared in self.header.parameters.items() if isinstance(declared.domain, NewKey)}
        assigned = set(self._assigned())
        for each in self._all(exp.Insert) if self._is_read else ():
            found = _table_of(each)
            if found is not None and isinstance(each.this, exp.Schema) and isinstance(each.expression, exp.Values):
                schema, table = _located(found)
                for place, column in enumerate(map(_plain, each.this.expressions)):
                    given = {_name_of(row.expressions[place]) for row in each.expression.expressions}
                    name = given.pop() if len(given) == 1 else ""
                    if name in {*new, OPERATION_ID} and (schema, table, column) not in assigned:
                        yield Mark(table, column, "" if name == OPERATION_ID else name, schema=schema)

    @cached_property
    def _is_read(self) -> bool:
        """Whether the parser knows all that it may write."""
        return all(node.command.tree is not None for node in self._sent if node.command.may_write)

    @cached_property
    def _calls_functions(self) -> bool:
        """Whether it calls a function of somebody's own: what that writes is not followed."""
        from sqlglot import exp

        return any(each.name.lower() not in _OF_SERVER for each in self._all(exp.Anonymous))

    def _is_proven(self, stores: Stores) -> bool:
        schema, table, column = stores.place
        return (
            is_new(self.header, stores)
            and self._is_read
            and (schema, table) in self._inserted
            and (schema, table, column) not in set(self._assigned())
            and (not stores.reply or self._is_of_inserted(stores.reply))
        )

    def _is_of_inserted(self, name: str) -> bool:
        """Whether the reply has the name of nothing but rows that were inserted."""
        givers = [node.command.tree for node in self._sent if node.command.has_rows and _may_give(node, name)]
        return bool(givers) and all(map(_is_plain_insert, givers)) and name not in set_by(self.nodes)

    @cached_property
    def _sent(self) -> list[Sends]:
        return list(sent_by(self.nodes))

    @cached_property
    def _inserted(self) -> set[TableName]:
        from sqlglot import exp

        found = set()
        for each in self._all(exp.Insert, exp.Merge):
            table = each.find(exp.Table) if isinstance(each, exp.Merge) else _table_of(each)
            found |= {_located(table)} if table is not None else set()
        return found

    def _assigned(self) -> Iterator[tuple[str, str, str]]:
        """Yield the columns of rows that were there before which a statement sets."""
        from sqlglot import exp

        for each in self._all(exp.Update, exp.OnConflict):
            owner = each if isinstance(each.this, exp.Table) else each.find_ancestor(exp.Insert, exp.Merge)
            table = _table_of(owner) if owner is not None else None
            if table is not None:
                for one in each.expressions:
                    yield from ((*_located(table), _plain(column.this)) for column in one.this.find_all(exp.Column))

    def _all(self, *kinds: "type[exp.Expr]") -> Iterator[Any]:
        """Yield the parts of these kinds of all statements that the parser knows."""
        for node in self._sent:
            if node.command.tree is not None:
                yield from node.command.tree.find_all(*kinds)


_OF_SERVER = frozenset(
    [
        "clock_timestamp",
        "format",
        "gen_random_uuid",
        "jsonb_build_object",
        "nextval",
        "pg_sleep",
        "statement_timestamp",
        "transaction_timestamp",
    ]
)
"""Functions that sqlglot has no name for, and that write no row."""


def _is_plain_insert(tree: Any) -> bool:
    """Whether it returns rows that it inserted, and none that it found."""
    from sqlglot import exp

    conflict = tree.args.get("conflict") if isinstance(tree, exp.Insert) else None
    return isinstance(tree, exp.Insert) and (conflict is None or not conflict.expressions)


def _may_give(node: Sends, name: str) -> bool:
    """Whether a value of its row is called so; where only the server knows the columns it may be."""
    columns = node.command.columns
    return columns is None or name in {*columns, *(f"{node.prefix or ''}{each}" for each in columns)}


def _name_of(value: Any) -> str:
    """Return the name of the value that is given as it is; empty: it is another one."""
    from sqlglot import exp

    return str(value.this) if isinstance(value, exp.Placeholder) else ""


def _mark(stores: Stores) -> Mark:
    schema, table, column = stores.place
    return Mark(table, column, "" if stores.argument == OPERATION_ID else stores.argument, stores.reply, schema)


def _table_of(tree: "exp.Expr") -> "exp.Table | None":
    from sqlglot import exp

    found = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
    return found if isinstance(found, exp.Table) else None


def _located(table: "exp.Table") -> TableName:
    schema = table.args.get("db")
    return _plain(schema) if schema else DEFAULT_SCHEMA, _plain(table.this)


def _plain(identifier: Any) -> str:
    """Return a name as the database has it."""
    return str(identifier.name if identifier.args.get("quoted") else identifier.name.lower())

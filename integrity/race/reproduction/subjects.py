"""Subjects: which rows of tables a violated row is about, and which rows refer to those.

A row of an invariant says `account_id = 7`: it is about row 7 of accounts, by the column that the query takes it from, or
by the column's name. A call that names an order may be about the same account, if the order refers to it: which orders do
is asked of the database, along its foreign keys.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy import ForeignKeyConstraint, MetaData, Table
from sqlglot import exp

from integrity.database.names import find_named, located, name_of
from integrity.engines.places import schema_of
from integrity.engines.target import Target
from integrity.errors import AuditError
from integrity.invariants.syntax import tables_of
from integrity.sql.file import SqlFile
from integrity.sql.name import literal, quoted

HOPS_MAX = 3
KEYS_MAX = 100_000
"""So many rows refer to a subject at most; of more of them nothing is told apart."""

TextKey = tuple[str, ...]
"""A primary key, each of its columns as text: a history has values as JSON, the evidence as the server spells them."""


def text_key(value: Any) -> TextKey:
    """Return a key as it is compared here."""
    return tuple(map(str, value)) if isinstance(value, list | tuple) else (str(value),)


@dataclass(frozen=True)
class Subjects:
    """What a violated row is about.

    Args:
        file: the invariant.
        row: as the audit kept it.
        metadata: the tables of the system.
        target: the database that was audited, to ask which rows refer to which.
    """

    file: SqlFile
    row: Mapping[str, Any]
    metadata: MetaData
    target: Target

    @cached_property
    def tables_read(self) -> frozenset[str]:
        """The tables that the invariant reads, by their names in digests; none: nobody knows, e.g. of views."""
        tables = {(schema_of(table), table.name): name_of(table) for table in self.metadata.sorted_tables}
        plain = {table.name: name_of(table) for table in self.metadata.sorted_tables}
        found = []
        for each in tables_of(self.file.tree):
            name = tables.get((each.schema, each.name)) if each.schema else plain.get(each.name)
            if name is None and each.schema != "integrity":  # whose relations hold the calls
                return frozenset()
            found.append(name)
        return frozenset(name for name in found if name)

    @cached_property
    def keys(self) -> Mapping[Table, TextKey]:
        """The rows: of each table at most one."""
        keyed = ((table, self._key_of(table)) for table in self.metadata.sorted_tables if table.primary_key.columns)
        return {table: key for table, key in keyed if key}

    def key_of_argument(self, argument: str) -> TextKey:
        """Return what the row has in a column of an argument's name; empty: it has none."""
        value = self.row.get(argument)
        return () if value is None else text_key(value)

    def find_referring(self, table: Table) -> frozenset[TextKey]:
        """Return the keys of the rows of a table that lead to a subject along foreign keys; none where nobody knows."""
        for path in _paths(table, self.metadata):
            subject = path[-1].target
            if subject in self.keys:
                return self._ask(table, path, self.keys[subject])
        return frozenset()

    def _ask(self, table: Table, path: "tuple[_Hop, ...]", key: TextKey) -> frozenset[TextKey]:
        columns = ", ".join(f"t0.{quoted(column.name)}" for column in table.primary_key.columns)
        joins = [f"{located(table, self.target.dialect)} as t0"]
        for number, hop in enumerate(path):
            on = " and ".join(f"t{number}.{quoted(here)} = t{number + 1}.{quoted(there)}" for here, there in hop.columns)
            joins.append(f"join {located(hop.target, self.target.dialect)} as t{number + 1} on {on}")
        names = [column.name for column in path[-1].target.primary_key.columns]
        kept = " and ".join(
            f"t{len(path)}.{quoted(name)} = {literal(value)}" for name, value in zip(names, key, strict=True)
        )
        question = f"select distinct {columns} from {' '.join(joins)} where {kept} limit {KEYS_MAX + 1}"
        schemas = tuple({schema_of(each) for each in (table, *(hop.target for hop in path))})
        try:
            with self.target.open_line(schemas, is_read_only=True) as line:
                found = line.ask(question)
        except AuditError:  # the tables are not there any more, or it takes too long: then nobody knows, as said above
            return frozenset()
        return frozenset(text_key(each) for each in found) if len(found) <= KEYS_MAX else frozenset()

    def _key_of(self, table: Table) -> TextKey:
        primary = [column.name for column in table.primary_key.columns]
        taken = [self._value_of(table, name, is_single=len(primary) == 1) for name in primary]
        return () if None in taken else tuple(map(str, taken))

    def _value_of(self, table: Table, primary: str, *, is_single: bool) -> Any:
        """Return the value of a primary key's column that the row tells, None if it tells none."""
        for name, value in self.row.items():
            if value is not None and self._origins.get(name) in self._meaning(table, primary):
                return value
        names = {source for source in self._names_of(table, primary) if source not in self._origins} if is_single else ()
        is_read = name_of(table) in self.tables_read
        if primary not in self._origins and (not is_single or is_read or not self.tables_read):
            names = {*names, primary}
        return next((self.row[name] for name in sorted(names) if self.row.get(name) is not None), None)

    def _meaning(self, table: Table, primary: str) -> set[tuple[str, str]]:
        """Return the columns, each with its table, whose values are those of a primary key's column."""
        return {(name_of(table), primary)} | {
            (name_of(other), element.parent.name)
            for other, key in _references_to(table, self.metadata)
            for element in key.elements
            if element.column.name == primary
        }

    def _names_of(self, table: Table, primary: str) -> set[str]:
        """Return what a column may be called that tells a table's row, where nothing says where it is from."""
        names = {f"{table.name}_{primary}", f"{table.name.removesuffix('s')}_{primary}"}
        return names | {name for other, name in self._meaning(table, primary) if other != name_of(table)}

    @cached_property
    def _origins(self) -> Mapping[str, tuple[str, str]]:
        """Return for each column that the query takes from a table as it is that table and column."""
        tree = self.file.tree
        if not isinstance(tree, exp.Select):
            return {}
        sources = [each for each in (tree.args.get("from_"), *tree.args.get("joins", ())) if each is not None]
        known = {name_of(table): table for table in self.metadata.sorted_tables}
        known |= {f"{schema_of(table)}.{table.name}": table for table in self.metadata.sorted_tables}
        named: dict[str, Table] = {}
        for source in sources:
            if isinstance(source.this, exp.Table):
                spelled = f"{source.this.db}.{source.this.name}" if source.this.db else source.this.name
                if found := find_named(known, spelled):
                    named[source.this.alias_or_name] = found[1]
        origins = {}
        for each in tree.selects:
            column = each.unalias()
            if isinstance(column, exp.Column) and column.table in named:
                origins[each.alias_or_name] = name_of(named[column.table]), column.name
        return origins


@dataclass(frozen=True, slots=True)
class _Hop:
    """From a row to those that a foreign key joins it with.

    Args:
        target: the table.
        columns: pairs, of this table and of that.
    """

    target: Table
    columns: tuple[tuple[str, str], ...]


def _paths(table: Table, metadata: MetaData) -> Iterator[tuple[_Hop, ...]]:
    """Yield the ways from a table along foreign keys, in either direction, the shortest to each table."""
    queue: deque[tuple[Table, tuple[_Hop, ...]]] = deque([(table, ())])
    seen = {table}
    while queue:
        at, path = queue.popleft()
        for hop in _hops(at, metadata):
            if hop.target not in seen and len(path) < HOPS_MAX:
                seen.add(hop.target)
                yield (*path, hop)
                queue.append((hop.target, (*path, hop)))


def _hops(table: Table, metadata: MetaData) -> Iterator[_Hop]:
    for key in sorted(table.foreign_key_constraints, key=lambda each: str(each.name)):
        yield _Hop(key.referred_table, tuple((each.parent.name, each.column.name) for each in key.elements))
    for other, key in _references_to(table, metadata):
        yield _Hop(other, tuple((each.column.name, each.parent.name) for each in key.elements))


def _references_to(table: Table, metadata: MetaData) -> Iterator[tuple[Table, ForeignKeyConstraint]]:
    for other in metadata.sorted_tables:
        for key in sorted(other.foreign_key_constraints, key=lambda each: str(each.name)):
            if key.referred_table is table:
                yield other, key

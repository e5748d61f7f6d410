"""Staging: the stage of one schedule as what inserts it.

On PostgreSQL all rows are one statement, and so one round trip: ids are taken from the sequences first, and then each row
is inserted with its own and those that it refers to. Rows of one table with the same columns share an `insert`. Foreign
keys are checked at the statement's end, so the order of the inserts does not matter. The text depends on the stage's shape
alone, and is prepared once. Measured for the 44 rows of ghostpass: 1.0 ms, and 1.4 ms with the ids in one flight and the
inserts, pipelined, in the next.

On SQLite each row is an insert of its own, all in one transaction. What is made of somebody's own schema, with values that
the database makes and keys of several columns, is inserted row by row on both (row_by_row.py).
"""

from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from integrity.database.names import find_named
from integrity.engines.known import USUAL
from integrity.engines.schemas import schema_in
from integrity.engines.values import text_of
from integrity.errors import UsageError
from integrity.operation import Statement, Value
from integrity.race.program.program import Keys
from integrity.race.program.wire import StatementRefused
from integrity.sql.name import literal, quoted
from integrity.suggestion import suggest
from integrity.systems.stage import Expression, Ref, Stage, StagedRow

StagedColumn = tuple[str, str | None]
"""A column, and the row that it refers to, if it does."""

Shape = tuple[tuple[str, str, tuple[StagedColumn, ...]], ...]
"""Name, table and columns of each row."""

_JSON = ("json", "jsonb")


@dataclass(frozen=True, slots=True)
class Staged:
    """What came of a stage.

    Args:
        keys: with the ids of their rows.
        generated: keys and ids: what is renamed when runs are compared.
    """

    keys: Keys
    generated: set[Any]


@dataclass(frozen=True, slots=True)
class TableFacts:
    """What inserting into a table takes.

    Args:
        types: of its columns, by their plain names.
        numbered: the column that a sequence numbers, and that sequence; empty if none does.
        key: the column that is its primary key, empty where that is several or none.
        keys: the columns of its primary key, in its order.
        default: what makes the key, where no sequence does, e.g. "gen_random_uuid()".
    """

    types: Mapping[str, str]
    numbered: str = ""
    sequence: str = ""
    key: str = ""
    default: str = ""
    keys: tuple[str, ...] = ()

    @property
    def id_column(self) -> str:
        """The column that references mean; empty if there is none."""
        return self.numbered or self.key

    @property
    def makes_ids(self) -> bool:
        """The database makes the id of a row that does not give it."""
        return bool(self.sequence or self.default)

    def plain(self, column: str) -> str:
        """Return the plain name of a column, however it is spelled; an unknown one is for the server to refuse."""
        found = find_named(self.types, column)
        return found[0] if found else column

    def as_read(self, column: str, value: Value) -> Value:
        """Return the value of a parameter; a list of a JSON column is no array, and a text there is JSON already."""
        is_json = not isinstance(value, str) and self.types.get(self.plain(column)) in _JSON
        return text_of(value, is_json=True) if is_json else value


class Inserter:
    """Makes the statements that insert stages on one PostgreSQL database.

    Args:
        tables: by their plain names, with and, where they are visible, without their schemas.
    """

    def __init__(self, tables: Mapping[str, TableFacts]) -> None:
        self.tables = tables
        self._texts: dict[Shape, str] = {}

    def statement(self, stage: Stage) -> Statement:
        """Return the statement that inserts all rows and returns the ids that it makes, in one row.

        Raises:
            UsageError: a row refers to none before it, or to one without an id, or shares its name.
        """
        shape = shape_of(stage)
        if shape not in self._texts:
            check_shape(shape, self.tables)
            self._texts[shape] = _insert_sql(shape, self.tables)
        values = (
            facts.as_read(column, value)
            for row in stage.rows
            for facts in [facts_of(self.tables, row.table)]
            for column, value in row.values.items()
            if not isinstance(value, Ref | Expression)
        )
        return Statement(self._texts[shape], {f"v{number}": value for number, value in enumerate(values)})

    def read_ids(self, stage: Stage, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the ids of the rows by their names, made or given, from what the statement returned."""
        ids: dict[str, Any] = {}
        for number, each in enumerate(stage.rows):
            facts = facts_of(self.tables, each.table)
            if f"i{number}" in row:
                ids[each.name] = row[f"i{number}"]
            elif facts.id_column:
                given = {facts.plain(column): value for column, value in resolve(each, ids).items()}
                ids |= {each.name: given[facts.id_column]} if facts.id_column in given else {}
        return ids


def facts_of(tables: Mapping[str, TableFacts], spelled: str) -> TableFacts:
    """Return the facts of a table, however a row spells its name; of an unknown one there are none."""
    found = find_named(tables, spelled)
    return found[1] if found else TableFacts({})


def resolve(row: StagedRow, ids: Mapping[str, Any]) -> dict[str, Value]:
    """Return the values of a row, with ids for what it refers to."""
    return {
        column: ids[value.row] if isinstance(value, Ref) else value
        for column, value in row.values.items()
        if not isinstance(value, Expression)
    }


def staged(stage: Stage, ids: Mapping[str, Any]) -> Staged:
    """Return what came of a stage whose rows got these ids.

    Raises:
        UsageError: a key refers to a row that is not there, or has no id.
    """
    for name, key in stage.keys.items():
        if isinstance(key, Ref) and key.row not in ids:
            raise UsageError(f"the stage's key {name} refers to row {key.row!r}, and no row of that name has an id")
    return named({name: ids[key.row] if isinstance(key, Ref) else key for name, key in stage.keys.items()}, ids)


def named(keys: Keys, ids: Mapping[str, Any]) -> Staged:
    """Return what came of a stage, given its keys and the ids of its rows, of which some may be of several columns."""
    values = [
        each for value in (*keys.values(), *ids.values()) for each in (value if isinstance(value, tuple) else (value,))
    ]
    return Staged(keys, {value for value in values if isinstance(value, Hashable) and not isinstance(value, bool | None)})


def shape_of(stage: Stage) -> Shape:
    """Return what two stages have in common that are inserted by one text."""
    return tuple(
        (
            row.name,
            row.table,
            tuple((column, value.row if isinstance(value, Ref) else None) for column, value in row.values.items()),
        )
        for row in stage.rows
    )


@contextmanager
def telling_refusal(stage: Stage, tables: Mapping[str, TableFacts]) -> Iterator[None]:
    """Turn what is wrong with a stage's rows, or is refused about them, into an error with the place of the stage.

    Raises:
        UsageError: for the block.
    """
    place = f"{stage.place}: " if stage.place else ""
    try:
        yield
    except UsageError as error:
        raise UsageError(f"{place}{error.message}", hint=error.hint) from None
    except StatementRefused as refused:
        rows = {row.name: f"{row.name!r} of {row.table}" for row in stage.rows}
        written = {row.name: row.written_at for row in stage.rows if row.written_at.path}
        name = refused.row or next((row.name for row in stage.rows if _is_strange(row, tables)), "")
        if name in written:
            said = f"row {rows[name]} was refused: {refused.reason}"
            raise UsageError(written[name].describe(said), hint=_REFUSED_ROW) from None
        which = f"row {rows[name]} was" if name else "rows were"
        hint = f"Its rows are: {', '.join(rows.values())}."
        raise UsageError(f"{place}the stage's {which} refused: {refused.reason}", hint=hint) from None


_REFUSED_ROW = "Give it other values, or leave them out: those that must be there are made, as its checks want them."


def _is_strange(row: StagedRow, tables: Mapping[str, TableFacts]) -> bool:
    """Return whether the row names a table or a column that there is not."""
    facts = facts_of(tables, row.table)
    return not facts.types or any(facts.plain(column) not in facts.types for column in row.values)


def check_shape(shape: Shape, tables: Mapping[str, TableFacts]) -> None:
    """Make sure that every reference is to a row before it that has an id, given or made.

    Raises:
        UsageError: one is not.
    """
    known: dict[str, tuple[str, bool]] = {}
    for name, table, columns in shape:
        facts = facts_of(tables, table)
        for column, row in columns:
            if row is not None and not known.get(row, ("", False))[1]:
                reason, hint = (
                    _describe_idless(known[row][0], tables) if row in known else ("no row before it has that name", "")
                )
                raise UsageError(
                    f"the stage's row {name!r}: {column} refers to row {row!r}, and {reason}", hint=hint or None
                )
        if not columns and not facts.makes_ids:
            raise UsageError(f"the stage's row {name!r} in {table} has no values")
        if name in known:
            raise UsageError(f"the stage has two rows named {name!r}", hint="Name each row by itself.")
        known[name] = table, facts.makes_ids or _gives_id(facts, columns)


_NO_ROW = "no row before it has that name"


def _describe_idless(table: str, tables: Mapping[str, TableFacts]) -> tuple[str, str]:
    """Return why a row of the table has no id, and what to do about it."""
    if not facts_of(tables, table).types:
        return f"there is no table {table}", suggest(table, tables)
    return f"{table} makes no ids", "Give the row its primary key."


def quoted_table(tables: Mapping[str, TableFacts], spelled: str, dialect: str = USUAL) -> str:
    """Return a table's name as the engine's SQL has it; an unknown one as it is spelled, for the server to refuse."""
    found = find_named(tables, spelled)
    if found is None:
        return spelled
    schema, dot, name = found[0].rpartition(".")
    return f"{quoted(schema_in(dialect, schema))}.{quoted(name)}" if dot else quoted(name)


def _gives_id(facts: TableFacts, columns: tuple[StagedColumn, ...]) -> bool:
    return bool(facts.id_column) and facts.id_column in {facts.plain(column) for column, _ in columns}


def _insert_sql(shape: Shape, tables: Mapping[str, TableFacts]) -> str:
    facts = {name: facts_of(tables, table) for name, table, _ in shape}
    made = {
        name: f"i{number}"
        for number, (name, _, columns) in enumerate(shape)
        if facts[name].makes_ids and not _gives_id(facts[name], columns)
    }
    ids: dict[str, str] = dict(made)  # what stands for the id of a row
    values = iter(range(sum(len(columns) for _, _, columns in shape)))
    inserts: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for name, table, columns in shape:
        own = facts[name]
        names = tuple(own.plain(column) for column, _ in columns)
        # In a `select` a parameter takes its type from nothing else; an unknown column is for the server to refuse.
        cells = [
            f"cast(:v{next(values)} as {own.types.get(column, 'text')})" if row is None else ids[row]
            for column, (_, row) in zip(names, columns, strict=True)
        ]
        if name in made:
            names, cells = (own.id_column, *names), [made[name], *cells]
        elif own.id_column in names:
            ids[name] = cells[names.index(own.id_column)]
        place = quoted_table(tables, table), tuple(map(quoted, names))
        inserts.setdefault(place, []).append(f"select {', '.join(cells)} from ids")
    taken = [f"{_id_maker(facts[name])} as {each}" for name, each in made.items()] or ["1 as made"]
    parts = [f"ids as materialized (select {', '.join(taken)})"]
    parts += [
        f"made_{number} as (insert into {table} ({', '.join(names)}) overriding system value {' union all '.join(rows)})"
        for number, ((table, names), rows) in enumerate(inserts.items())
    ]
    return f"with {', '.join(parts)} select * from ids"


def _id_maker(facts: TableFacts) -> str:
    if not facts.sequence:
        return facts.default
    return f"nextval({literal(facts.sequence)})"

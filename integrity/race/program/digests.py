"""Digests: the rows of each table that belong to a race, asked for behind each schedule."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any
from uuid import UUID

from sqlalchemy import Column, MetaData, PrimaryKeyConstraint, Table, UniqueConstraint

from integrity.database.names import full_name, name_of
from integrity.domain import Key
from integrity.operation import Statement, Value
from integrity.race.program.planned_calls import make_world
from integrity.race.program.program import Digest, Keys
from integrity.sql.name import quoted
from integrity.systems.reflect import Reflected
from integrity.systems.row_needs import foreign_keys_of


def make_digests(metadata: MetaData) -> Iterator[Digest]:
    """Yield for each table the rows that belong to a race: staged, made by its calls, or referring to such a row.

    Followed are columns that an index begins with, so that a digest stays as fast as the tables grow. In tables that were
    reflected a race is alone: all rows are its own.
    """
    if isinstance(metadata, Reflected):
        for table in metadata.raced_tables:
            yield Digest(name_of(table), _whole(table))
        return
    for table in metadata.sorted_tables:
        yield Digest(name_of(table), partial(_digest, table))


def _whole(table: Table) -> Callable[[Keys, Sequence[UUID]], Statement]:
    statement = Statement(f"select * from {full_name(table)}")
    return lambda _keys, _operation_ids: statement


def _digest(table: Table, keys: Keys, operation_ids: Sequence[UUID]) -> Statement:
    calls: dict[str, Value] = {f"operation_{number}": each for number, each in enumerate(operation_ids)}
    return Statement(_digest_sql(table, tuple(keys), tuple(calls)), {**keys, **calls})


@lru_cache(maxsize=1024)
def _digest_sql(table: Table, keys: tuple[str, ...], calls: tuple[str, ...]) -> str:
    columns = [quoted(column.name) for column in table.primary_key.columns]
    own = select_own_keys(table, keys, calls)
    if not own:
        kept = "false"
    elif columns:
        kept = f"{_in_brackets(columns)} in ({own})"
    else:
        kept = " or ".join(f"({route})" for route in _routes(table, make_world(dict.fromkeys(keys)).keys, calls))
    return f"select * from {full_name(table)} where {kept}"


def select_own_keys(table: Table, keys: Iterable[str], calls: Sequence[str]) -> str:
    """Return a select of the primary keys of the rows of a table that belong to a race; empty if none can be told to.

    Args:
        keys: names of a stage's keys, and of the parameters that hold them.
        calls: names of the parameters that hold the calls' operation_ids.
    """
    return _select(table, list(table.primary_key.columns), make_world(dict.fromkeys(keys)).keys, calls)


def _select(
    table: Table, columns: Sequence["Column[Any]"], pools: Mapping[str, Sequence[Key]], calls: Sequence[str]
) -> str:
    """Return a select of columns of the rows of a table that belong to a race; empty if none can be told to."""
    names = ", ".join(quoted(column.name) for column in columns) or "1"
    routes = _routes(table, pools, calls)
    return " union ".join(f"select {names} from {full_name(table)} where {route}" for route in routes)


def _routes(table: Table, pools: Mapping[str, Sequence[Key]], calls: Sequence[str]) -> Iterator[str]:
    """Yield conditions: each way in which rows of the table belong to the race."""
    primary = list(table.primary_key.columns)
    if table.name in pools and len(primary) == 1:
        yield f"{quoted(primary[0].name)} in ({', '.join(f':{key}' for key in pools[table.name])})"
    leading = _leading_columns(table)
    if "operation_id" in leading and calls:
        yield f"operation_id in ({', '.join(f':{call}' for call in calls)})"
    for constraint in foreign_keys_of(table):
        parent = constraint.referred_table
        # A foreign key may name other columns beside the key of its parent: those are left out.
        pairs = [(each.parent, each.column) for each in constraint.elements if each.column.primary_key]
        is_whole = pairs and len(pairs) == len(parent.primary_key.columns)
        if parent is table or not is_whole or pairs[0][0].name not in leading:
            continue
        if there := _select(parent, [column for _, column in pairs], pools, calls):
            yield f"{_in_brackets([quoted(column.name) for column, _ in pairs])} in ({there})"


def _in_brackets(names: Sequence[str]) -> str:
    """Return the names as what a select of as many columns is compared with."""
    return names[0] if len(names) == 1 else f"({', '.join(names)})"


def _leading_columns(table: Table) -> set[str]:
    """Return the columns that an index of the table begins with."""
    keys = [each for each in table.constraints if isinstance(each, PrimaryKeyConstraint | UniqueConstraint)]
    return {next(iter(each.columns)).name for each in (*table.indexes, *keys) if len(each.columns)}

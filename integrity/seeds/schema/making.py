"""The rows of all tables, one table after another, each taking over what the ones before it hold."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from integrity.engines.columns import ColumnValues
from integrity.errors import UsageError
from integrity.numbers import counted
from integrity.seeds.schema.keys import read_held, referred
from integrity.seeds.schema.plan import Ground, Plan
from integrity.seeds.schema.rows import RowMaker

Keys = Mapping[str, ColumnValues]


def read_all_held(ground: Ground, plans: Sequence[Plan]) -> dict[str, Keys]:
    """Return of tables that are left as they are the columns that others refer to."""
    filled = {plan.table.full_name for plan in plans}
    needed = dict.fromkeys(reference.parent for plan in plans for reference in plan.taken)
    columns = referred(ground.tables)
    return {name: read_held(ground.connection, ground.tables[name], columns[name]) for name in needed if name not in filled}


def make_all(
    ground: Ground,
    plans: Sequence[Plan],
    held: Mapping[str, Keys],
    made: Mapping[str, Sequence[ColumnValues]] = MappingProxyType({}),
) -> Iterator[tuple[Plan, Sequence[ColumnValues]]]:
    """Yield each table's plan and its columns, in the order of the plans; nothing is asked of the server.

    Args:
        made: full name of a table -> its columns, where they are at hand from an earlier time.

    Raises:
        UsageError: so many rows cannot differ as they must.
    """
    columns_of = referred(ground.tables)
    by_name = {plan.table.full_name: plan for plan in plans}
    keys = dict(held)
    foretold: dict[str, int] = {}
    for plan in plans:
        name = plan.table.full_name
        for parent in (reference.parent for reference in plan.taken):
            if parent not in keys and parent != name:  # its rows come later, and their keys are numbered
                numbered, count = by_name[parent].numbered, by_name[parent].count
                foretold[parent] = count
                keys[parent] = {
                    each: numbered[each].make(each, np.arange(count)) for each in columns_of[parent] if each in numbered
                }
        columns = made[name] if name in made else RowMaker(plan, keys, ground.wishes, ground.seed).make()
        count = len(columns[0]) if columns else plan.count
        if count < foretold.get(name, 0):
            raise UsageError(
                f"{name}: only {count:,} of {counted(plan.count, 'row')} can be made, and others in a circle refer to all",
                hint=f"Ask for fewer: --rows {plan.table.name}={count}",
            )
        keys[name] = {column.name: column for column in columns if column.name in columns_of[name]}
        yield plan, columns

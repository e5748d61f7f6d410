"""How many rows each table gets: what is wished, and for the others what follows from it by ratios."""

import os
from collections import deque
from collections.abc import Mapping

from integrity.errors import UsageError
from integrity.numbers import counted
from integrity.seeds.schema.fitting import find_table
from integrity.seeds.schema.tables import SchemaTable
from integrity.seeds.schema.wishes import Wishes

VALUE_BYTES = 16
"""Of memory for a value, at least: what is drawn for it, and what it is."""


def derive_sizes(tables: Mapping[str, SchemaTable], wishes: Wishes) -> dict[str, int]:
    """Return table -> rows, of all tables that are to be filled; one that holds rows is left as it is.

    From a table whose number is known, a parent gets a ratio's part of it and a child the ratio's multiple but no more than
    twice as many, the nearest one that leads to it deciding; none gets more than twice the largest that was named.
    """
    sizes = {
        name: rows
        for name, table in tables.items()
        if (rows := wishes.of(table).rows) is not None and not wishes.of(table).per
    }
    per = {
        name: (find_table(tables, parent, others={}, place="per").full_name, ratio)
        for name, table in tables.items()
        for parent, ratio in wishes.of(table).per.items()
    }
    children: dict[str, list[str]] = {name: [] for name in tables}
    for name, table in tables.items():
        for reference in table.references:
            if reference.parent != name:
                children[reference.parent].append(name)
    most = 2 * max([*sizes.values(), wishes.rows])
    waiting = deque(sizes)
    free = [
        name
        for name in tables
        if name not in sizes and name not in per and not (tables[name].is_filled or tables[name].is_closed)
    ]
    while True:
        while waiting:
            name = waiting.popleft()
            for child, (parent, ratio) in per.items():
                if parent == name and child not in sizes:
                    sizes[child] = round(sizes[name] * ratio)
                    waiting.append(child)
            parents = {reference.parent for reference in tables[name].references}
            for parent in sorted(parents & set(free) - sizes.keys()):
                sizes[parent] = _parents(sizes[name], wishes.ratio)
                waiting.append(parent)
            for child in children[name]:
                if child in free and child not in sizes:
                    sizes[child] = min(most, round(sizes[name] * min(wishes.ratio, 2.0)))
                    waiting.append(child)
        left = next((name for name in (*free, *per) if name not in sizes), None)
        if left is None:
            return {name: size for name, size in sizes.items() if not tables[name].is_filled or size}
        sizes[left] = wishes.rows
        waiting.append(left)


def check_memory(table: SchemaTable, count: int) -> None:
    """Refuse rows that the machine has no memory for: a table's are made at once.

    Raises:
        UsageError: says how much they would take.
    """
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    needed = count * len(table.written) * VALUE_BYTES
    if needed > memory:
        raise UsageError(
            f"{table.full_name}: {counted(count, 'row is', 'rows are')} made in memory, about {needed / 2**30:,.0f} GiB, "
            f"and the machine has {memory / 2**30:,.0f}",
            hint=f"Ask for fewer: --rows {table.name}={memory // 2 // max(1, len(table.written)) // VALUE_BYTES}",
        )


def _parents(count: int, ratio: float) -> int:
    return 0 if count == 0 else max(1, min(count, 10), round(count / ratio))

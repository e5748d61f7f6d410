"""Invariants to go on with: one that fits a database by a template, or the bare form of one about a table."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from integrity.drafts.filling import find_likely
from integrity.drafts.found import FoundTable
from integrity.drafts.rendering import render
from integrity.drafts.templates.catalogue import TEMPLATES
from integrity.errors import UsageError

COLUMNS_SHOWN = 6


@dataclass(frozen=True, slots=True)
class Draft:
    """A file to be written.

    Args:
        name: below its folder, without .sql.
    """

    name: str
    text: str


def draft_likely(tables: Sequence[FoundTable]) -> Iterator[Draft]:
    """Yield invariants of which every part is found in the database by its name, the first template's first."""
    for template in TEMPLATES.values():
        found = find_likely(template, tables)
        for filling in [each for each in found if each.weight == found[0].weight]:
            try:
                yield Draft(f"{folder_of(filling.tables['table'])}/{template.name}", render(template, filling))
            except UsageError:  # a table without a key: the next one may have one
                continue


def folder_of(table: FoundTable) -> str:
    """Return the folder of invariants about a table: its name, as far as a file can have it."""
    plain = "".join(letter if letter.isalnum() or letter in "_-" else "-" for letter in table.words).strip("-_")
    return plain[:60] or "tables"


def draft_bare(table: FoundTable) -> str:
    """Return an invariant that says nothing yet: its query is right and returns nothing."""
    shown = [*table.key, *(name for name in table.columns if name not in table.key)][:COLUMNS_SHOWN]
    lines = ",\n".join(f"    {table.column(name)}" for name in shown)
    order = ", ".join(map(table.column, table.key or shown[:1]))
    return f"""\
-- title: what must hold of every row of {" ".join(table.words.split())}
-- severity: error
-- why: what goes wrong, and for whom, when it does not
-- hint: where to look first
select
{lines}
from {table.sql}
where false -- in its place: what a row looks like that must not be
order by {order}
"""

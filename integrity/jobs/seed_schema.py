"""The job of filling somebody's own tables: `integrity seed --schema public --rows orders=50000`, or by a file."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from integrity.database.filled import find_filled
from integrity.database.namespace import guard
from integrity.engines.target import Target
from integrity.errors import SeedError, UsageError, quote
from integrity.events import Job
from integrity.numbers import counted
from integrity.seeds.schema.fill import SchemaSeeded, check_wishes, fill
from integrity.seeds.schema.wishes import Wishes, read_wishes, with_rows


def seed_schema(
    target: Target,
    *,
    schemas: Sequence[str] = (),
    file: Path | None = None,
    rows: Mapping[str, int],
    seed: int,
    test_database: str | None = None,
    replaces: bool = False,
) -> Job[SchemaSeeded]:
    """Fill the tables of some schemas that others made, all or none.

    Args:
        schemas: those that are named; else the file's, else public.
        rows: table -> how many, over what the file says.
        test_database: as guard takes it: the tables are others', so that the database must be declared.
        replaces: what an earlier one filled there is taken out first.

    Raises:
        UsageError, SeedError, DatabaseError: as fill does; the rows are as they were before.
        UnsafeDatabase: the database is not declared to be a test database.
    """
    for table, count in rows.items():
        if count < 0:
            raise UsageError(f"--rows {table}={count}: there cannot be fewer rows than none", hint="0 leaves it empty.")
    wishes = Wishes() if file is None else read_wishes(file)
    chosen = tuple(dict.fromkeys(schemas or wishes.schemas or ("public",)))
    contents = guard(target, test_database)
    place = "--rows" if file is None else str(file)
    wishes = with_rows(wishes, rows)
    check_wishes(target, wishes, schemas=chosen, place=place)  # what is named wrongly is the nearer mistake
    earlier = [each for each in find_filled(contents.notes) if set(each.name.split(",")) & set(chosen)]
    if earlier and not replaces:
        raise SeedError(
            f"database {contents.name!r}: {quote(earlier[0].name)} is filled ({counted(earlier[0].row_count, 'row')}, "
            f"seed {earlier[0].seed})",
            hint="--replace takes those rows out and fills it anew; integrity rollback only takes them out.",
        )
    return (yield from fill(target, wishes, schemas=chosen, seed=seed, place=place, earlier=earlier))

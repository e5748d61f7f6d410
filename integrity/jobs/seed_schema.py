"""The job of filling somebody's own tables: `integrity seed --schema public --rows orders=50000`, or by a file.

What is made passes all that the server checks, and nothing else: the project's own invariants are asked at once, so that
what they find in such rows is told as that, and is not taken for a mistake of an application.
"""

import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from integrity.audit import AuditSettings, audit
from integrity.database.filled import find_filled
from integrity.database.namespace import guard
from integrity.engines.target import Target
from integrity.errors import SeedError, UsageError, quote
from integrity.events import InvariantJudged, Job
from integrity.invariants.load import load_invariants
from integrity.invariants.variables import set_variables
from integrity.numbers import counted
from integrity.project import Project
from integrity.registry import Registry
from integrity.seeds.load import SEED_MOST
from integrity.seeds.schema.fill import SchemaSeeded, check_wishes, fill
from integrity.seeds.schema.wishes import ON_THE_LINE, Wishes, read_wishes, with_rows
from integrity.typed import typed
from integrity.verdict import Verdict

JUDGED_S, ALL_JUDGED_S = 2.0, 10.0
"""Seconds for one invariant, and for all: who seeds wants rows, and `integrity validate` takes its time."""


def seed_schema(
    target: Target,
    *,
    schemas: Sequence[str] = (),
    file: Path | None = None,
    rows: Mapping[str, int],
    seed: int,
    test_database: str | None = None,
    replaces: bool = False,
    project: Project | None = None,
) -> Job[SchemaSeeded]:
    """Fill the tables of some schemas that others made, all or none.

    Args:
        schemas: those that are named; else the file's, else public.
        rows: table -> how many, over what the file says.
        test_database: as guard takes it: the tables are others', so that the database must be declared.
        replaces: what an earlier one filled there is taken out first.
        project: whose own invariants are asked afterwards; None: none are.

    Raises:
        UsageError, SeedError, DatabaseError: as fill does; the rows are as they were before.
        UnsafeDatabase: the database is not declared to be a test database.
    """
    for table, count in rows.items():
        if count < 0:
            raise UsageError(f"--rows {table}={count}: there cannot be fewer rows than none", hint="0 leaves it empty.")
    if not 0 <= seed <= SEED_MOST:
        raise UsageError(f"--seed {seed}: expected 0 to {SEED_MOST}", hint="Any number is as good as any other.")
    wishes, place = (Wishes(), ON_THE_LINE) if file is None else read_wishes(file)
    chosen = tuple(dict.fromkeys(schemas or wishes.schemas or ("public",)))
    contents = guard(target, test_database)
    wishes = with_rows(wishes, rows)
    check_wishes(target, wishes, schemas=chosen, place=place)  # what is named wrongly is the nearer mistake
    earlier = [each for each in find_filled(contents.notes) if set(each.name.split(",")) & set(chosen)]
    if earlier and not replaces:
        raise SeedError(
            f"database {contents.name!r}: {quote(earlier[0].name)} is filled ({counted(earlier[0].row_count, 'row')}, "
            f"seed {earlier[0].seed})",
            hint=f"--replace takes those rows out and fills it anew; {typed('rollback')} only takes them out.",
        )
    seeded = yield from fill(target, wishes, schemas=chosen, seed=seed, place=place, earlier=earlier)
    return seeded if project is None else _judged(target, project, seeded)


def _judged(target: Target, project: Project, seeded: SchemaSeeded) -> SchemaSeeded:
    """Ask the project's own invariants of what was made, each for a short time and all for not much longer."""
    known = load_invariants(project, find_operations=Registry(project).operations_of, is_own_only=True)
    files = [file for file in set_variables(known.values(), project) if not file.is_of_calls]
    settings = AuditSettings(timeout_s=JUDGED_S, trusted_functions=project.settings.audit.functions)
    violated: dict[str, int] = {}
    left = [file.name for file in files]
    ends_at = time.monotonic() + ALL_JUDGED_S
    with closing(audit(target, files, settings)) as events:
        for event in events if files else ():
            if isinstance(event, InvariantJudged):
                finding = event.finding
                if finding.verdict is not Verdict.UNKNOWN:
                    left.remove(finding.name)
                if finding.verdict is Verdict.VIOLATED:
                    violated[finding.name] = finding.violation_count
            if time.monotonic() > ends_at:
                break
    return replace(seeded, violated=violated, unjudged=left)

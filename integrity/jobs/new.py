"""The job of writing one file to go on with, fitted to the database; an invariant of a template is asked at once."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from integrity.audit import AuditSettings, audit
from integrity.drafts.files import draft_path, write_draft
from integrity.drafts.filling import fill
from integrity.drafts.found import FoundTable, find_tables, named_table, read_metadata, tables_in
from integrity.drafts.invariant import draft_bare, folder_of
from integrity.drafts.operation import account_in, draft_plain, numbers_of
from integrity.drafts.query import draft_query
from integrity.drafts.raceable import Drafted, draft_raceable, fitted
from integrity.drafts.rendering import render
from integrity.drafts.template import Template
from integrity.drafts.written import WrittenFile
from integrity.engines.target import Target
from integrity.errors import UsageError
from integrity.events import InvariantJudged
from integrity.jobs.race_names import spelled_pair
from integrity.numbers import counted
from integrity.project import OPERATIONS_FOLDER, Project
from integrity.sql.file import parse_sql_file, read_sql_file
from integrity.systems.reflect import Reflected
from integrity.typed import typed
from integrity.verdict import InvariantVerdict

ASKED_S_MOST = 20.0
"""A first look at a large table is no reason to wait for long."""


def write_invariant(
    project: Project,
    target: Target,
    *,
    name: str | None,
    template: Template | None,
    table_name: str | None,
    given: Mapping[str, str],
) -> WrittenFile:
    """Write an invariant.

    Args:
        name: None: its template's, in the folder of its table.
        template: None: the bare form.
        given: word of the template -> what it stands for.

    Raises:
        UsageError: there is another file of that name, or the table, or what a word stands for, cannot be told.
    """
    if name is not None:
        draft_path(project.folder, "invariants", name)  # before a database is asked
    tables = find_tables(target)
    if template is None:
        table = _choose_table(tables, table_name)
        path = draft_path(project.folder, "invariants", name or f"{folder_of(table)}/new")
        is_new = write_draft(path, draft_bare(table))
        return _written(project, path, f"about {table.words}: say in it what must not be", is_new=is_new)
    filling = fill(template, tables, {**given, **({"table": table_name} if table_name else {})})
    text = render(template, filling)
    path = draft_path(project.folder, "invariants", name or f"{folder_of(filling.tables['table'])}/{template.name}")
    is_new = write_draft(path, text)
    return _written(project, path, f"about {filling.tables['table'].words}", judge(target, path), is_new=is_new)


def write_query(project: Project, target: Target, *, name: str, table_name: str | None) -> WrittenFile:
    """Write a named query.

    Raises:
        UsageError: there is another file of that name, or the table cannot be told.
    """
    path = draft_path(project.folder, "queries", name)
    table = _choose_table(find_tables(target), table_name)
    is_new = write_draft(path, draft_query(table))
    return _written(project, path, f"a row of {table.words} by its key", is_new=is_new)


def write_operation(
    project: Project, target: Target, *, name: str, table_name: str | None, column: str | None
) -> WrittenFile:
    """Write an operation that takes something from a row.

    Args:
        column: what it takes from; None: what looks like a balance.

    Raises:
        UsageError: there is another file of that name, or the table or the column cannot be told.
    """
    path = draft_path(project.folder, "operations", name)
    metadata = read_metadata(target)
    tables = tables_in(metadata, target) if metadata is not None else []
    table = named_table(tables, table_name, place="--table") if table_name is not None and column is None else None
    if table is not None and len(table.key) == 1 and not numbers_of(table):
        is_new = write_draft(path, draft_plain(table))
        return _written(project, path, f"reads a row of {table.words}, and writes it", is_new=is_new)
    account, text = _choose_account(target, metadata, tables, table_name, column)
    is_new = write_draft(path, text)
    return _written(project, path, f"takes from {account.table.words}.{account.balance}", is_new=is_new)


def write_scenario(project: Project, *, name: str, curls: Sequence[str], command: str) -> WrittenFile:
    """Write a scenario.

    Args:
        curls: lines of curl's, of its actors.
        command: starts the application; empty: it is running already.

    Raises:
        UsageError: there is another file of that name, or a line cannot be read.
    """
    from integrity.scenarios.draft import draft_scenario
    from integrity.scenarios.reading import SCENARIOS_FOLDER, read_text

    path = draft_path(project.folder, SCENARIOS_FOLDER, name, suffix=".toml")
    text = draft_scenario(path.stem, curls, command=command)
    actors = sum(actor.count for actor in read_text(text, file=path).actors)
    is_new = write_draft(path, text)
    return _written(project, path, f"a race of {counted(actors, 'actor')}", is_new=is_new)


def judge(target: Target, path: Path, text: str | None = None) -> InvariantVerdict:
    """Return what the database says to an invariant.

    Args:
        text: of the file, where it is not written yet.

    Raises:
        DatabaseError: no connection.
    """
    settings = AuditSettings(connections=1, timeout_s=ASKED_S_MOST, row_limit=1)
    file = read_sql_file(path, name=path.stem) if text is None else parse_sql_file(text, path=path, name=path.stem)
    events = audit(target, [file], settings)
    return next(event.finding for event in events if isinstance(event, InvariantJudged))


def _choose_table(tables: Sequence[FoundTable], name: str | None) -> FoundTable:
    """Return the table that is named, or the only one there is."""
    if name is not None:
        return named_table(tables, name, place="--table")
    if len(tables) == 1:
        return tables[0]
    raise _which(tables, "it is about")


def _choose_account(
    target: Target, metadata: Reflected | None, tables: Sequence[FoundTable], name: str | None, column: str | None
) -> Drafted:
    """Return the table that is named, or what looks most like one of accounts, with its operation."""
    if metadata is None or (name is None and column is None):
        drafted = draft_raceable(target, metadata, tables) if metadata is not None else None
        if drafted is not None:
            return drafted
        raise _which(tables, "it takes from")
    account = account_in(_choose_table(tables, name), column, beside=tables)
    return account, fitted(account, target, metadata)


def _which(tables: Sequence[FoundTable], what: str) -> UsageError:
    if not tables:
        return UsageError(
            "the database holds no table",
            hint=f"--database URL names another; `{typed('seed')}` fills this one.",
        )
    listed = ", ".join(table.words for table in tables[:20]) + (" ..." if len(tables) > 20 else "")
    return UsageError(f"which table {what} is not said", hint=f"--table NAME. There are: {listed}.")


def _written(
    project: Project, path: Path, says: str, verdict: InvariantVerdict | None = None, *, is_new: bool
) -> WrittenFile:
    name = path.relative_to(project.folder).as_posix()
    race = spelled_pair(path.stem, system=_system_of(project, path), systems=sorted(project.settings.systems))
    return WrittenFile(name, says, is_new=is_new, verdict=verdict, race=race)


def _system_of(project: Project, path: Path) -> str:
    """Return the system of the folder that an operation's file is in: the project's own, or one of its folder's name."""
    folder = path.parent
    return project.name if folder == project.folder / OPERATIONS_FOLDER else folder.name

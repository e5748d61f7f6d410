"""The job of making a project: files that fit a database, the first invariant among them asked at once."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from integrity.drafts.files import write_new
from integrity.drafts.found import FoundTable, read_metadata, tables_in
from integrity.drafts.invariant import Draft, draft_bare, draft_likely, folder_of
from integrity.drafts.operation import find_accounts, numbers_of
from integrity.drafts.project import (
    IGNORED,
    PASSWORD_VARIABLE,
    WORKFLOW,
    WORKFLOW_FILE,
    draft_settings,
    without_password,
)
from integrity.drafts.raceable import draft_raceable
from integrity.drafts.written import NewProject, WrittenFile
from integrity.engines.target import Target
from integrity.jobs.new import ASKED_S_MOST, judge
from integrity.jobs.race_names import spelled_pair
from integrity.project import OPERATIONS_FOLDER, SETTINGS_FILE, Project, is_of_operation
from integrity.typed import typed
from integrity.verdict import Verdict

OPERATION = "withdraw"


def make_project(folder: Path, project: Project, target: Target | None, *, place: str, is_named: bool) -> NewProject:
    """Write the files of a project that are not there.

    Args:
        folder: the project's, as it is shown.
        project: that it is, or is to be.
        target: its database; None: there is none yet, as the embedded one was never started.
        place: what people call the database.
        is_named: the settings are to name it.

    Raises:
        UsageError: the folder cannot be written.
        DatabaseError: no connection; nothing was written then.
    """
    systems = sorted(project.settings.systems)
    metadata = None if target is None else read_metadata(target)
    tables = tables_in(metadata, target) if target and metadata else []
    address, variable = None, ""
    if target is not None and is_named:
        address, password = target.without_secrets() if target.engine.has_server else (_seen_from(folder, target), "")
        if password:
            address, variable = without_password(address), PASSWORD_VARIABLE
    settings = _write(folder, SETTINGS_FILE, draft_settings(address), f"settings; the database is {place}")
    files = [settings if settings.is_new else replace(settings, says="settings, with the database that they name")]
    drafted = draft_raceable(target, metadata, tables) if target and metadata else None
    draft = drafted[1] if drafted else ""
    own, race = _find_own(project, systems, draft=draft)
    about = refused = ""
    if target is not None and tables:
        files.append(_write_invariant(folder, target, tables))
        if drafted is not None and set(own) <= {OPERATION}:
            said = f"an operation: takes from {drafted[0].table.words}.{drafted[0].balance}"
            files.append(_write(folder, f"{OPERATIONS_FOLDER}/{OPERATION}.sql", draft, said))
            race = race if own else spelled_pair(OPERATION, system=project.name, systems=systems)
        about, refused = _find_undrafted(tables) if drafted is None else ("", "")
    files.append(_write(folder, ".gitignore", IGNORED, "leaves out what integrity makes"))
    files.append(_write(folder, WORKFLOW_FILE, WORKFLOW, "every invariant, asked in CI"))
    load = target.engine.load_command(target) if target else f"{typed('db psql')} -f schema.sql"
    return NewProject(folder, files, None if target is None else len(tables), variable, race, about, own, load, refused)


def _find_undrafted(tables: Sequence[FoundTable]) -> tuple[str, str]:
    """Return the table that an operation can be written about where none was drafted, and the column it would take from."""
    account = next(find_accounts(tables), None)
    if account is not None:
        return account.table.words, f"{account.table.words}.{account.balance}"
    plain = [table for table in tables if len(table.key) == 1 and len(numbers_of(table)) <= 1]
    return next((table.words for table in sorted(plain, key=lambda each: -len(numbers_of(each)))), ""), ""


def _find_own(project: Project, systems: Sequence[str], *, draft: str) -> tuple[Sequence[str], str]:
    """Return what the project has to race already, and what is raced of it; what an earlier init drafted is not its own."""
    folder = project.folder
    files = [path for path in sorted((folder / OPERATIONS_FOLDER).glob("*")) if is_of_operation(path)]
    own = [path.stem for path in files if path.stem != OPERATION or path.read_bytes() != draft.encode()]
    usable: list[str] = []
    if own:
        from integrity.systems.script.folder import read_folder  # a second of imports, for those who have some

        usable = [
            spelled_pair(each.name, system=project.name, systems=systems)
            for each in read_folder(folder / OPERATIONS_FOLDER).files
            if each.name in own
        ]
    return [*own, *systems], next(iter([*usable, *systems]), "")


def _seen_from(folder: Path, target: Target) -> str:
    """Return the URL of a file as the settings in the folder name it: a path there is the folder's, here the caller's."""
    kind, slashes, path = str(target).partition(":///")
    if path.startswith("/") or folder.resolve() == Path.cwd():
        return str(target)
    return f"{kind}{slashes}{Path(path).absolute()}"


def _write_invariant(folder: Path, target: Target, tables: Sequence[FoundTable]) -> WrittenFile:
    likely = next((each for each in draft_likely(tables) if _is_answered(folder, target, each)), None)
    draft = likely or Draft(f"{folder_of(tables[0])}/new", draft_bare(tables[0]))
    says = "an invariant" if likely else "an invariant, to be written"
    written = _write(folder, f"invariants/{draft.name}.sql", draft.text, says)
    return replace(written, verdict=judge(target, folder / written.name))


def _is_answered(folder: Path, target: Target, draft: Draft) -> bool:
    """Whether the database does not refuse a draft; one that takes long is not refused."""
    verdict = judge(target, folder / f"invariants/{draft.name}.sql", draft.text)
    return verdict.verdict is not Verdict.UNKNOWN or verdict.seconds >= ASKED_S_MOST


def _write(folder: Path, name: str, text: str, says: str) -> WrittenFile:
    return WrittenFile(name, says, is_new=write_new(folder / name, text))

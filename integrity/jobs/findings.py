"""Findings of races are kept: each in its own file; the first one is studied and, where asked for, written as a test."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.places import DEFAULT_SCHEMA
from integrity.engines.target import Target
from integrity.events import FileWritten, Job, Noted
from integrity.invariants.load import load_invariants
from integrity.invariants.syntax import tables_of
from integrity.project import Project, make_state_folder
from integrity.race.export.case import CannotTell
from integrity.race.export.pytest_export import check_path
from integrity.race.export.sealed import InTheWay, check_unedited
from integrity.race.finding.finding import Finding, write_finding
from integrity.race.play.deadline import Deadline
from integrity.race.raced import FindingKept
from integrity.race.search.settings import RaceSubject
from integrity.race.study import Study, open_study
from integrity.race.trial.cure import NotBack
from integrity.registry import Registry, tables_named
from integrity.sql.file import SqlFile
from integrity.systems.made_stage import MadeStage
from integrity.systems.reflect import Reflected
from integrity.systems.system import System


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which files are wanted beside those in the state folder.

    Args:
        output: of the first finding, instead of the one there.
        pytest_file: the test to write for it.

    Raises:
        UsageError: no test can be written there, or one that somebody has edited would be lost.
    """

    output: Path | None = None
    pytest_file: Path | None = None

    def __post_init__(self) -> None:
        if self.pytest_file is not None:
            check_path(self.pytest_file)
            check_unedited(self.pytest_file)


@dataclass(frozen=True, slots=True)
class NotWritten(Noted):
    """A file that was asked for was not written, as the text says.

    Args:
        file: that one.
    """

    file: Path


def invariants_of(project: Project, system: System, raced: Iterable[str] | None = None) -> list[SqlFile]:
    """Return the invariants that are about the system.

    Args:
        raced: operations: where it is known which tables their statements name, a file that reads none of those is left
            out, for nothing that is raced could violate it. None: all of the system's files.
    """
    registry = Registry(project)
    files = load_invariants(project, system=system.name, find_operations=registry.operations_of).values()
    about = [file for file in files if system.name in registry.owners_of(file)]
    if raced is None:
        return about
    named = tables_named(system.operations[name] for name in raced if name in system.operations)
    return about if named is None else [file for file in about if _reads(file, named)]


def _reads(file: SqlFile, tables: Collection[tuple[str, str]]) -> bool:
    """Whether a file reads one of these tables; of one that the parser does not know, nobody knows."""
    if file.tree is None:
        return True
    read = {(table.schema or DEFAULT_SCHEMA, table.name) for table in tables_of(file.tree)}
    return not read.isdisjoint(tables)


def system_on(target: Target, system: System, files: Sequence[SqlFile]) -> System:
    """Return the system with the tables that a race of it on the target needs, those among them that invariants read."""
    read = [f"{table.schema or DEFAULT_SCHEMA}.{table.name}" for file in files for table in tables_of(file.tree)]
    return system.on(target, raced_with=read)


def notes_of_scratch(target: Target, project: Project) -> Iterator[Noted]:
    """Yield that databases are about to be made on a server, where it is somebody's."""
    own = EmbeddedServer(project.state_folder / "postgres")
    if target.engine.has_server and own.target.text != target.text:
        yield Noted("databases of races (integrity_tmp_race_...) are made beside this one, and dropped at the end")


def notes_of_missing(system: System) -> Iterator[Noted]:
    """Yield what the scratch databases of a race lacked that the database has."""
    if isinstance(system.metadata, Reflected) and system.metadata.missing:
        yield Noted(f"not in the databases of races, though it is in this one: {'; '.join(system.metadata.missing)}")


def notes_of_single_rows(system: System, group: Sequence[str]) -> Iterator[Noted]:
    """Yield of which tables a race had a single row, so that no two calls could pass each other by, and why.

    Args:
        group: the operations; empty: each pair.
    """
    stage = system.raced_as(group or tuple(system.operations)).stage
    if isinstance(stage, MadeStage):
        stage()
        for table, reason in stage.single.items():
            yield Noted(f"there was one row of {table} to race on, and all calls met on it; a second one: {reason}")


def races_folder(project: Project) -> Path:
    """Return the folder in which findings are kept, which need not be there."""
    return project.state_folder / "races"


def keep(
    findings: Sequence[Finding],
    race: RaceSubject,
    target: Target,
    project: Project,
    wanted: Wanted,
    *,
    test_database: str | None,
    deadline: Deadline | None = None,
) -> Job[list[FindingKept]]:
    """Write each finding to its file; study the first one, and write it again with what would prevent it.

    Args:
        deadline: cures that were not tried by then are left out, and that is noted.

    Raises:
        UsageError: a file cannot be written.
        DatabaseError: the server is gone.
    """
    found = keep_all(findings, target, project, first=wanted.output)
    if not found:
        return []
    yield from map(_written, found)  # before the study: whatever happens there, the finding is kept
    file = found[0].file
    deadline = deadline or Deadline()
    if deadline.is_over and wanted.pytest_file is None:
        yield Noted("the budget was over: what would prevent it was not tried")
        yield from found
        return found
    with open_study(
        target, race.system, found[0].finding, race.files, test_database=test_database, deadline=deadline
    ) as study:
        try:
            found[0] = FindingKept(study.with_cures(), file, found[0].replay)
        except NotBack:
            yield Noted("what would prevent it was not tried: played again with nothing changed, it did not go wrong")
        if deadline.is_over:
            yield Noted("the budget was over: not all that could prevent it was tried")
        write_finding(found[0].finding, file)
        if wanted.pytest_file is not None:
            yield export(study, wanted.pytest_file, replay_command=replay_command(target, Path(file.name)))
    yield from found
    return found


def keep_all(
    findings: Sequence[Finding], target: Target, project: Project, *, first: Path | None = None
) -> list[FindingKept]:
    """Write each finding to its file, as it is.

    Args:
        first: the file of the first one, instead of that in the state folder.
    """
    if not findings:
        return []
    make_state_folder(project)
    files: list[Path] = []
    for finding in findings:  # several invariants, or a race and what is none, may be of the same calls
        names = (f"{finding.name}{f'-{number}' if number > 1 else ''}.json" for number in count(1))
        files.append(next(file for file in map(races_folder(project).joinpath, names) if file not in files))
    files[0] = first or files[0]
    for finding, file in zip(findings, files, strict=True):
        write_finding(finding, file)
    return [FindingKept(finding, file, replay_command(target, file)) for finding, file in zip(findings, files, strict=True)]


def export(study: Study, pytest_file: Path, *, replay_command: str) -> FileWritten | NotWritten:
    """Write the finding that is studied as a test, with its SQL beside it, and return that as the event it is.

    What no test can tell, or which file is in its way, is said, and is no less of a finding for that.
    """
    try:
        return FileWritten((pytest_file, study.export(pytest_file, replay_command=replay_command)))
    except (CannotTell, InTheWay) as error:
        return NotWritten(f"{pytest_file} was not written: {error.message}; keep the finding and replay it", pytest_file)


def replay_command(target: Target, file: Path) -> str:
    """Return the command that plays a finding again; of one in a file with its file, which nothing else may name."""
    return f"integrity replay {_typed(file)}{'' if target.engine.has_server else f' --database {target}'}"


def _written(found: FindingKept) -> FileWritten:
    return FileWritten((found.file,), is_told=False)


def _typed(file: Path) -> str:
    """Return the path as one would type it here."""
    try:
        return str(file.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(file)

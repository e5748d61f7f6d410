"""Options that several commands share, and what they resolve to."""

import functools
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from integrity.cli.boundary import Boundary
from integrity.errors import UsageError, quote
from integrity.typed import note_given

if TYPE_CHECKING:
    from integrity.engines.embedded.server import EmbeddedServer
    from integrity.engines.target import Target
    from integrity.project import Project

Command = TypeVar("Command", bound=Callable[..., Any])


def database_option(command: Command) -> Command:
    """--database URL."""
    return click.option(
        "--database",
        metavar="URL",
        callback=_note_database,
        help="PostgreSQL 13+ or sqlite:///file; else INTEGRITY_DATABASE_URL, integrity.toml, the embedded one.",
    )(command)


def _note_database(_context: click.Context, _parameter: click.Parameter, database: str | None) -> str | None:
    """Let commands that are told to be given next name the same database."""

    def shown() -> str:
        from integrity.engines.target import Target

        try:
            return str(Target.parse(database or ""))
        except UsageError:  # the command says so itself
            return ""

    if database is not None:
        note_given(database=shown)
    return database


def project_option(command: Command) -> Command:
    """--project FOLDER."""
    return click.option(
        "--project",
        "project_folder",
        metavar="FOLDER",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        callback=_note_project,
        default=".",
        show_default=True,
        help="The folder to work in; .integrity/ is made there.",
    )(command)


def _note_project(context: click.Context, _parameter: click.Parameter, folder: Path) -> Path:
    """Let the boundary know where the traceback of a failure belongs, and the next command which folder is meant."""
    from integrity.project import find_folder

    boundary = context.find_object(Boundary)
    with suppress(UsageError):
        found = find_folder(folder)
        note_given(folder="" if found == find_folder(Path()) else str(found))
        if boundary is not None:
            boundary.project_folder = found
    return folder


def test_database_option(command: Command) -> Command:
    """--yes-this-is-a-test-database NAME; without it the command gets the name that the settings declare."""

    @functools.wraps(command)
    def declared(*, project_folder: Path, test_database: str | None, **options: Any) -> Any:
        note_given(test_database=test_database)
        if test_database is None:
            from integrity.project import find_project

            test_database = find_project(project_folder).settings.database.test
        return command(project_folder=project_folder, test_database=test_database, **options)

    return click.option(
        "--yes-this-is-a-test-database",
        "test_database",
        metavar="NAME",
        help="Allow a database that holds other tables; NAME repeats its name. Or in integrity.toml: [database] test.",
    )(cast(Command, declared))


def application_options(command: Command) -> Command:
    """--process NAME=PID and --log FILE, repeatable; the command gets what they name as `watched`."""

    @functools.wraps(command)
    def read(*, processes: tuple[str, ...], logs: tuple[Path, ...], **options: Any) -> Any:
        from integrity.monitor.watched import read_watched

        return command(watched=read_watched(processes, logs), **options)

    with_logs = click.option(
        "--log",
        "logs",
        metavar="FILE",
        type=click.Path(path_type=Path),
        multiple=True,
        help="Count lines added to it from now on: ERROR, FATAL, PANIC, OOM, Traceback, deadlock detected.",
    )(cast(Command, read))
    return click.option(
        "--process",
        "processes",
        metavar="PID",
        multiple=True,
        help="Watch it too: PID or NAME=PID, as app=4711. That it ends, or is started anew, is a finding.",
    )(with_logs)


def json_option(command: Command) -> Command:
    """--json."""
    return click.option("--json", "is_json", is_flag=True, help="Print machine-readable output on stdout.")(command)


def all_option(command: Command) -> Command:
    """--all."""
    return click.option("--all", "is_all", is_flag=True, help="Those that ship, too, where the project has its own.")(
        command
    )


def open_project(folder: Path) -> "Project":
    """Return the project that the folder is in.

    Raises:
        UsageError: its settings cannot be read, or are about a system that there is not.
    """
    from integrity.project import SETTINGS_FILE, find_project

    project = find_project(folder)
    if project.settings.monitor.limits:
        from integrity.monitor.limits import read_limits

        read_limits(project)
    if project.settings.profiles:
        from integrity.registry import Registry

        registry = Registry(project)
        for name in project.settings.profiles:
            try:
                registry.check(name)
            except UsageError as error:
                place = project.folder / SETTINGS_FILE
                raise UsageError(f"{place}: profiles.{quote(name)[1:-1]}: {error.message}", hint=error.hint) from None
    return project


def open_target(project: "Project", database: str | None) -> "Target":
    """Return the database to work on: the one that is named, else the embedded server, started if need be."""
    from integrity.engines.target import Target
    from integrity.project import make_state_folder

    target = Target.find(project, database, os.environ)
    if target is not None:
        return target
    make_state_folder(project)
    return embedded_server(project).start()


def embedded_server(project: "Project") -> "EmbeddedServer":
    """Return the project's embedded server, running or not."""
    from integrity.engines.embedded.server import EmbeddedServer

    return EmbeddedServer(project.state_folder / "postgres")

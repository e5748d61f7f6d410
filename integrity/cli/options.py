"""Options that several commands share, and what they resolve to."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from integrity.database.embedded import EmbeddedServer
    from integrity.database.target import Target
    from integrity.project import Project

Command = TypeVar("Command", bound=Callable[..., Any])


def database_option(command: Command) -> Command:
    """--database URL."""
    return click.option(
        "--database",
        metavar="URL",
        help="PostgreSQL 13+ or sqlite:///file; else INTEGRITY_DATABASE_URL, integrity.toml, the embedded one.",
    )(command)


def project_option(command: Command) -> Command:
    """--project FOLDER."""
    return click.option(
        "--project",
        "project_folder",
        metavar="FOLDER",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        default=".",
        show_default=True,
        help="The folder to work in; .integrity/ is made there.",
    )(command)


def test_database_option(command: Command) -> Command:
    """--yes-this-is-a-test-database NAME."""
    return click.option(
        "--yes-this-is-a-test-database",
        "test_database",
        metavar="NAME",
        help="Allow a database that holds other tables; NAME repeats its name.",
    )(command)


def json_option(command: Command) -> Command:
    """--json."""
    return click.option("--json", "is_json", is_flag=True, help="Print machine-readable output on stdout.")(command)


def open_project(folder: Path) -> "Project":
    """Return the project that the folder is in."""
    from integrity.project import find_project

    return find_project(folder)


def open_target(project: "Project", database: str | None) -> "Target":
    """Return the database to work on: the one that is named, else the embedded server, started if need be."""
    from integrity.database.target import Target
    from integrity.project import make_state_folder

    url = project.database_url(database, os.environ)
    if url is not None:
        return Target.parse(url)
    make_state_folder(project)
    return embedded_server(project).start()


def embedded_server(project: "Project") -> "EmbeddedServer":
    """Return the project's embedded server, running or not."""
    from integrity.database.embedded import EmbeddedServer

    return EmbeddedServer(project.state_folder / "postgres")

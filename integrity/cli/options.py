"""Options that several commands share, and what they resolve to."""

import functools
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from integrity.cli.boundary import Boundary
from integrity.cli.number_types import Integer
from integrity.errors import UsageError, quote
from integrity.numbers import PROCESSES_MOST
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


def environment_option(command: Command) -> Command:
    """--env-file FILE; what it says is the command's environment, where that does not say it itself.

    Stands above the options that read the settings, in which variables are named.
    """

    @functools.wraps(command)
    def read(*, env_file: Path | None, project_folder: Path, **options: Any) -> Any:
        from integrity.environment import read_file
        from integrity.jobs.plan_names import check_environment
        from integrity.project import find_project

        said = read_file(env_file) if env_file is not None else {}
        added = {name: value for name, value in said.items() if name not in os.environ}
        os.environ.update(added)
        try:
            check_environment(find_project(project_folder), os.environ, env_file=said)
            return command(project_folder=project_folder, **options)
        finally:
            for name in added:
                os.environ.pop(name, None)

    return click.option(
        "--env-file",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="Variables, a line each: NAME=value. What the environment says itself outranks them.",
    )(cast(Command, read))


class KeysOf(click.ParamType[tuple[str, tuple[str, ...]]]):
    """A pool and keys of it: doors=3,4."""

    name = "keys"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, tuple[str, ...]]:
        if not isinstance(value, str):
            return cast(tuple[str, tuple[str, ...]], value)
        pool, _, keys = value.partition("=")
        named = tuple(filter(None, (key.strip() for key in keys.split(","))))
        if not pool.strip() or not named:
            self.fail(f"{quote(value)} names no keys of a pool; write it so: doors=3,4", param, ctx)
        return pool.strip(), named


def asked_options(command: Command) -> Command:
    """--hold, --key, --user and --venue; the command gets hold, keys, accounts and venue."""

    @functools.wraps(command)
    def read(*, keys: tuple[tuple[str, tuple[str, ...]], ...], **options: Any) -> Any:
        return command(keys=dict(keys), **options)

    options = (
        click.option("--hold", metavar="S[,S...]", help="Seconds that a user waits between two calls; several: a sweep."),
        click.option(
            "--key",
            "keys",
            metavar="POOL=ID[,ID...]",
            multiple=True,
            type=KeysOf(),
            help="Pin streams to these, in their order: gateways=3,4; or let users be these.",
        ),
        click.option("--user", "accounts", metavar="EMAIL", multiple=True, help="Let users be these accounts."),
        click.option("--venue", metavar="ID", help="Refuse a server that is of another venue."),
    )
    made = cast(Command, read)
    for option in reversed(options):
        made = option(made)
    return made


def process_count_option(command: Command) -> Command:
    """--processes N; the command gets process_count."""
    return click.option(
        "--processes",
        "process_count",
        type=Integer(1, PROCESSES_MOST),
        help="Share the clients among so many processes; default: 1.",
    )(command)


def application_options(command: Command) -> Command:
    """--process and --log, repeatable, --metrics and --redis; the command gets what they name as `watched`."""

    @functools.wraps(command)
    def read(
        *,
        processes: tuple[str, ...],
        logs: tuple[Path, ...],
        metrics: str | None,
        redis: str | None,
        project_folder: Path,
        **options: Any,
    ) -> Any:
        from integrity.jobs.watching import find_metrics
        from integrity.monitor.watched import read_watched
        from integrity.project import find_project

        source = find_metrics(metrics, find_project(project_folder)) if metrics is not None else None
        return command(watched=read_watched(processes, logs, source, redis), project_folder=project_folder, **options)

    with_logs = click.option(
        "--log",
        "logs",
        metavar="FILE",
        type=click.Path(path_type=Path),
        multiple=True,
        help="Count lines added to it from now on: ERROR, FATAL, PANIC, OOM, Traceback, deadlock detected.",
    )(cast(Command, read))
    with_metrics = click.option(
        "--metrics",
        metavar="URL",
        help="Scrape these, as Prometheus does: pool, loop lag, background work; else /metrics of a --target.",
    )(with_logs)
    with_redis = click.option(
        "--redis", metavar="URL", help="Watch it too: CPU, memory, clients, hits, policy; redis://HOST:PORT."
    )(with_metrics)
    return click.option(
        "--process",
        "processes",
        metavar="PID",
        multiple=True,
        help="Watch it too: PID or NAME=PID, as app=4711. That it ends, or is started anew, is a finding.",
    )(with_redis)


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
